"""The server that forks a process for each file: started once, and again where it has died."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from storage.ingest.sandbox.server import STATUS

SERVER = ("storage.ingest.sandbox.server", "main")
BEGIN = (
    "import sys; from importlib import import_module; module, function, descriptor, *sys.path[:0] = sys.argv[1:]; "
    "getattr(import_module(module), function)(int(descriptor))"
)
FOLDERS = (str(Path(__file__).parents[3]), str(Path(h5py.__file__).parents[1]))
"""Where the server imports from."""
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC0"}
"""All that the server is told: libraries that start threads could not be forked from."""
PATIENCE_S = 5.0


class ServerGone(Exception):
    """The server has ended; another can be started."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process for one file; it is ended where this is left."""

    end: socket.socket
    """To talk with it."""
    watch: socket.socket
    """To hear from the server how it ended; closing this ends it."""

    def status(self) -> int | None:
        """Return how a process that says nothing more has ended, as ``os.waitpid`` tells it; None if it has not.

        Raises
        ------
        ServerGone
        """
        self.watch.settimeout(PATIENCE_S)
        try:
            told = self.watch.recv(STATUS.size)
        except TimeoutError:
            return None
        except OSError as error:
            raise ServerGone from error
        if len(told) < STATUS.size:
            raise ServerGone
        return int(STATUS.unpack(told)[0])


class ServerProcess:
    """The server of this process; threads share it, a fork does not.

    Parameters
    ----------
    program : sequence of str
        Module and function.
    """

    def __init__(self, program: Sequence[str]) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        STARTED.add(self)

    @property
    def pid(self) -> int | None:
        """Number of the running server."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the server unless it runs."""
        with self._lock:
            self._running()

    @contextmanager
    def new_child(self) -> Iterator[Child]:
        """Fork a process; raises ServerGone if there is no server to do it."""
        end, of_child = socket.socketpair()
        watch, of_server = socket.socketpair()
        with end, watch:
            with of_child, of_server:
                control = self._hand_over(of_child.fileno(), of_server.fileno())
            try:
                yield Child(end, watch)
            except ServerGone:
                with self._lock:
                    if self._control is control:  # else another thread has seen to it
                        self._end()
                raise

    def _hand_over(self, *descriptors: int) -> socket.socket:
        with self._lock:
            control = self._running()
            try:
                socket.send_fds(control, [b"f"], descriptors)
            except OSError as error:
                self._end()
                raise ServerGone from error
            return control

    def close(self) -> None:
        """End the server and all that it has forked."""
        with self._lock:
            self._end()

    def forget(self) -> None:
        """Leave the server to the process that this one was forked from."""
        self._lock = threading.Lock()
        if self._control is not None:
            self._control.close()  # else the server would outlive its parent
        self._control = self._process = None

    def _running(self) -> socket.socket:
        if self._control is None or self._process is None or self._process.poll() is not None:
            self._end()
            self._control = self._started()
        return self._control

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", BEGIN, *self._program, str(theirs.fileno()), *FOLDERS],
                pass_fds=[theirs.fileno()],
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which closes its end when it goes
            )
        return ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


STARTED: weakref.WeakSet[ServerProcess] = weakref.WeakSet()


def _forget_all() -> None:
    for server in list(STARTED):
        server.forget()


def _close_all() -> None:
    for server in list(STARTED):
        server.close()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(_close_all)

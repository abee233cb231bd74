"""Processes that end with the benchmark, however it ends; and what CPU time they take."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
STOPPING_S = 3
STARTING_S = 60
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Ask Linux to end this process when the benchmark is killed; elsewhere only the ordinary end does."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def running(command: Sequence[str], log: Path, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of this checkout while the block runs.

    Parameters
    ----------
    command : sequence of str
    log : Path
        Where its errors go.
    **changes : str
        Environment variables on top of ours.
    """
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | changes,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C comes to us alone, and we stop the others in order
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call of C, which needs no lock of another thread
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force where it does not listen."""
    process.terminate()
    try:
        process.communicate(timeout=STOPPING_S)
    except subprocess.TimeoutExpired:
        _kill(process.pid)
        process.communicate()


def _kill(pid: int) -> None:
    """End a process that was started here, and all below it, by force."""
    root = psutil.Process(pid)
    for one in (*root.children(recursive=True), root):
        with suppress(psutil.NoSuchProcess):
            one.kill()


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
        return port


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until somebody listens; raises RuntimeError with the end of the log when the process ends first."""
    deadline = time.monotonic() + STARTING_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{' '.join(map(str, process.args))} does not serve: {log.read_text()[-2000:]}")  # type: ignore[arg-type]


def cpu_s(pid: int) -> float:
    """Return the CPU time, user and system, of a process and all below it."""
    root = psutil.Process(pid)
    return sum(_own_cpu_s(one) for one in (root, *root.children(recursive=True)))


def _own_cpu_s(process: psutil.Process) -> float:
    """Return the CPU time of one process and of its children that have ended."""
    try:
        times: Any = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def run(command: Sequence[str], variables: Mapping[str, str], timeout_s: float) -> str:
    """Run a program to its end and return what it printed; raises RuntimeError where it fails."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call of C, which needs no lock of another thread
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except BaseException:
        _kill(process.pid)
        process.communicate()
        raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {output[-2000:]}")
    return output

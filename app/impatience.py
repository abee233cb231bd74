"""Waiting for what callers send, but not for ever: whoever sends too slowly would hold a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

LOOKS_EVERY_S = 0.5


class Impatience:
    """The waits of one process; connections whose time is over are cut, which ends the read that waits for them.

    A timeout of the socket does not do: it begins again with each byte.
    """

    def __init__(self) -> None:
        self._waits: dict[int, tuple[float, socket.socket]] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None

    def begin(self, connection: socket.socket, seconds: float) -> int:
        """Cut a connection in so many seconds, unless the wait of this number is ended before."""
        number = next(self._numbers)
        self._waits[number] = (time.monotonic() + seconds, connection)
        if self._watcher is None:
            self._watch()
        return number

    def end(self, number: int) -> None:
        """End a wait; ending it again does nothing."""
        self._waits.pop(number, None)

    @contextmanager
    def within(self, connection: socket.socket | None, seconds: float) -> Iterator[None]:
        """Cut a connection if the block takes longer; None is one that is not there, as in tests."""
        if connection is None:
            yield
            return
        number = self.begin(connection, seconds)
        try:
            yield
        finally:
            self.end(number)

    def _watch(self) -> None:
        """Start the thread that looks; at first use, because threads do not survive a fork."""
        with self._lock:
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._look, name="impatience", daemon=True)
                self._watcher.start()

    def _look(self) -> None:
        while True:
            time.sleep(LOOKS_EVERY_S)
            now = time.monotonic()
            for number, (until, connection) in list(self._waits.items()):
                if until < now and self._waits.pop(number, None) is not None:
                    with suppress(OSError):  # it has ended by itself
                        connection.shutdown(socket.SHUT_RDWR)


impatience = Impatience()
"""That of this process."""

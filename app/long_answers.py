"""Long answers hold a thread for as long as their callers take; some threads are kept for the short ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response, has_request_context, request

from app.impatience import impatience
from storage.errors import StorageError

LONG_NBYTES = 1 << 20
"""An answer for which more is read or sent is a long one; less goes into the buffers of a connection at once."""

PATIENCE_S = 3.0

SENT_NBYTES, SENT_S = 1 << 20, 60.0
"""A caller who takes longer for so much of a long answer is cut off: it keeps others from theirs."""


class Busy(StorageError):
    """All places are taken; asking again a little later may help."""


class LongAnswers:
    """The places that long answers have in one process.

    Parameters
    ----------
    n_places : int
        Answers that are sent at once.
    n_waiting : int
        Answers that wait for a place at once. With those that are sent fewer than there are threads, so that there
        is always one for a short answer.
    patience_s : float
        How long an answer waits.
    """

    def __init__(self, n_places: int, n_waiting: int, *, patience_s: float = PATIENCE_S) -> None:
        self._n_places, self._patience_s = n_places, patience_s
        self._free = threading.BoundedSemaphore(n_places)
        self._waiting = threading.BoundedSemaphore(max(1, n_waiting))

    @classmethod
    def of_threads(cls, n_threads: int) -> LongAnswers:
        """Return the places of a process with so many threads: half of them, and a quarter to wait in."""
        return cls(max(1, n_threads // 2), n_threads // 4)

    def place(self) -> Place:
        """Take a place; raises Busy if none is free, nor will be soon."""
        if not self._free.acquire(blocking=False) and not self._waited():
            raise Busy(f"{self._n_places} long answers are under way here; short ones are answered, ask again later")
        return Place(self._free)

    def _waited(self) -> bool:
        """Wait for a place, if there is room to wait in."""
        if not self._waiting.acquire(blocking=False):
            return False
        try:
            return self._free.acquire(timeout=self._patience_s)
        finally:
            self._waiting.release()


class Place:
    """One place: left when the response has been sent, when its caller has gone, or when it cannot be made.

    What takes long to come takes a place as well, for as long as a block runs.
    """

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free = free
        self._is_taken = True
        self._lock = threading.Lock()

    def hold_for(self, make: Callable[[], Response]) -> Response:
        """Return the response that ``make`` makes, and hold the place until it has been sent."""
        try:
            response = make()
        except BaseException:
            self._leave()
            raise
        response.response = self._while_sent(response.iter_encoded(), _connection())
        response.call_on_close(self._leave)  # also where sending was never begun
        return response

    def __enter__(self) -> None:
        """Hold the place while a block runs."""

    def __exit__(self, *_raised: object) -> None:
        self._leave()

    def _while_sent(self, content: Iterable[bytes], connection: Any) -> Iterator[bytes]:
        try:
            for piece in content:
                for start in range(0, len(piece), SENT_NBYTES):
                    with impatience.within(connection, SENT_S):
                        yield piece[start : start + SENT_NBYTES]
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            if self._is_taken:
                self._is_taken = False
                self._free.release()


def _connection() -> Any:
    """Return the socket of the caller, where a server has one and tells it."""
    return request.environ.get("gunicorn.socket") if has_request_context() else None

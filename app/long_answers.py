"""Long answers hold a thread for as long as their callers take; some threads are kept for the short ones."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from flask import Response

from storage.errors import StorageError


class Busy(StorageError):
    """All places are taken; asking again a little later may help."""


class LongAnswers:
    """The places that long answers have in one process.

    Parameters
    ----------
    n_places : int
        Fewer than there are threads, so that there is always one for a short answer.
    """

    def __init__(self, n_places: int) -> None:
        self.n_places = n_places
        self._free = threading.BoundedSemaphore(n_places)

    def stream(self, response: Response) -> Response:
        """Give a response a place until it has been sent, or its caller has gone.

        Raises
        ------
        Busy
            If there is none free.
        """
        if not self._free.acquire(blocking=False):
            raise Busy(f"{self.n_places} long answers are under way; short ones still are answered, so ask again later")
        place = _Place(self._free)
        response.response = place.while_sent(response.iter_encoded())
        response.call_on_close(place.leave)
        return response


class _Place:
    """One place, left once."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free = free
        self._is_taken = True
        self._lock = threading.Lock()

    def while_sent(self, content: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from content
        finally:
            self.leave()

    def leave(self) -> None:
        with self._lock:
            if self._is_taken:
                self._is_taken = False
                self._free.release()

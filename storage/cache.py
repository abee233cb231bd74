"""A cache bounded in bytes, in which concurrent askers for one thing share one fetch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Least recently used values, together at most ``max_nbytes``; safe between threads.

    Parameters
    ----------
    max_nbytes : int
        Values that are larger by themselves are handed out but not kept. 0 keeps nothing.
    nbytes : callable
        Size of a value in bytes.
    """

    def __init__(self, max_nbytes: int, nbytes: Callable[[V], int]) -> None:
        self.max_nbytes = max_nbytes
        self._nbytes_of = nbytes
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._underway: dict[Hashable, Future[V]] = {}
        self._lock = threading.Lock()
        self._total = 0

    @property
    def nbytes(self) -> int:
        """Bytes kept now."""
        return self._total

    def get_many(
        self,
        keys: Iterable[Hashable],
        fetch: Callable[[list[Hashable]], Mapping[Hashable, V]],
        *,
        keep: bool = True,
    ) -> dict[Hashable, V]:
        """Return the value of every key, fetching together those that nobody has or is fetching.

        Parameters
        ----------
        keys : iterable of hashable
        fetch : callable
            Called at most once, without a lock held, with the keys that are missing.
        keep : bool
            Whether fetched values stay; a read of a whole recording should not push out the rest.
        """
        found: dict[Hashable, V] = {}
        mine: dict[Hashable, Future[V]] = {}
        others: dict[Hashable, Future[V]] = {}
        with self._lock:
            for key in dict.fromkeys(keys):
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
                elif key in self._underway:
                    others[key] = self._underway[key]
                else:
                    mine[key] = self._underway[key] = Future()
        if mine:
            found.update(self._fetch(mine, fetch, keep))
        while others:
            key, future = others.popitem()
            try:
                found[key] = future.result()
            finally:
                del future  # a failure's traceback holds this frame, and must not be held by it
        return found

    def get(self, key: Hashable, fetch: Callable[[], V]) -> V:
        """Return one value, fetching it if nobody has it or is fetching it."""
        return self.get_many([key], lambda _: {key: fetch()})[key]

    def _fetch(
        self,
        mine: dict[Hashable, Future[V]],
        fetch: Callable[[list[Hashable]], Mapping[Hashable, V]],
        keep: bool,
    ) -> Mapping[Hashable, V]:
        """Fetch what this thread has claimed, and tell those who wait, also of a failure."""
        try:
            values = fetch(list(mine))
            with self._lock:
                for key, future in mine.items():
                    del self._underway[key]
                    if keep:
                        self._keep(key, values[key])
                    future.set_result(values[key])
            return values
        except BaseException as error:
            with self._lock:
                for key in mine:
                    self._underway.pop(key, None)
            # No future stays in this frame: the failure's traceback holds the frame, and each future the failure. In
            # such a circle all that was fetched would wait for the garbage collector.
            while mine:
                _end(mine.popitem()[1], error)
            raise

    def _keep(self, key: Hashable, value: V) -> None:
        nbytes = self._nbytes_of(value)
        if nbytes > self.max_nbytes:
            return
        self._kept[key] = value
        self._total += nbytes
        while self._total > self.max_nbytes:
            _, oldest = self._kept.popitem(last=False)
            self._total -= self._nbytes_of(oldest)


def _end(future: Future[V], error: BaseException) -> None:
    """Tell those who wait of a failure."""
    if not future.done():
        future.set_exception(error)

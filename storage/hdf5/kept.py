"""A memory of fetched bytes, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict


class Kept:
    """Runs of bytes of one file by where they begin; those that were asked for already make room first."""

    def __init__(self, max_nbytes: int) -> None:
        self.max_nbytes, self.nbytes = max_nbytes, 0
        self.unasked_nbytes = 0
        """Of what was fetched and not asked for yet."""
        self._asked: OrderedDict[int, bytes] = OrderedDict()
        self._unasked: OrderedDict[int, bytes] = OrderedDict()

    def __contains__(self, start: int) -> bool:
        return start in self._unasked or start in self._asked

    def get(self, start: int) -> bytes | None:
        """Return what begins here, None where it is not kept."""
        content = self._unasked.pop(start, None)
        if content is not None:
            self.unasked_nbytes -= len(content)
            self._asked[start] = content
        elif start in self._asked:
            self._asked.move_to_end(start)
        return self._asked.get(start)

    def put(self, start: int, content: bytes) -> None:
        """Keep what begins here and is not kept yet, and of the rest what fits beside it."""
        self._unasked[start] = content
        self.nbytes += len(content)
        self.unasked_nbytes += len(content)
        while self.nbytes > self.max_nbytes:
            if self._asked:
                _, gone = self._asked.popitem(last=False)
            else:
                _, gone = self._unasked.popitem(last=False)
                self.unasked_nbytes -= len(gone)
            self.nbytes -= len(gone)

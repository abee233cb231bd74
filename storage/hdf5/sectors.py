"""Small reads of a remote file, met by what surrounds them; reads that go forward, by ever longer runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from storage.hdf5.kept import Kept
from storage.ranges import ByteRange, coalesce, split

Fetch = Callable[[Sequence[ByteRange]], list[bytes]]

SECTOR_NBYTES = 64 * 1024
"""What surrounds a small read and is fetched with it."""

FIRST_SECTORS = 4
"""Fetched by the first read: most files have their groups and headers there."""

MAX_SECTORS_AHEAD = 64
LONG_NBYTES = MAX_SECTORS_AHEAD * SECTOR_NBYTES
"""A longer read is of samples, which nobody reads twice: it is fetched by itself and not kept."""


class Sectors:
    """The parts of a file around what was read, fetched once and kept as far as memory goes.

    Parameters
    ----------
    fetch : callable
        Returns the bytes of each range, exactly as long as asked.
    file_nbytes, max_nbytes : int
        Length of the file; how much of it is kept.
    """

    def __init__(self, fetch: Fetch, file_nbytes: int, max_nbytes: int) -> None:
        self.kept = Kept(max_nbytes)
        self._fetch, self._file_nbytes = fetch, file_nbytes
        self._n_ahead, self._next = FIRST_SECTORS, -1

    def read(self, part: ByteRange) -> bytes:
        """Return the bytes of a range of the file."""
        if part.nbytes > LONG_NBYTES:
            return b"".join(self._fetch(split(part)))
        numbers = self._numbers(part)
        contents = {number: self.kept.get(number) for number in numbers}
        missing = [number for number in numbers if contents[number] is None]
        if missing:
            contents |= self._fetch_from(missing[0], numbers.stop)
        return self._cut(part, [contents[number] or b"" for number in numbers])

    def at_hand(self, part: ByteRange) -> bytes | None:
        """Return the bytes of a range if that needs no fetching."""
        numbers = self._numbers(part)
        if not all(number in self.kept for number in numbers):
            return None
        return self._cut(part, [self.kept.get(number) or b"" for number in numbers])

    def _numbers(self, part: ByteRange) -> range:
        return range(part.byte_offset // SECTOR_NBYTES, (part.end - 1) // SECTOR_NBYTES + 1)

    def _cut(self, part: ByteRange, contents: list[bytes]) -> bytes:
        start = part.byte_offset % SECTOR_NBYTES
        joined = contents[0] if len(contents) == 1 else b"".join(contents)
        return joined[start : start + part.nbytes]

    def _fetch_from(self, first: int, stop: int) -> dict[int, bytes]:
        """Fetch the sectors of a read that are missing, and some after them."""
        if self._next >= 0:
            goes_forward = self._next <= first <= self._next + self._n_ahead
            self._n_ahead = min(2 * self._n_ahead, MAX_SECTORS_AHEAD) if goes_forward else 1
        n_sectors = -(-self._file_nbytes // SECTOR_NBYTES)
        self._next = min(max(stop, first + self._n_ahead), n_sectors)
        wanted = [self._sector(number) for number in range(first, self._next) if number not in self.kept]
        if self._n_ahead == FIRST_SECTORS and first == 0:
            self._n_ahead = 1
        groups = coalesce(wanted, max_gap_nbytes=0)
        fetched = {}
        for (span, sectors), content in zip(groups, self._fetch([span for span, _ in groups]), strict=True):
            for sector in sectors:
                start = sector.byte_offset - span.byte_offset
                number = sector.byte_offset // SECTOR_NBYTES
                fetched[number] = content[start : start + sector.nbytes]
        for number, content in fetched.items():
            self.kept.put(number, content)
        return fetched

    def _sector(self, number: int) -> ByteRange:
        start = number * SECTOR_NBYTES
        return ByteRange(start, min(SECTOR_NBYTES, self._file_nbytes - start))

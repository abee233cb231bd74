"""The one file that a child may read: ranges of one version of it, so many and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from storage.errors import FileChanged
from storage.hdf5.sectors import FIRST_SECTORS, SECTOR_NBYTES
from storage.ingest.sandbox.limits import Limits
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from storage.stores.backend import Content, Stat, file_name

BEGINNING_NBYTES = FIRST_SECTORS * SECTOR_NBYTES
"""Sent along with the task: what every parser asks for first."""


class Overasked(Exception):
    """A request for what the file does not have, or for too much; the text follows "it"."""


class PinnedFile:
    """One version of one file.

    Parameters
    ----------
    store : ObjectStore
    name : str
    stat : Stat
        Which version.
    local : file or None
        The open file, where it lies in a folder: it is read to its end, whatever happens to its name.
    limits : Limits
    """

    def __init__(self, store: ObjectStore, name: str, stat: Stat, local: BinaryIO | None, limits: Limits) -> None:
        self.name = file_name(name)
        self._store, self._key, self._stat, self._local, self._limits = store, name, stat, local, limits
        self._left_nbytes = limits.fetched_nbytes_for(stat.nbytes)
        if local is not None and os.fstat(local.fileno()).st_size != stat.nbytes:
            raise self._changed()

    def beginning(self) -> Content:
        """Return the first bytes; raises NotStored, StoreAway or FileChanged."""
        nbytes = min(BEGINNING_NBYTES, self._stat.nbytes)
        return self._fetch([ByteRange(0, nbytes)])[0] if nbytes else b""

    def answer(self, asked: Any) -> Sequence[Content]:
        """Return the ranges that a child asks for.

        Raises
        ------
        Overasked
        NotStored, StoreAway, FileChanged
        """
        return self._fetch(self._ranges(asked))

    def _ranges(self, asked: Any) -> list[ByteRange]:
        if not isinstance(asked, list) or not 0 < len(asked) <= self._limits.request_ranges:
            raise Overasked("asked for no list of ranges, or for too many")
        ranges = []
        for pair in asked:
            is_pair = isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair)
            if not is_pair or pair[0] < 0 or pair[1] <= 0 or pair[0] + pair[1] > self._stat.nbytes:
                raise Overasked("asked for bytes that are not in its file")
            ranges.append(ByteRange(*pair))
        nbytes = sum(part.nbytes for part in ranges)
        self._left_nbytes -= sum(max(part.nbytes, self._limits.range_nbytes) for part in ranges)
        if nbytes > self._limits.request_nbytes or self._left_nbytes < 0:
            raise Overasked("asked for more bytes than parsing its file can need")
        return ranges

    def _fetch(self, ranges: list[ByteRange]) -> Sequence[Content]:
        if self._local is None:
            return self._store.get_ranges(self._key, ranges, pin=self._stat.pin)
        contents = [os.pread(self._local.fileno(), part.nbytes, part.byte_offset) for part in ranges]
        if any(len(content) != part.nbytes for content, part in zip(contents, ranges, strict=True)):
            raise self._changed()
        return contents

    def _changed(self) -> FileChanged:
        return FileChanged(f"{self.name} was changed while it was read")


@contextmanager
def pinned(store: ObjectStore, name: str, stat: Stat, limits: Limits) -> Iterator[PinnedFile]:
    """Open one version of a file of any store; raises NotStored, StoreAway or FileChanged."""
    local = store.open_local(name)
    try:
        yield PinnedFile(store, name, stat, local, limits)
    finally:
        if local is not None:
            local.close()

"""The few files that a child may read: ranges of one version of each, so many and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from storage.errors import FileChanged
from storage.hdf5.sectors import FIRST_SECTORS, SECTOR_NBYTES
from storage.ingest.file_sets import Member
from storage.ingest.sandbox.limits import Limits
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from storage.stores.backend import Content, Stat, file_name

BEGINNING_NBYTES = FIRST_SECTORS * SECTOR_NBYTES
"""Sent along with the task: what every parser asks for first."""


class Overasked(Exception):
    """A request for what the file does not have, or for too much; the text follows "it"."""


@dataclass(slots=True)
class Budget:
    """How many bytes may still be fetched, of one file or of several together."""

    left_nbytes: int


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
    budget : Budget, optional
        That of the files of one recording; without it the file has its own.
    """

    def __init__(
        self,
        store: ObjectStore,
        name: str,
        stat: Stat,
        local: BinaryIO | None,
        limits: Limits,
        budget: Budget | None = None,
    ) -> None:
        self.name = file_name(name)
        self._store, self._key, self._stat, self._local, self._limits = store, name, stat, local, limits
        self._budget = budget or Budget(limits.fetched_nbytes_for(stat.nbytes))
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
        self._budget.left_nbytes -= sum(max(part.nbytes, self._limits.range_nbytes) for part in ranges)
        if nbytes > self._limits.request_nbytes or self._budget.left_nbytes < 0:
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


class OpenedSet:
    """The files of one recording, the one that tells of the others first; each is opened when it is first asked for.

    Parameters
    ----------
    store : ObjectStore
    members : sequence of Member
    limits : Limits
    """

    def __init__(self, store: ObjectStore, members: Sequence[Member], limits: Limits) -> None:
        self.members = members
        self.nbytes = sum(one.stat.nbytes for one in members if one.is_read)
        self._store, self._limits = store, limits
        self._budget = Budget(limits.fetched_nbytes_for(self.nbytes))
        self._opened: dict[int, PinnedFile] = {}
        self._stack = ExitStack()

    def __enter__(self) -> OpenedSet:
        """Open the first."""
        self._file(0)
        return self

    def __exit__(self, *_: object) -> None:
        """Close all."""
        self._stack.close()

    @property
    def used(self) -> list[Member]:
        """Those that were opened."""
        return [self.members[number] for number in sorted(self._opened)]

    def beginning(self) -> Content:
        """Return the first bytes of the first file; raises NotStored, StoreAway or FileChanged."""
        return self._file(0).beginning()

    def answer(self, asked: Any) -> Sequence[Content]:
        """Return the ranges of one of the files that a child asks for.

        Raises
        ------
        Overasked
        NotStored, StoreAway, FileChanged
        """
        if not isinstance(asked, list) or len(asked) != 2 or type(asked[0]) is not int:
            raise Overasked("asked for no list of ranges")
        number, ranges = asked
        if not 0 <= number < len(self.members) or not self.members[number].is_read:
            raise Overasked("asked for a file that it may not read")
        return self._file(number).answer(ranges)

    def _file(self, number: int) -> PinnedFile:
        if number not in self._opened:
            one = self.members[number]
            opened = pinned(self._store, one.url, one.stat, self._limits, self._budget)
            self._opened[number] = self._stack.enter_context(opened)
        return self._opened[number]


@contextmanager
def pinned(
    store: ObjectStore, name: str, stat: Stat, limits: Limits, budget: Budget | None = None
) -> Iterator[PinnedFile]:
    """Open one version of a file of any store; raises NotStored, StoreAway or FileChanged."""
    local = store.open_local(name)
    try:
        yield PinnedFile(store, name, stat, local, limits, budget)
    finally:
        if local is not None:
            local.close()

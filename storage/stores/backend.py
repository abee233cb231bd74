"""What every kind of store is to the rest of the service."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from storage.errors import PartsWrong, WrongLength
from storage.ranges import ByteRange
from storage.stores.named import split_place

Content = bytes | memoryview
"""What was fetched; read-only."""

Pieces = Iterable[bytes]
"""The bytes of a file or part, in order, some at a time."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store tells of a file without reading it."""

    nbytes: int
    pin: str
    """Changes whenever the content does: an ETag, or what stands for one."""
    modified_s: float | None = field(default=None, compare=False)
    """When it was last changed, in seconds since 1970, where the store tells."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the parts that make a file; they follow each other without gaps."""

    number: int
    """From 1."""
    byte_offset: int
    nbytes: int


CLOSED = (".zarr",)
"""Endings of folders that are one recording of many files, none of which is looked at."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a list."""

    name: str
    """Its location, or its URL."""
    stat: Stat
    modified_s: float
    """When it was last changed, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below a place."""

    files: list[Listed]
    """By name."""
    closed: list[str]
    """Folders that were not looked into."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Files that are not told of above, and why."""


class Reading(Protocol):
    """Reading one kind of store. A ``location`` is what follows the protocol: ``bucket/key`` or ``/folder/file``."""

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> Sequence[Content]:
        """Return the bytes of each range, exactly as long as asked, all of the file with this pin."""

    def stat(self, location: str) -> Stat:
        """Return size and pin."""

    def find(self, location: str) -> Listing:
        """Return the file, or all files below a folder or prefix."""


class Writing(Protocol):
    """Writing to one kind of store, and removing."""

    def put(self, location: str, content: bytes) -> None:
        """Store a whole file; it is there entirely or not at all."""

    def write(self, location: str, pieces: Pieces, at_most_nbytes: int) -> None:
        """Store a file as its bytes come, in bounded memory; it is there entirely or not at all."""

    def begin_parts(self, location: str) -> str | None:
        """Make ready for parts; return what the store calls the upload, if it has a name for it."""

    def put_part(self, location: str, upload: str | None, part: Part, pieces: Pieces) -> None:
        """Store one part as its bytes come; it counts once it is whole, and replaces the part of this number."""

    def list_parts(self, location: str, upload: str | None) -> dict[int, int]:
        """Return the lengths of the parts that are whole, by number."""

    def complete(self, location: str, upload: str | None, parts: Sequence[Part]) -> None:
        """Make the file of its parts; again, where that is done already, does nothing."""

    def remove(self, location: str) -> None:
        """Remove a file, if it is there, and all that unfinished writes and parts of it left."""

    def find_all(self, location: str) -> set[str]:
        """Return the locations below a prefix of which any byte is stored, also of what is not whole."""

    def presign_part(self, location: str, upload: str | None, part: Part, expires_s: int) -> str | None:
        """Return a URL that takes this part by PUT from anyone; None where the store has none."""


def file_name(name: str) -> str:
    """Return the last part of a key or URL: what may be shown to a caller of where a file lies."""
    place = split_place(name)
    return posixpath.basename((name if place is None else place[1]).rstrip("/")) or name


def is_unicode(name: str) -> bool:
    """Whether a file name is text: a file system takes any bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def made_for(hidden: str) -> str:
    """Return the name of the file that a hidden one was made for: keys have one dot in their names."""
    return ".".join(hidden.removeprefix(".").split(".")[:2])


def exactly(pieces: Pieces, part: Part) -> Iterator[bytes]:
    """Yield the pieces of a part; raises WrongLength where they are more or fewer than it has bytes."""
    nbytes = 0
    for piece in pieces:
        nbytes += len(piece)
        if nbytes > part.nbytes:
            raise WrongLength(f"part {part.number} has more than its {part.nbytes} bytes")
        yield piece
    if nbytes < part.nbytes:
        raise WrongLength(f"part {part.number} has {nbytes} of its {part.nbytes} bytes")


def require_parts(name: str, parts: Sequence[Part], there: Mapping[int, int]) -> None:
    """Raise PartsWrong, naming every part that is missing, has another length or does not belong to the file."""
    wrong = differences({part.number: part.nbytes for part in parts}, there)
    if wrong:
        raise PartsWrong(f"{len(wrong)} parts of {name} are not there as they should be", wrong)


def differences(wanted: Mapping[int, int], there: Mapping[int, int]) -> dict[int, str]:
    """Return what is wrong with parts by their number, given the lengths wanted and those found."""
    wrong = {}
    for number in sorted(wanted.keys() | there.keys()):
        if number not in there:
            wrong[number] = f"is missing; it has {wanted[number]} bytes"
        elif number not in wanted:
            wrong[number] = "is no part of this file"
        elif there[number] != wanted[number]:
            wrong[number] = f"has {there[number]} bytes instead of {wanted[number]}"
    return wrong

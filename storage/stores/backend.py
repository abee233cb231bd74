"""What every kind of store is to the rest of the service."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from storage.ranges import ByteRange

Content = bytes | memoryview
"""What was fetched; read-only."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store tells of a file without reading it."""

    nbytes: int
    pin: str
    """Changes whenever the content does: an ETag, or what stands for one."""


class Backend(Protocol):
    """One kind of store. A ``location`` is what follows the protocol: ``bucket/key`` or ``/folder/file``."""

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> Sequence[Content]:
        """Return the bytes of each range, exactly as long as asked, all of the file with this pin."""

    def stat(self, location: str) -> Stat:
        """Return size and pin."""

    def put(self, location: str, content: bytes) -> None:
        """Store a whole file; it is there entirely or not at all."""

    def list(self, location: str) -> list[str]:
        """Return the locations of the file or of all files below a folder or prefix, sorted."""


def file_name(name: str) -> str:
    """Return the last part of a key or URL: what may be shown to a caller of where a file lies."""
    return posixpath.basename(name.rstrip("/")) or name

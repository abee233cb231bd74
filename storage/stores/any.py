"""Any other store that fsspec knows, such as ``memory://``; correct rather than fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import fsspec

from storage.errors import FileChanged, NotStored, StoreAway
from storage.ranges import ByteRange
from storage.stores.backend import Content, Stat, file_name

VERSIONS = ("ETag", "etag", "version", "mtime", "LastModified", "modified", "created")
"""What the file systems of fsspec call what changes with the content, best first."""


class AnyStore:
    """A store reached through plain fsspec; asks for a file's version before and after each read."""

    def __init__(self, protocol: str) -> None:
        try:
            self._files = fsspec.filesystem(protocol)
        except (ValueError, ImportError, TypeError) as error:
            raise NotStored(f"no store is known for {protocol}:// ({error})") from error
        self._protocol = protocol

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> Sequence[Content]:
        """Return the bytes of each range, if the file has this pin before and after."""
        before = self.stat(location).pin
        paths = [self._path(location)] * len(ranges)
        starts, ends = [part.byte_offset for part in ranges], [part.end for part in ranges]
        try:
            parts = cast(list[bytes], self._files.cat_ranges(paths, starts, ends, on_error="raise"))
        except OSError as error:
            raise StoreAway(f"the store cannot read {file_name(location)}: {error}") from error
        complete = all(len(got) == part.nbytes for got, part in zip(parts, ranges, strict=True))
        if not complete or pin not in (None, before) or self.stat(location).pin != before:
            raise FileChanged(f"{file_name(location)} is not the file that was registered: it was changed since")
        return parts

    def stat(self, location: str) -> Stat:
        """Return size and pin."""
        try:
            found = self._files.info(self._path(location))
        except FileNotFoundError as error:
            raise NotStored(f"{file_name(location)} is not in the store") from error
        except OSError as error:
            raise StoreAway(f"the store cannot reach {file_name(location)}: {error}") from error
        if found["type"] != "file":
            raise NotStored(f"{file_name(location)} is not in the store: it is a folder")
        version = next((found[name] for name in VERSIONS if found.get(name) is not None), "")
        return Stat(int(found["size"]), f"{found['size']}-{version}")

    def put(self, location: str, content: bytes) -> None:
        """Store a whole file."""
        path = self._path(location)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, content)

    def list(self, location: str) -> list[str]:
        """Return the file itself, or all files below a folder."""
        top = self._path(location)
        found = sorted(self._files.find(top))
        if not found:
            raise NotStored(f"{file_name(location)} is not in the store")
        # A file system has its own spelling of paths; the caller gets the one that was asked with.
        return [location.rstrip("/") + str(path).removeprefix(top) for path in found]

    def _path(self, location: str) -> str:
        """Return what the file system calls a location."""
        return str(self._files._strip_protocol(f"{self._protocol}://{location}"))

"""Any other store that fsspec knows, such as ``memory://``; correct rather than fast."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, cast

import fsspec

from storage.errors import FileChanged, NotStored, StoreAway
from storage.ranges import MAX_RANGE_NBYTES, ByteRange
from storage.stores.backend import (
    CLOSED,
    Content,
    Listed,
    Listing,
    Part,
    Pieces,
    Stat,
    exactly,
    file_name,
    made_for,
    require_parts,
)

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
        return _stat(found)

    def put(self, location: str, content: bytes) -> None:
        """Store a whole file."""
        path = self._path(location)
        with _named_errors(location):
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content)

    def write(self, location: str, pieces: Pieces, at_most_nbytes: int) -> None:
        """Write under a hidden name and move; what fsspec has open becomes a file whatever goes wrong."""
        path = self._path(location)
        temporary = f"{self._hidden(path)}{secrets.token_hex(8)}"
        with _named_errors(location):
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                with self._files.open(temporary, "wb") as file:
                    for piece in pieces:
                        file.write(piece)
                self._files.mv(temporary, path)
            except BaseException:
                with suppress(OSError):
                    self._files.rm_file(temporary)
                raise

    def begin_parts(self, location: str) -> None:
        """Note that parts are awaited."""
        self.put(self._begun(location), b"parts are awaited")

    def put_part(self, location: str, upload: str | None, part: Part, pieces: Pieces) -> None:
        """Store a part as a hidden file of its own."""
        self.stat(self._begun(location))
        place = f"{self._begun(location)}{part.number}"
        self.write(place, exactly(pieces, part), part.nbytes)
        try:
            self.stat(self._begun(location))
        except NotStored:  # complete, or given up, while it came
            self.remove(place)
            raise

    def list_parts(self, location: str, upload: str | None) -> dict[int, int]:
        """Return the lengths of the parts that are whole, by number."""
        self.stat(self._begun(location))
        begun = self._path(self._begun(location))
        with _named_errors(location):
            found = self._files.ls(begun.rpartition("/")[0], detail=True)
        numbers = {str(one["name"]).rpartition(f"{file_name(begun)}")[2]: one for one in found}
        return {int(number): int(one["size"]) for number, one in numbers.items() if number.isdigit()}

    def complete(self, location: str, upload: str | None, parts: Sequence[Part]) -> None:
        """Copy the parts into the file, unless that is done already."""
        try:
            require_parts(file_name(location), parts, self.list_parts(location, upload))
        except NotStored:
            if self.stat(location).nbytes != sum(part.nbytes for part in parts):
                raise
            return
        self.write(location, self._joined(location, parts), sum(part.nbytes for part in parts))
        self._remove_hidden(location)

    def remove(self, location: str) -> None:
        """Remove a file, and all hidden ones that were made for it."""
        self._remove_hidden(location)
        with _named_errors(location), suppress(FileNotFoundError):
            self._files.rm_file(self._path(location))

    def find_all(self, location: str) -> set[str]:
        """Return the locations of all files below a folder, and those that hidden ones were made for."""
        top = self._path(location)
        with _named_errors(location):
            found = [location.rstrip("/") + str(path).removeprefix(top) for path in self._files.find(top)]
        return {
            f"{folder}/{made_for(name) if name.startswith('.') else name}"
            for folder, _, name in (one.rpartition("/") for one in found)
        }

    def presign_part(self, location: str, upload: str | None, part: Part, expires_s: int) -> None:
        """Return None: fsspec has no way for callers to write."""

    def _joined(self, location: str, parts: Sequence[Part]) -> Iterator[bytes]:
        for part in sorted(parts, key=lambda one: one.number):
            path = self._path(f"{self._begun(location)}{part.number}")
            for start in range(0, part.nbytes, MAX_RANGE_NBYTES):
                yield self._files.cat_file(path, start=start, end=min(start + MAX_RANGE_NBYTES, part.nbytes))

    def _remove_hidden(self, location: str) -> None:
        path = self._path(location)
        with _named_errors(location), suppress(FileNotFoundError):
            for one in self._files.ls(path.rpartition("/")[0], detail=False):
                if file_name(str(one)).startswith(file_name(self._hidden(path))):
                    self._files.rm_file(one)

    def _hidden(self, path: str) -> str:
        """Return how the hidden files begin that are made for a file."""
        folder, slash, name = path.rpartition("/")
        return f"{folder}{slash}.{name.removeprefix('.')}."

    def _begun(self, location: str) -> str:
        return f"{self._hidden(location)}part"

    def find(self, location: str) -> Listing:
        """Return the file itself, or all files below a folder."""
        top = self._path(location)
        with _named_errors(location):
            found = self._files.find(top, detail=True)
        if not found:
            raise NotStored(f"{file_name(location)} is not in the store")
        # A file system has its own spelling of paths; the caller gets the one that was asked with.
        own = {location.rstrip("/") + str(path).removeprefix(top): found[path] for path in sorted(found)}
        closed = {name: _closed_folder(name, len(location)) for name in own}
        files = [Listed(name, _stat(told), _modified_s(told)) for name, told in own.items() if closed[name] is None]
        return Listing(files, sorted({folder for folder in closed.values() if folder is not None}))

    def _path(self, location: str) -> str:
        """Return what the file system calls a location."""
        return str(self._files._strip_protocol(f"{self._protocol}://{location}"))


def _stat(found: Mapping[str, Any]) -> Stat:
    version = next((found[name] for name in VERSIONS if found.get(name) is not None), "")
    return Stat(int(found["size"]), f"{found['size']}-{version}")


def _modified_s(found: Mapping[str, Any]) -> float:
    moments = (found.get(name) for name in ("mtime", "LastModified", "modified", "created"))
    moment = next((one for one in moments if one is not None), 0.0)
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)


def _closed_folder(name: str, n_top: int) -> str | None:
    """Return the first folder on the way to a file that is not looked into."""
    parts = name[n_top:].split("/")
    for number, part in enumerate(parts[:-1]):
        if part.lower().endswith(CLOSED):
            return name[:n_top] + "/".join(parts[: number + 1])
    return None


@contextmanager
def _named_errors(location: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotStored(f"{file_name(location)} is not in the store") from error
    except OSError as error:
        raise StoreAway(f"the store cannot write {file_name(location)}: {error}") from error

"""Files in folders, read through one descriptor, so that no two versions of a file can mix."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from storage.errors import FileChanged, NotStored, StoreAway, StoreFull
from storage.ranges import ByteRange
from storage.stores import folder_parts
from storage.stores.backend import CLOSED, Content, Listed, Listing, Part, Pieces, Stat, file_name, is_unicode, made_for

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


NOT_FOLLOWED = "it is, or lies behind, a link, which is not followed; register the file that it leads to"
NOT_UNICODE = "its name is not UTF-8; give it another"


class Folder:
    """The ``file://`` store; a location is an absolute path.

    Parameters
    ----------
    links_within : str, optional
        Folder within which links may lead; elsewhere they are not followed, as others may make them. None is nowhere.
    """

    def __init__(self, links_within: str | None = "/") -> None:
        self._links_within = None if links_within is None else os.path.realpath(links_within)

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> Sequence[Content]:
        """Return the bytes of each range; the file must have this pin before and after."""
        with _named_errors(location), _opened(location) as file:
            descriptor = file.fileno()
            before = _pin(os.fstat(descriptor))
            parts = [_pread(descriptor, part) for part in ranges]
            after = _pin(os.fstat(descriptor))
        complete = all(len(got) == part.nbytes for got, part in zip(parts, ranges, strict=True))
        if not complete or before != after or pin not in (None, before):
            raise FileChanged(f"{file_name(location)} is not the file that was registered: it was changed since")
        return parts

    def stat(self, location: str) -> Stat:
        """Return size and pin."""
        with _named_errors(location):
            found = Path(location).stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotStored(f"{file_name(location)} is not in the store: it is not a file")
        if self._leads_out(location):
            raise NotStored(f"{file_name(location)} is not served: {NOT_FOLLOWED}")
        return Stat(found.st_size, _pin(found), found.st_mtime)

    def open(self, location: str) -> BinaryIO:
        """Open a file for parsing."""
        with _named_errors(location):
            return _opened(location)

    def put(self, location: str, content: bytes) -> None:
        """Write beside the place and rename, so that no reader ever sees a part."""
        self.write(location, [content], len(content))

    def write(self, location: str, pieces: Pieces, at_most_nbytes: int) -> None:
        """Write beside the place and rename, so that no reader ever sees a part."""
        path = Path(location)
        with _named_errors(location):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with open(descriptor, "wb", buffering=0) as file:
                    offset = 0
                    for piece in pieces:
                        folder_parts.write_at(file.fileno(), piece, offset)
                        offset += len(piece)
                    os.fsync(file.fileno())
                folder_parts.settle(Path(temporary), path)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise

    def begin_parts(self, location: str) -> None:
        """Make ready for parts."""
        with _named_errors(location):
            folder_parts.begin(Path(location))

    def put_part(self, location: str, upload: str | None, part: Part, pieces: Pieces) -> None:
        """Write a part at its place in a hidden file."""
        with _named_errors(location):
            folder_parts.put_part(Path(location), part, pieces)

    def list_parts(self, location: str, upload: str | None) -> dict[int, int]:
        """Return the lengths of the parts that are whole, by number."""
        with _named_errors(location):
            return folder_parts.list_parts(Path(location))

    def complete(self, location: str, upload: str | None, parts: Sequence[Part]) -> None:
        """Make the file of its parts, by giving it its name."""
        with _named_errors(location):
            folder_parts.complete(Path(location), parts)

    def remove(self, location: str) -> None:
        """Remove a file, and all hidden ones that were made for it."""
        path = Path(location)
        with _named_errors(location):
            for found in _made_for(path):
                found.unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def find_all(self, location: str) -> set[str]:
        """Return the paths of all files below a folder, and those that hidden ones were made for."""
        with _named_errors(location):
            return {
                str(Path(parent, made_for(name) if name.startswith(".") else name))
                for parent, _, files in os.walk(location)
                for name in files
            }

    def presign_part(self, location: str, upload: str | None, part: Part, expires_s: int) -> None:
        """Return None: a folder takes nothing over HTTP."""

    def find(self, location: str) -> Listing:
        """Return the file itself, or all files below a folder that are not hidden."""
        path = Path(location)
        with _named_errors(location):
            if not path.is_dir():
                found = self.stat(location)
                return Listing([Listed(location, found, found.modified_s or 0.0)], [])
            listing = Listing([], [])
            self._walk(path, listing)
        listing.files.sort(key=lambda one: one.name)
        listing.closed.sort()
        return listing

    def require_there(self, location: str, top: str) -> None:
        """Raise StoreAway where a file that is not found may only not be reached: ``top`` is that of the store.

        What is not mounted is an empty folder, or none at all.
        """
        place = Path(location).parent
        while not place.is_dir() and place != Path(top) and place != place.parent:
            place = place.parent
        is_bare = not place.is_dir() or not any(place.iterdir())
        if is_bare and (place == Path(top) or place != Path(location).parent):
            raise StoreAway(f"whether {file_name(location)} is there cannot be told: {place.name or place} is empty")

    def _leads_out(self, location: str) -> bool:
        """Whether a path leads by a link to where none may."""
        real = os.path.realpath(location)
        if self._links_within is None:
            return real != os.path.normpath(location)
        return self._links_within != "/" and not f"{real}/".startswith(f"{self._links_within}/")

    def _walk(self, folder: Path, listing: Listing) -> None:
        """List all regular files below a folder but hidden ones, without following links to folders."""
        for parent, folders, files in os.walk(folder):
            closed = [name for name in folders if name.lower().endswith(CLOSED)]
            listing.closed.extend(str(Path(parent, name)) for name in closed)
            folders[:] = [name for name in folders if not name.startswith(".") and name not in closed]
            for name in files:
                if name.startswith("."):
                    continue
                with suppress(FileNotFoundError, PermissionError):  # removed meanwhile, or a link to nowhere
                    self._list(str(Path(parent, name)), listing)

    def _list(self, location: str, listing: Listing) -> None:
        found = Path(location).stat()
        if not stat.S_ISREG(found.st_mode):
            return
        if Path(location).is_symlink() and self._leads_out(location):
            listing.left_out.append((location, NOT_FOLLOWED))
        elif not is_unicode(location):
            listing.left_out.append((location, NOT_UNICODE))
        else:
            listing.files.append(Listed(location, Stat(found.st_size, _pin(found)), found.st_mtime))


def _opened(location: str) -> BinaryIO:
    """Open a regular file; anything else, such as a pipe, could keep a reader waiting for ever."""
    descriptor = os.open(location, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(location)
    return open(descriptor, "rb", buffering=0)


def _made_for(path: Path) -> list[Path]:
    """Return the hidden files beside a place that are named after it."""
    try:
        with os.scandir(path.parent) as found:
            return [Path(one.path) for one in found if one.name.startswith(f".{path.name}.")]
    except FileNotFoundError:
        return []


def _pin(found: os.stat_result) -> str:
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"


def _pread(descriptor: int, part: ByteRange) -> bytes:
    """Read a whole range; Linux gives at most 2 GiB at once."""
    got = os.pread(descriptor, part.nbytes, part.byte_offset)
    while len(got) < part.nbytes:
        more = os.pread(descriptor, part.nbytes - len(got), part.byte_offset + len(got))
        if not more:
            break
        got += more
    return got


@contextmanager
def _named_errors(location: str) -> Iterator[None]:
    name = file_name(location)
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotStored(f"{name} is not in the store") from error
    except OSError as error:
        if error.errno in FULL:
            raise StoreFull(f"the store has no room for {name}") from error
        raise StoreAway(f"the store cannot reach {name}: {error.strerror or type(error).__name__}") from error

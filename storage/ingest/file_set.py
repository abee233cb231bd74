"""The files of one recording as whoever parses them sees them: names, lengths and byte ranges, no file system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.errors import Refused, StillWritten, StorageError
from storage.hdf5.remote_file import Ask
from storage.ranges import ByteRange

MAX_TEXT_NBYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files by name; the name is the path from where the main one lies."""

    main: str
    """The one that tells of the others."""
    nbytes: Mapping[str, int]
    asks: Mapping[str, Ask]
    """Of those that may be read, what returns the bytes of ranges, exactly as long as asked."""
    is_left_alone: bool = False
    """Whether nothing of it was changed for so long that nobody will complete it."""

    def not_whole(self, reason: str) -> StorageError:
        """Return what to raise of a part that is not whole: that it waits, or that it is refused."""
        if self.is_left_alone:
            return Refused(f"{reason}, and nothing was added for a day")
        return StillWritten(reason)

    def read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Return byte ranges of a file.

        Raises
        ------
        Refused
            If there is no such file, or it is shorter.
        """
        if name not in self.asks:
            raise Refused(f"its file {name!r} is not there")
        if any(part.end > self.nbytes[name] for part in ranges):
            raise Refused(f"its file {name!r} is shorter than it says: it is damaged, or was cut off")
        return [bytes(content) for content in self.asks[name](ranges)] if ranges else []

    def text(self, name: str) -> str:
        """Return a short file as text; raises Refused where it is none."""
        nbytes = self.nbytes.get(name, 0)
        if nbytes > MAX_TEXT_NBYTES:
            raise Refused(f"its file {name!r} has {nbytes} bytes, more than a text of {MAX_TEXT_NBYTES >> 20} MiB")
        (content,) = self.read(name, [ByteRange(0, nbytes)]) if nbytes else [b""]
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("latin-1")

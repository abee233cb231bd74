"""A file of which every byte comes from one function, as libhdf5 reads it: in few requests."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from storage.hdf5.look_ahead import LookAhead
from storage.hdf5.sectors import Sectors
from storage.ranges import ByteRange

Ask = Callable[[Sequence[ByteRange]], Sequence[bytes | memoryview]]

MAX_SECTORS_NBYTES = 32 << 20
MAX_NODES_NBYTES = 64 << 20
"""The nodes of a version-1 B-tree of 1.7 million chunks."""


class RemoteFile(io.RawIOBase):
    """A file for ``h5py.File``.

    Parameters
    ----------
    fetch : callable
        Returns the bytes of each range, exactly as long as asked.
    nbytes : int
        Of the whole file.
    max_nodes_nbytes : int
        How much is kept of the nodes of chunk indices that were fetched ahead.

    Notes
    -----
    libhdf5 walks a chunk index node by node, and each node tells where the next ones are: over a network,
    minutes for 100,000 chunks. Here the first node that it reads leads to all others, level by level, those
    of one level side by side. Yet it always gets the bytes of the place that it asks for: the look-ahead can
    be wrong about what will be needed, not about what is there.
    """

    def __init__(self, fetch: Ask, nbytes: int, *, max_nodes_nbytes: int = MAX_NODES_NBYTES) -> None:
        super().__init__()
        self._ask, self._nbytes, self._offset = fetch, nbytes, 0
        self._failure: Exception | None = None
        self._sectors = Sectors(self._fetch, nbytes, MAX_SECTORS_NBYTES)
        self._ahead = LookAhead(self._fetch, self._sectors, nbytes, max_nodes_nbytes)

    @property
    def kept_nbytes(self) -> int:
        """Bytes of the file that are in memory."""
        return self._sectors.kept.nbytes + self._ahead.kept.nbytes

    def raise_failure(self) -> None:
        """Raise what a fetch failed with, whatever libhdf5 or h5py made of that."""
        if self._failure is not None:
            raise self._failure

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set where the next read begins."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._nbytes}[whence]
        self._offset = max(0, origin + offset)
        return self._offset

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer as far as the file goes."""
        target = memoryview(buffer).cast("B")
        nbytes = max(0, min(len(target), self._nbytes - self._offset))
        # h5py does not look at the length, and would take what was in this memory before for content of the file.
        target[nbytes:] = bytes(len(target) - nbytes)
        if not nbytes:
            return 0
        target[:nbytes] = self._read(ByteRange(self._offset, nbytes))
        self._offset += nbytes
        return nbytes

    def _read(self, part: ByteRange) -> bytes:
        content = self._ahead.get(part)
        if content is None:
            content = self._sectors.read(part)
        self._ahead.note(part.byte_offset, content)
        return content

    def _fetch(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Fetch, but never again after a failure: libhdf5 would go on asking."""
        self.raise_failure()
        try:
            # As bytes: what is cut from them and kept then does not hold all that was fetched with it.
            return [bytes(content) for content in self._ask(ranges)]
        except Exception as error:
            self._failure = error
            raise

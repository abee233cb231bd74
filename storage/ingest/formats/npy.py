"""Arrays in ``.npy`` files, read by ranges; of plain types only, and nothing in them is executed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.file_set import FileSet
from storage.ranges import ByteRange

MAGIC = b"\x93NUMPY"
HEAD_NBYTES = 4096
HEAD = re.compile(
    r"\{\s*'descr':\s*'(?P<dtype>[<>|=]?[biufSU]\d{1,6})',\s*'fortran_order':\s*(?P<fortran>True|False),"
    r"\s*'shape':\s*\((?P<shape>[\d, ]*)\),?\s*\}\s*",
    re.ASCII,
)
MAX_NBYTES = 64 << 20
"""Of an array that is read whole."""


@dataclass(frozen=True, slots=True)
class Npy:
    """One array in a file of a recording."""

    files: FileSet
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    byte_offset: int
    """Of the first value."""

    @classmethod
    def of(cls, files: FileSet, name: str) -> Npy:
        """Read the head of a file; raises Refused where it is none."""
        nbytes = files.nbytes.get(name, 0)
        (begin,) = files.read(name, [ByteRange(0, min(HEAD_NBYTES, nbytes))]) if nbytes else [b""]
        width = {1: 2, 2: 4, 3: 4}.get(begin[6] if len(begin) > 12 else 0)
        if begin[:6] != MAGIC or width is None:
            raise Refused(f"its file {name!r} is no .npy file")
        start = 8 + width
        stop = start + int.from_bytes(begin[8:start], "little")
        match = HEAD.fullmatch(begin[start:stop].decode("latin-1").strip()) if stop <= len(begin) else None
        if match is None:
            raise Refused(f"its file {name!r} holds no plain array")
        dtype = np.dtype(match["dtype"])
        shape = tuple(int(length) for length in match["shape"].split(",") if length.strip())
        if match["fortran"] == "True" and len(shape) > 1:
            raise Refused(f"its file {name!r} is in Fortran's order")
        if not dtype.itemsize or stop + prod(shape) * dtype.itemsize > nbytes:
            raise Refused(f"its file {name!r} is shorter than it says: it is damaged, or was cut off")
        return cls(files, name, dtype, shape, stop)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self.shape[0] if self.shape else 1

    def at(self, places: Sequence[int]) -> NDArray[Any]:
        """Return single values of a one-dimensional array, fetched together."""
        size = self.dtype.itemsize
        ranges = [ByteRange(self.byte_offset + place * size, size) for place in places]
        return np.frombuffer(b"".join(self.files.read(self.name, ranges)), self.dtype)

    def whole(self) -> NDArray[Any]:
        """Return all values; raises Refused where they are too many."""
        nbytes = prod(self.shape) * self.dtype.itemsize
        if nbytes > MAX_NBYTES:
            raise Refused(f"its file {self.name!r} has {nbytes} bytes, too many to copy")
        content = self.files.read(self.name, [ByteRange(self.byte_offset, nbytes)])[0] if nbytes else b""
        return np.frombuffer(content, self.dtype).reshape(self.shape)

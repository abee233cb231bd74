"""The files of one recording as its parsers see them: names and byte ranges, and nothing of a file system."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike, NDArray

from storage.errors import Refused
from storage.hdf5.remote_file import Ask
from storage.hdf5.sectors import Sectors
from storage.ranges import ByteRange

KEPT_NBYTES = 64 << 20
"""Of all files of a recording together."""
MIN_KEPT_NBYTES = 1 << 20
AT_ONCE_NBYTES = 8 << 20
"""Parts of files that are longer stay where they are until less of them is asked for."""


@dataclass(frozen=True, slots=True)
class RecordingFiles:
    """The files of one recording, by name; a name has no folder."""

    fetch: Mapping[str, Ask]
    """Of each file, what returns the bytes of ranges, exactly as long as asked."""
    nbytes: Mapping[str, int]
    _sectors: dict[str, Sectors]

    @classmethod
    def of(cls, fetch: Mapping[str, Ask], nbytes: Mapping[str, int]) -> RecordingFiles:
        """Return a set whose files are kept in memory as far as that goes."""
        kept_nbytes = max(MIN_KEPT_NBYTES, KEPT_NBYTES // max(len(fetch), 1))
        sectors = {
            name: Sectors(_as_bytes(ask), nbytes[name], kept_nbytes) for name, ask in fetch.items() if nbytes[name]
        }
        return cls(fetch, nbytes, sectors)

    def name_of(self, path: Any) -> str | None:
        """Return which file a path of a parser means: folders count for nothing, and case only where it must."""
        name = posixpath.basename(str(path).replace("\\", "/"))
        if name in self.nbytes:
            return name
        alike = [known for known in self.nbytes if known.lower() == name.lower()]
        return alike[0] if len(alike) == 1 else None

    def require(self, path: Any) -> str:
        """Return which file a path means; raises Refused where there is none."""
        name = self.name_of(path)
        if name is None:
            missing = posixpath.basename(str(path).replace("\\", "/"))
            raise Refused(f"its file {missing!r} is not with it: import them together")
        return name

    def read(self, name: str, offset: int, nbytes: int) -> bytes:
        """Return a part of a file, cut where the file ends."""
        nbytes = min(nbytes, self.nbytes[name] - offset)
        return self._sectors[name].read(ByteRange(offset, nbytes)) if nbytes > 0 and offset >= 0 else b""

    def open(self, path: Any, mode: str = "r", *_: Any, encoding: str | None = None, **__: Any) -> io.IOBase:
        """Open a file for reading, as ``open`` does."""
        if set(mode) - set("rbtU"):
            raise Refused("what parses it would write to it")
        raw = SetFile(self, self.require(path))
        if "b" in mode:
            return io.BufferedReader(raw)
        content = raw.read()
        return io.StringIO(decoded(content, encoding), newline=None)

    def array(self, path: Any, dtype: DTypeLike, offset: int, shape: tuple[int, ...] | None) -> Any:
        """Return numbers of a file: read at once where they are few, else when they are asked for."""
        name = self.require(path)
        kind = np.dtype(dtype)
        left_nbytes = self.nbytes[name] - offset
        if shape is None:
            if offset < 0 or left_nbytes < 0 or kind.itemsize == 0 or left_nbytes % kind.itemsize:
                raise Refused(f"the length of {name!r} does not fit what is in it: it is damaged, or was cut off")
            shape = (left_nbytes // kind.itemsize,)
        if offset < 0 or any(length < 0 for length in shape) or prod(shape) * kind.itemsize > left_nbytes:
            raise Refused(f"{name!r} is shorter than it says: it is damaged, or was cut off")
        return Stored(self, name, kind, offset, shape).at_hand()


class SetFile(io.RawIOBase):
    """One file of a set, opened."""

    def __init__(self, files: RecordingFiles, name: str) -> None:
        super().__init__()
        self._files, self.name, self._offset = files, name, 0

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
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._files.nbytes[self.name]}[whence]
        if origin + offset < 0:
            raise ValueError("a place before the beginning of a file")
        self._offset = int(origin + offset)
        return self._offset

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as the file goes."""
        target = memoryview(buffer).cast("B")
        content = self._files.read(self.name, self._offset, len(target))
        target[: len(content)] = content
        self._offset += len(content)
        return len(content)


@dataclass(frozen=True, slots=True)
class Stored(NDArrayOperatorsMixin):
    """Numbers of a file that were not read yet; parts of it are arrays, or parts as large stay here."""

    files: RecordingFiles
    name: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    field: str | None = None
    """Of structured numbers, the one that is meant."""

    def at_hand(self) -> Any:
        """Return these numbers as an array where they are few."""
        return self if self._nbytes > AT_ONCE_NBYTES else self.__array__()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def _nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        content = self.files.read(self.name, self.offset, self._nbytes)
        found = np.frombuffer(content, self.dtype).reshape(self.shape)
        found = found if self.field is None else found[self.field]
        return found if dtype is None else found.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        plain = [np.asarray(one) if isinstance(one, Stored) else one for one in inputs]
        return getattr(ufunc, method)(*plain, **more)

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if self.field is not None or key not in (self.dtype.names or ()):
                raise KeyError(key)
            inner = self.dtype[key]
            if not inner.shape:
                return Stored(self.files, self.name, self.dtype, self.offset, self.shape, key)
            return StoredRows(self, key, inner.shape)
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, int | np.integer):
            place = int(first) + (len(self) if first < 0 else 0)
            if not 0 <= place < len(self):
                raise IndexError(f"{place} of {len(self)}")
            row = np.asarray(self._rows(place, place + 1))[0]
            return row[tuple(rest)] if rest else row
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            if step > 0 and not rest:
                rows = self._rows(start, max(start, stop)).at_hand()
                return rows if step == 1 else np.asarray(rows)[::step]
            if step > 0:
                return np.asarray(self._rows(start, max(start, stop)))[(slice(None, None, step), *rest)]
        return np.asarray(self)[key]

    def _rows(self, start: int, stop: int) -> Stored:
        row_nbytes = prod(self.shape[1:]) * self.dtype.itemsize
        shape = (stop - start, *self.shape[1:])
        return Stored(self.files, self.name, self.dtype, self.offset + start * row_nbytes, shape, self.field)

    def view(self, dtype: DTypeLike) -> Any:
        """Return the same bytes as other numbers."""
        kind = np.dtype(dtype)
        if self.ndim != 1 or self._nbytes % kind.itemsize:
            raise ValueError("the bytes do not fit this type")
        return Stored(self.files, self.name, kind, self.offset, (self._nbytes // kind.itemsize,)).at_hand()

    def reshape(self, *shape: Any) -> Any:
        """Return the same numbers in another shape."""
        lengths = list(shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape)
        if -1 in lengths:
            known = prod(length for length in lengths if length != -1)
            lengths[lengths.index(-1)] = self.size // known if known else 0
        if prod(lengths) != self.size:
            raise ValueError(f"{self.shape} cannot be of the shape {lengths}")
        return Stored(self.files, self.name, self.dtype, self.offset, tuple(lengths), self.field).at_hand()

    def flatten(self) -> NDArray[Any]:
        """Return all numbers in one row."""
        return np.asarray(self).flatten()


@dataclass(frozen=True, slots=True)
class StoredRows:
    """A field of structured numbers that has a shape of its own, such as the samples of each record."""

    records: Stored
    field: str
    inner: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of it."""
        return (*self.records.shape, *self.inner)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one number."""
        return self.records.dtype[self.field].base

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        found: NDArray[Any] = np.asarray(self.records)[self.field]
        return found if dtype is None else found.astype(dtype)

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        records = self.records[first]
        if isinstance(records, Stored):
            return records[self.field] if not rest else np.asarray(records[self.field])[(slice(None), *rest)]
        found = records[self.field]
        return (
            found[(slice(None), *rest)] if rest and isinstance(first, slice) else found[tuple(rest)] if rest else found
        )

    def flatten(self) -> NDArray[Any]:
        """Return all numbers in one row."""
        return np.asarray(self).flatten()


def decoded(content: bytes, encoding: str | None = None) -> str:
    """Return the text of a file: UTF-8 where it is that, else as Windows writes it in Western Europe."""
    for name in (encoding or "utf-8-sig", "utf-8-sig"):
        try:
            return content.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("latin-1")


def _as_bytes(ask: Ask) -> Any:
    return lambda ranges: [bytes(content) for content in ask(ranges)]

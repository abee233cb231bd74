"""An array as an HDF5 file of one dataset, streamed.

What stands before the values of a contiguous dataset depends on them only by their number. So HDF5 writes, once for
each array, a file whose values are a hole; its beginning is the mould of every answer from that array, in which a
few numbers are set before the values follow.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from typing import Any

import h5py
import numpy as np

from app.encoders.form import Attribute, Body, Form, checked
from storage.hdf5.chunk import Samples

MEDIA_TYPE = "application/x-hdf5"
PAGE_NBYTES = 4096
MAX_COMPACT = 64
"""Attributes kept in the object header, where the simpler readers look; one above 64 kB moves all of them out."""

MAX_ITEMS = 512
"""Of a list in a mould; it must fit into an object header from before HDF5 1.8, and not take much memory."""

MOULDS = 256
"""Arrays of which a process keeps the mould: 3 kB each, up to 70 kB with what their channels are called."""

N_ROWS = 0x1B2D4F6183
"""Stands in a mould for the number of rows: so many that HDF5 puts the values behind all else."""

MAX_NBYTES = 1 << 62

NUMBER = 0x2A4C6E8193A5C700
"""Stands in a mould for the first attribute that is a number; each next one is one more."""

TEXT = h5py.string_dtype()


def encode(form: Form, windows: Iterator[Samples]) -> Body:
    """Return the array as a file that HDF5 1.8 and later read; equal forms and values give equal bytes.

    References
    ----------
    G-Node Data API, "Working with Arrays": one dataset in the root, named by the global id of the array.
    """
    head, tail = _around(form)
    return Body(MEDIA_TYPE, len(head) + form.nbytes + len(tail), _content(head, form, windows, tail))


def _content(head: bytes, form: Form, windows: Iterator[Samples], tail: bytes) -> Iterator[bytes]:
    yield head
    for window in checked(form, windows):
        yield window.tobytes()
    yield tail


def _around(form: Form) -> tuple[bytes, bytes]:
    """Return everything before and everything after the values."""
    is_long = any(isinstance(value, list) and _n_items(value) > MAX_ITEMS for value in form.attributes.values())
    if is_long or not form.nbytes:  # an empty dataset lies nowhere
        return _written(form, h5py.h5f.LIBVER_V18)
    told = tuple((name, _told(value)) for name, value in form.attributes.items())
    mould = _mould(form.guid, form.shape[1:], form.dtype, told)
    return _written(form, h5py.h5f.LIBVER_V18) if mould is None else (mould.cast(form), b"")


def _told(value: Attribute) -> Hashable:
    """Return what a mould depends on: of a number only its type."""
    if isinstance(value, list):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return (float if isinstance(value, float) else int) if _is_number(value) else value


@dataclass(frozen=True, slots=True)
class Mould:
    """The bytes before the values, and the byte offsets in them of the numbers that differ between answers."""

    head: bytes
    rows: Sequence[int]
    nbytes: Sequence[int]
    """Of the values."""
    ends: Sequence[int]
    """Of the file."""
    numbers: Mapping[str, Sequence[int]]
    """Of each attribute that is a number."""

    def cast(self, form: Form) -> bytes:
        """Return the head of one answer."""
        head = bytearray(self.head)
        numbers = [(self.rows, form.shape[0]), (self.nbytes, form.nbytes), (self.ends, len(head) + form.nbytes)]
        numbers += [(places, form.attributes[name]) for name, places in self.numbers.items()]  # type: ignore[misc]
        for places, number in numbers:
            for place in places:
                head[place : place + 8] = _stored(number)
        return bytes(head)


@lru_cache(maxsize=MOULDS)
def _mould(
    guid: str, row_shape: tuple[int, ...], dtype: np.dtype[Any], told: tuple[tuple[str, Any], ...]
) -> Mould | None:
    """Make the mould of the answers with this name, form and attributes; of numbers only the type is told.

    None where it cannot be told what in it is such a number: a text may look like one.
    """
    attributes: dict[str, Attribute] = {}
    for place, (name, value) in enumerate(told):
        if value is int:
            attributes[name] = NUMBER + place
        elif value is float:
            (attributes[name],) = struct.unpack("<d", struct.pack("<q", NUMBER + place))
        else:
            attributes[name] = list(value) if isinstance(value, tuple) else value
    form = Form(guid, (N_ROWS, *row_shape), dtype, attributes)
    if form.nbytes > MAX_NBYTES:
        return None
    head, tail = _written(form, h5py.h5f.LIBVER_EARLIEST)  # whose blocks have no checksums
    rows, nbytes, ends = (_places(head, number) for number in (N_ROWS, form.nbytes, len(head) + form.nbytes))
    numbers = {name: _places(head, value) for name, value in attributes.items() if _is_number(value)}
    once = all(len(places) == 1 for places in (ends, *numbers.values()))
    # The number of rows stands twice, as it is and as the most that it may become; of rows of one byte, once more.
    is_clear = once and (len(rows), len(nbytes)) == ((3, 3) if form.nbytes == N_ROWS else (2, 1))
    return Mould(head, rows, nbytes, ends, numbers) if is_clear and not tail else None


def _places(head: bytes, number: Any) -> Sequence[int]:
    """Return where a number stands."""
    stored, places = _stored(number), []
    place = head.find(stored)
    while place >= 0:
        places.append(place)
        place = head.find(stored, place + 1)
    return places


def _stored(number: Any) -> bytes:
    return struct.pack("<d" if isinstance(number, float) else "<q", number)


def _n_items(value: list[Any]) -> int:
    """Return how many items a list has, those of lists in it counted."""
    return sum(len(item) if isinstance(item, list) else 1 for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _written(form: Form, version: int) -> tuple[bytes, bytes]:
    """Return what HDF5 writes before and after the values, in the format of a version."""
    content = SparseFile()
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(version, h5py.h5f.LIBVER_V18)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, content)
    file = h5py.h5f.create(b"an answer", h5py.h5f.ACC_TRUNC, fapl=access)
    dataset = _created(file, form)
    for name, value in form.attributes.items():
        _tell(dataset, name, value)
    _allocate(dataset, form)
    byte_offset = dataset.get_offset()
    dataset.close()
    file.close()
    if byte_offset is None:
        return content.between(0, content.nbytes), b""
    return content.between(0, byte_offset), content.between(byte_offset + form.nbytes, content.nbytes)


def _created(file: h5py.h5f.FileID, form: Form) -> h5py.h5d.DatasetID:
    """Create the dataset, for which no place is taken yet."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_layout(h5py.h5d.CONTIGUOUS)
    made.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    made.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    made.set_obj_track_times(False)
    made.set_attr_phase_change(MAX_COMPACT, MAX_COMPACT)
    return h5py.h5d.create(file, form.guid.encode(), _type(form), h5py.h5s.create_simple(form.shape), made)


def _type(form: Form) -> h5py.h5t.TypeID:
    dtype = form.dtype if form.dtype.kind != "S" else h5py.string_dtype("utf-8", form.dtype.itemsize)
    return h5py.h5t.py_create(dtype, logical=True)


def _allocate(dataset: h5py.h5d.DatasetID, form: Form) -> None:
    """Take the place for all values, behind everything else, by writing the last one."""
    if form.nbytes:
        last = dataset.get_space()
        last.select_hyperslab(tuple(length - 1 for length in form.shape), (1,) * len(form.shape))
        one = h5py.h5s.create_simple((1,))
        dataset.write(one, last, np.zeros(1, form.dtype), mtype=_type(form))


def _tell(dataset: h5py.h5d.DatasetID, name: str, value: Attribute) -> None:
    """Create an attribute; strings are of variable length, which h5py gives back as str."""
    if isinstance(value, str):
        values = np.array(_storable(value), TEXT)
    elif isinstance(value, list) and any(isinstance(item, str) for item in value):
        values = np.array([_storable(str(item)) for item in value], TEXT)
    else:
        values = np.asarray(value)
    stored = h5py.h5t.py_create(values.dtype, logical=True)
    attribute = h5py.h5a.create(dataset, name.encode(), stored, h5py.h5s.create_simple(values.shape))
    attribute.write(values)
    attribute.close()


def _storable(text: str) -> str:
    """Return a text without what a C string in UTF-8 cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


class SparseFile(RawIOBase):
    """A file in memory of which only the pages written to exist; all others read as zeros."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._byte_offset = 0
        self._pages: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(PAGE_NBYTES))

    def between(self, start: int, stop: int) -> bytes:
        """Return the bytes of ``[start, stop)``."""
        parts = []
        while start < stop:
            page, first = divmod(start, PAGE_NBYTES)
            part = self._pages.get(page, bytes(PAGE_NBYTES))[first : first + stop - start]
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def write(self, data: Any, /) -> int:
        """Write at the current byte offset."""
        start = self._byte_offset
        with memoryview(data).cast("B") as rest:
            written = 0
            while written < len(rest):
                page, first = divmod(start + written, PAGE_NBYTES)
                part = rest[written : written + PAGE_NBYTES - first]
                self._pages[page][first : first + len(part)] = part
                written += len(part)
        self._byte_offset += written
        self.nbytes = max(self.nbytes, self._byte_offset)
        return written

    def readinto(self, buffer: Any, /) -> int:
        """Read at the current byte offset; past the end too, as HDF5 reads what it has only allocated."""
        nbytes = len(buffer)
        buffer[:] = self.between(self._byte_offset, self._byte_offset + nbytes)
        self._byte_offset += nbytes
        return nbytes

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """Go to a byte offset, from the start, from here or from the end."""
        self._byte_offset = offset + {SEEK_SET: 0, SEEK_CUR: self._byte_offset, SEEK_END: self.nbytes}[whence]
        return self._byte_offset

    def tell(self) -> int:
        """Return the current byte offset."""
        return self._byte_offset

    def truncate(self, size: int | None = None, /) -> int:
        """End the file at a byte offset; HDF5 only ever makes it longer, to what it has allocated."""
        self.nbytes = self._byte_offset if size is None else size
        return self.nbytes

"""An array as an HDF5 file of one dataset, streamed.

The bytes before and after a contiguous dataset do not depend on its values. So HDF5 writes a file whose dataset
is allocated but never filled, of which only what is written exists, and the values go in between as they come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from typing import Any

import h5py
import numpy as np

from app.encoders.form import Attribute, Body, Form, checked
from storage.hdf5.dataset import Samples

MEDIA_TYPE = "application/x-hdf5"
PAGE_NBYTES = 4096
MAX_COMPACT = 64
"""Attributes kept in the object header, where the simpler readers look; one above 64 kB moves all of them out."""
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
    """Return everything before and everything after the values.

    By HDF5's own calls: what h5py does around them takes three times as long, and an answer can be as short as this.
    """
    content = SparseFile()
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    # From 1.8 on, as older object headers hold no attribute above 64 kB; up to 1.8, as others read no newer ones.
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, content)
    file = h5py.h5f.create(b"an answer", h5py.h5f.ACC_TRUNC, fapl=access)
    dataset = _create(file, form)
    for name, value in form.attributes.items():
        _tell(dataset, name, value)
    byte_offset = dataset.get_offset()
    dataset.close()
    file.close()
    if byte_offset is None:  # an empty dataset lies nowhere
        return content.between(0, content.nbytes), b""
    return content.between(0, byte_offset), content.between(byte_offset + form.nbytes, content.nbytes)


def _create(file: h5py.h5f.FileID, form: Form) -> h5py.h5d.DatasetID:
    """Create the dataset, of which nothing is written."""
    dtype = form.dtype if form.dtype.kind != "S" else h5py.string_dtype("utf-8", form.dtype.itemsize)
    stored = h5py.h5t.py_create(dtype, logical=True)
    return h5py.h5d.create(file, form.guid.encode(), stored, h5py.h5s.create_simple(form.shape), _creation())


@cache
def _creation() -> h5py.h5p.PropDCID:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_layout(h5py.h5d.CONTIGUOUS)
    made.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    made.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    made.set_obj_track_times(False)
    made.set_attr_phase_change(MAX_COMPACT, MAX_COMPACT)
    return made


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

"""What a dataset of an HDF5 file is and how it is stored; or why it cannot be served exactly."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.hdf5 import chunk_index, edge_chunks
from storage.hdf5.filters import Filter, UnknownFilter, require_known
from storage.progress import Progress, untold

MAX_INLINE_NBYTES = 64 * 1024 * 1024
"""Strings of variable length and compact datasets are copied into the sidecar up to this."""

WHOLE_BITFIELDS = tuple(
    getattr(h5py.h5t, f"STD_B{n_bits}{order}") for n_bits in (8, 16, 32, 64) for order in ("LE", "BE")
)
"""Types of bits that fill whole bytes, which read as unsigned integers."""


@dataclass(frozen=True, slots=True)
class Description:
    """A dataset as its file tells it, all that reading it by byte ranges needs."""

    dtype: np.dtype[Any]
    """As stored, of either byte order; strings have a fixed width in bytes."""
    shape: tuple[int, ...]
    """At least one axis: a scalar counts as one sample."""
    fill: bytes
    """One element, as stored."""
    byte_offset: int | None = None
    """Of a contiguous dataset; None where nothing was ever written."""
    chunk_shape: tuple[int, ...] | None = None
    filters: tuple[Filter, ...] = ()
    chunks: NDArray[np.void] | None = None
    """Rows of the chunk index of a chunked dataset."""
    values: NDArray[np.generic] | None = None
    """The samples themselves where the file holds them in a form that byte ranges cannot give."""
    file: str | None = None
    """Which file of a recording of several it lies in, or was made of."""


def describe(dataset: h5py.Dataset, progress: Progress = untold) -> Description:
    """Describe a dataset of an open file.

    Parameters
    ----------
    dataset : h5py.Dataset
    progress : Progress
        Is told how many of its chunks are indexed.

    Raises
    ------
    Refused
        Saying what about the dataset cannot be served exactly.
    """
    if dataset.shape is None:
        raise Refused("it is empty (a null dataspace)")
    creation = dataset.id.get_create_plist()
    layout = creation.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        raise Refused("it is a virtual dataset, whose samples lie in other files; register those")
    if creation.get_external_count():
        raise Refused(f"its samples lie in another file ({creation.get_external(0)[0].decode(errors='replace')!r})")
    if h5py.check_string_dtype(dataset.dtype) and dataset.dtype.kind == "O":
        return _inline(_fixed_width(dataset))
    dtype = _require_numeric_or_string(dataset)
    if dtype.kind == "S" and dataset.id.get_type().get_strpad() != h5py.h5t.STR_NULLPAD:
        return _inline(dataset[...])  # what follows the end of such a string is not part of it
    if layout == h5py.h5d.COMPACT:
        return _inline(dataset[...])
    shape = dataset.shape or (1,)
    is_filled = creation.fill_value_defined() != h5py.h5d.FILL_VALUE_UNDEFINED
    fill = np.array(dataset.fillvalue, dtype).tobytes() if is_filled else bytes(dtype.itemsize)
    if layout == h5py.h5d.CHUNKED:
        filters = _filters(creation)
        rows = chunk_index.build(dataset, progress)
        if filters:
            edge_chunks.mark_unfiltered(dataset, filters, rows)
        return Description(dtype, shape, fill, chunk_shape=dataset.chunks, filters=filters, chunks=rows)
    # Of an array that was never written, libhdf5 gives an offset in a file with a user block.
    is_written = dataset.id.get_storage_size() > 0
    return Description(dtype, shape, fill, byte_offset=dataset.id.get_offset() if is_written else None)


def _require_numeric_or_string(dataset: h5py.Dataset) -> np.dtype[Any]:
    """Return the dtype of samples whose stored bits numpy reads as they are."""
    file_type = dataset.id.get_type()
    dtype: np.dtype[Any] = dataset.dtype
    if file_type.get_class() == h5py.h5t.ENUM and dtype.kind in "iu":
        file_type = file_type.get_super()
    if dtype.kind == "b":
        if file_type.get_size() != 1:
            raise Refused(f"its booleans are stored in {file_type.get_size()} bytes each")
        return np.dtype(bool)
    if dtype.kind == "S" and file_type.get_class() == h5py.h5t.STRING:
        return np.dtype(dtype.str)
    if dtype.kind not in "iuf" or dtype.subdtype or file_type.get_class() == h5py.h5t.OPAQUE:
        raise Refused(f"its type {_named(dtype, file_type)} is neither numbers nor strings")
    if dtype.itemsize > 8:
        raise Refused(f"its type {dtype} (long double) has no exact form on every machine")
    if not _is_plain(file_type, dtype):
        raise Refused(f"its {dtype} samples use only some of their bits")
    return np.dtype(dtype.str)


def _is_plain(file_type: h5py.h5t.TypeID, dtype: np.dtype[Any]) -> bool:
    if file_type.get_class() == h5py.h5t.BITFIELD:
        return any(file_type.equal(whole) for whole in WHOLE_BITFIELDS)
    if file_type.get_class() == h5py.h5t.INTEGER and dtype.itemsize == 1:  # of either byte order
        return bool(file_type.get_precision() == 8)
    return bool(file_type.equal(h5py.h5t.py_create(np.dtype(dtype.str))))


def _named(dtype: np.dtype[Any], file_type: h5py.h5t.TypeID) -> str:
    names = {
        h5py.h5t.COMPOUND: "compound",
        h5py.h5t.REFERENCE: "reference",
        h5py.h5t.VLEN: "variable-length rows",
        h5py.h5t.ARRAY: "array",
        h5py.h5t.OPAQUE: "opaque",
        h5py.h5t.COMPLEX: "complex",
    }
    return "complex" if dtype.kind == "c" else names.get(file_type.get_class(), str(dtype))


def _filters(creation: h5py.h5p.PropDCID) -> tuple[Filter, ...]:
    stored = (creation.get_filter(place) for place in range(creation.get_nfilters()))
    filters = tuple(Filter(number, tuple(values)) for number, _, values, _ in stored)
    try:
        require_known(filters)
    except UnknownFilter as error:
        raise Refused(f"its {error}") from error
    return filters


def _fixed_width(dataset: h5py.Dataset) -> NDArray[np.generic]:
    """Return strings of variable length as UTF-8 of one width."""
    n_strings = prod(dataset.shape)
    if n_strings * 8 > MAX_INLINE_NBYTES:
        raise Refused(f"it has {n_strings} strings of variable length, too many to copy")
    strings = np.asarray(dataset[()], dtype=object)
    width = max((len(text) for text in strings.ravel()), default=1) or 1
    if n_strings * width > MAX_INLINE_NBYTES:
        raise Refused(f"its strings of up to {width} bytes are too long to copy")
    return strings.astype(f"S{width}")


def _inline(values: Any) -> Description:
    """Describe samples that the sidecar will hold."""
    samples = np.atleast_1d(np.asarray(values))
    if samples.nbytes > MAX_INLINE_NBYTES:
        raise Refused(f"its {samples.nbytes} bytes are too many to copy")
    return Description(samples.dtype, samples.shape, bytes(samples.dtype.itemsize), values=samples)

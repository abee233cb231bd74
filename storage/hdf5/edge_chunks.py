"""Chunks that reach over the edge of a dataset, which HDF5 leaves unfiltered where a file's writer asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.hdf5.chunk_index import MISSING, grid_of
from storage.hdf5.filters import DamagedChunk, Filter, decode

NO_FILTER = 2**32 - 1
"""A filter mask by which every filter was left out."""


def mark_unfiltered(dataset: h5py.Dataset, filters: Sequence[Filter], rows: NDArray[np.void]) -> None:
    """Set the filter masks of edge chunks that were stored without filters.

    ``H5Pset_chunk_opts`` asks for that; neither the filter masks nor h5py tell. But then every edge chunk is
    stored in full size, and read as it is gives what libhdf5 reads.

    Parameters
    ----------
    dataset : h5py.Dataset
        Chunked.
    filters : sequence of Filter
        Its filters, at least one.
    rows : ndarray
        Its chunk index, changed in place.
    """
    grid = grid_of(dataset.shape, dataset.chunks)
    edges = _edges(dataset, grid)
    edges = edges[rows["byte_offset"][edges] != MISSING]
    full_nbytes = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
    if (rows["nbytes"][edges] != full_nbytes).any() or rows["filter_mask"][edges].any():
        return
    # All are stored alike: the first that the two ways read differently decides, and if there is none, either is right.
    told = (_is_unfiltered(dataset, filters, np.unravel_index(edge, grid)) for edge in edges.tolist())
    if next((is_unfiltered for is_unfiltered in told if is_unfiltered is not None), False):
        rows["filter_mask"][edges] = NO_FILTER


def _edges(dataset: h5py.Dataset, grid: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the numbers of the chunks that reach over the edge."""
    over = np.zeros(grid, bool)
    for axis, (length, chunk) in enumerate(zip(dataset.shape, dataset.chunks, strict=True)):
        if length % chunk:
            over[(slice(None),) * axis + (-1,)] = True
    return np.flatnonzero(over)


def _is_unfiltered(dataset: h5py.Dataset, filters: Sequence[Filter], place: Any) -> bool | None:
    """Whether libhdf5 reads a chunk as it is stored; None if undoing the filters would give the same samples."""
    corner = tuple(int(index) * length for index, length in zip(place, dataset.chunks, strict=True))
    region = tuple(
        slice(start, min(start + length, whole))
        for start, length, whole in zip(corner, dataset.chunks, dataset.shape, strict=True)
    )
    inside = tuple(slice(0, part.stop - part.start) for part in region)

    def samples(content: Any) -> bytes:
        return np.frombuffer(content, dataset.dtype).reshape(dataset.chunks)[inside].tobytes()

    _, raw = dataset.id.read_direct_chunk(corner)
    try:
        if samples(decode(raw, filters, filter_mask=0, nbytes=len(raw))) == samples(raw):
            return None
    except DamagedChunk:
        pass  # it is not filtered, or it is damaged
    try:
        return bool(samples(raw) == dataset[region].tobytes())
    except OSError:  # libhdf5 lacks the filter, so it cannot tell
        return False

"""Which chunks and byte ranges hold the rows of a dataset that are wanted, and how these are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from storage.hdf5.chunk import Chunk, Place, Samples
from storage.hdf5.chunk_index import grid_of
from storage.hdf5.layout import Chunked, Dataset
from storage.ranges import ByteRange
from storage.stores.backend import Content

Run = tuple[int, int]
"""First row and the one after the last."""


def spans(dataset: Dataset, byte_offset: int, run: Run, columns: Sequence[int] | None) -> list[ByteRange]:
    """Return where the rows of a run lie in a contiguous dataset: in one span, or in one for each column."""
    start, stop = run
    if start == stop or not dataset.row_nbytes:
        return []
    if not dataset.is_transposed:
        return [ByteRange(byte_offset + start * dataset.row_nbytes, (stop - start) * dataset.row_nbytes)]
    size = dataset.dtype.itemsize
    return [
        ByteRange(byte_offset + (column * dataset.n_rows + start) * size, (stop - start) * size)
        for column in (range(dataset.shape[0]) if columns is None else columns)
    ]


def rows_of_spans(dataset: Dataset, contents: Sequence[Content], columns: Sequence[int] | None) -> Samples:
    """Return the rows that lie in the ``spans`` of a run."""
    if dataset.is_transposed:
        return _little(np.stack([np.frombuffer(content, dataset.dtype) for content in contents])).T
    (content,) = contents
    samples = np.frombuffer(content, dataset.dtype).reshape(-1, *dataset.row_shape)
    return _little(samples if columns is None else samples[:, _run_or_list(columns)])


def filled(dataset: Dataset, n_rows: int, columns: Sequence[int] | None) -> Samples:
    """Return rows that were never written: one element in memory, whatever their number."""
    shape = (n_rows, *(dataset.row_shape if columns is None else (len(columns),)))
    fill = _little(np.frombuffer(dataset.fill, dataset.dtype))
    return np.broadcast_to(fill.reshape((1,) * len(shape)), shape)


def touched(dataset: Dataset, layout: Chunked, runs: Sequence[Run], columns: Sequence[int] | None) -> NDArray[np.int64]:
    """Return the numbers of all chunks that hold rows of the runs, sorted."""
    grid, length = grid_of(dataset.shape, layout.chunk_shape), dataset.rows_per_chunk
    per_row = prod(grid) // grid[dataset.row_axis] if all(grid) else 0
    parts = [np.arange(start // length, (stop - 1) // length + 1) for start, stop in runs if stop > start]
    if not parts or not per_row:
        return np.empty(0, np.int64)
    chunk_rows = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
    if per_row == 1:
        return chunk_rows
    across_axis = 1 - dataset.row_axis
    across = (
        np.arange(per_row) if columns is None else np.unique(np.asarray(columns) // layout.chunk_shape[across_axis])
    )
    if dataset.is_transposed:
        return (across[:, None] * grid[1] + chunk_rows[None, :]).ravel()
    return (chunk_rows[:, None] * per_row + across[None, :]).ravel()


def rows_of_chunks(
    dataset: Dataset,
    layout: Chunked,
    run: Run,
    columns: Sequence[int] | None,
    chunks: Mapping[int, Chunk | None],
) -> Samples:
    """Put the parts of decoded chunks that a run needs in place."""
    start, stop = run
    length = layout.chunk_shape[0]
    if len(dataset.shape) == 1 and start // length == (stop - 1) // length:
        chunk = chunks.get(start // length)
        if chunk is not None:
            first = start // length * length
            return chunk.samples((slice(start - first, stop - first),))
    samples = filled(dataset, stop - start, columns)
    numbers = touched(dataset, layout, [run], columns).tolist()
    written = {number: chunk for number in numbers if (chunk := chunks[number]) is not None}
    if not written:
        return samples
    stored = samples.T if dataset.is_transposed else samples
    stored = np.empty(stored.shape, stored.dtype) if len(written) == len(numbers) else stored.copy("C")
    grid = grid_of(dataset.shape, layout.chunk_shape)
    for number, chunk in written.items():
        corner = tuple(
            int(index) * size for index, size in zip(np.unravel_index(number, grid), layout.chunk_shape, strict=True)
        )
        source, target = _places(dataset, layout, corner, run, columns)
        chunk.copy(source, stored, target)
    return stored.T if dataset.is_transposed else stored


def _places(
    dataset: Dataset, layout: Chunked, corner: tuple[int, ...], run: Run, columns: Sequence[int] | None
) -> tuple[Place, Place]:
    """Return which part of the chunk at a corner is wanted, and where in the samples of a run it belongs."""
    source: Place = ()
    target: Place = ()
    for axis, (first, size, whole) in enumerate(zip(corner, layout.chunk_shape, dataset.shape, strict=True)):
        if axis == dataset.row_axis:
            low, high = max(run[0], first), min(run[1], first + size)
            source += (slice(low - first, high - first),)
            target += (slice(low - run[0], high - run[0]),)
        elif columns is None:
            source += (slice(0, min(size, whole - first)),)
            target += (slice(first, min(first + size, whole)),)
        else:
            wanted = np.asarray(columns)
            here = np.flatnonzero((wanted >= first) & (wanted < first + size))
            source += (wanted[here] - first,)
            target += (here,)
    return source, target


def _run_or_list(columns: Sequence[int]) -> slice | list[int]:
    """Return columns as an index; where they follow each other, as one that copies nothing."""
    is_run = all(after == before + 1 for before, after in pairwise(columns))
    return slice(columns[0], columns[-1] + 1) if columns and is_run else list(columns)


def _little(samples: Samples) -> Samples:
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False)

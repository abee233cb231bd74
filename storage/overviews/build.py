"""Making an overview: all samples are read once, in the order of time, and are gone again when they are reduced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.answer import StoredArray
from storage.hdf5.dataset import DatasetReader
from storage.overviews.array_form import is_built_in
from storage.overviews.entries import FOLD, Entries, entries_of
from storage.overviews.form import BLOCK_CHANNELS, OverviewForm
from storage.overviews.overview_file import OverviewFile
from storage.side_by_side import ahead
from storage.timings import Timings

WINDOW_NBYTES = 8 << 20
"""Decoded bytes that are read and reduced at once, or a row of chunks where that is more."""
WIDE_NBYTES = 32 << 20
"""Where a row of chunks is more, channels are read in groups, each as wide as a chunk; where a chunk is, in parts."""
STRIP_NBYTES = 128 << 20
"""Decoded bytes of which all levels are made before the next are read."""
COARSENED_ENTRIES = 1 << 16
"""Entries that are made coarser at once."""
N_AHEAD = 2
"""Windows that are read and decoded while one is reduced."""


@dataclass(slots=True)
class Extent:
    """Smallest and largest record of each channel so far; NaN where there is none."""

    minimum: NDArray[Any]
    maximum: NDArray[Any]

    def widen(self, channels: slice, extrema: NDArray[Any]) -> None:
        """Take in extrema of these channels: shape (…, n_channels, 2)."""
        if extrema.size:
            across = tuple(range(extrema.ndim - 2))
            low, high = np.fmin.reduce(extrema[..., 0], axis=across), np.fmax.reduce(extrema[..., 1], axis=across)
            self.minimum[channels] = np.fmin(self.minimum[channels], low)
            self.maximum[channels] = np.fmax(self.maximum[channels], high)


@dataclass
class Building:
    """An overview that is being made; what it has so far is in its file.

    Parameters
    ----------
    array : StoredArray
    datasets : DatasetReader
        Keeps chunks that two windows need.
    file : OverviewFile
    """

    array: StoredArray
    datasets: DatasetReader
    file: OverviewFile
    n_done: int = 0
    """Samples of which all is made: whole strips, until the end."""
    extent: Extent = field(init=False)

    def __post_init__(self) -> None:
        none = np.full(self.form.n_channels, np.nan) if self.form.dtype.kind == "f" else None
        low, high = _no_extent(self.form.dtype, self.form.n_channels) if none is None else (none, none.copy())
        self.extent = Extent(low, high)

    @property
    def form(self) -> OverviewForm:
        """What is made."""
        return self.file.form

    @property
    def strip_size(self) -> int:
        """Samples of a strip: an entry of one of the levels, so that none of its entries goes beyond it."""
        row_nbytes = max(1, self.array.n_channels * self.array.dataset.dtype.itemsize)
        size = self.form.finest
        while size * FOLD * row_nbytes <= STRIP_NBYTES:
            size *= FOLD
        return size

    def strips(self) -> Iterator[None]:
        """Make all, strip after strip."""
        while self.n_done < self.array.n_samples:
            stop = min(self.n_done + self.strip_size, self.array.n_samples)
            for channels in self.groups():
                self._strip(self.n_done, stop, channels)
            self.n_done = stop
            yield
        self._coarsest()

    def groups(self) -> Iterator[slice]:
        """Yield the channels that are read together: all, or those of a column of large chunks."""
        dataset, n_channels = self.array.dataset, self.array.n_channels
        width = n_channels
        if dataset.rows_per_chunk * dataset.row_nbytes > WIDE_NBYTES and len(self.array.shape) == 2:
            across = getattr(dataset.layout, "chunk_shape", (0, 0))[1 - dataset.row_axis]
            width = max(BLOCK_CHANNELS, across - across % BLOCK_CHANNELS)
        for first in range(0, n_channels, width):
            yield slice(first, min(first + width, n_channels))

    def _strip(self, start: int, stop: int, channels: slice) -> None:
        """Make all levels of the samples of one strip that are no coarser than it."""
        size, finest = self.form.finest, []
        for first, rows in self.windows(start, stop, channels):
            n_whole = len(rows) // size * size
            self.extent.widen(channels, _ends(rows[n_whole:]).astype(self.form.dtype))
            entries = entries_of(rows[:n_whole], size, with_sums=self.form.has_sums, as_dtype=self.form.dtype)
            self.extent.widen(channels, entries.extrema)
            if self.form.sizes:
                self.file.write(size, first // size, entries, channels.start)
                finest.append(entries)
        made = _joined(finest) if finest else None
        while made is not None and size < self.strip_size and size * FOLD in self.form.sizes:
            size *= FOLD
            made = made.coarser(self.form.dtype, size)
            self.file.write(size, start // size, made, channels.start)

    def windows(self, start: int, stop: int, channels: slice) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the first sample of each window and the windows: whole entries but for the last, (n, n_channels)."""
        array, size = self.array, self.form.finest
        is_all = channels == slice(0, array.n_channels)
        wanted = None if is_all else tuple(range(channels.start, channels.stop))
        columns = array.columns_of(wanted)
        per_row = max(1, array.dataset.touched_nbytes(columns))
        # Of chunks so large that two of them would be too much, one is kept, and read in parts.
        is_large = array.dataset.rows_per_chunk * per_row > WIDE_NBYTES
        length = max(WINDOW_NBYTES // per_row, 1 if is_large else array.dataset.rows_per_chunk, size)
        length -= length % size
        steps = [(first, min(first + length, stop)) for first in range(start, stop, length)]

        def read(step: tuple[int, int]) -> NDArray[Any]:
            runs = [(array.first_row + step[0], array.first_row + step[1])]
            (rows,) = self.datasets.read_runs(array.dataset, runs, columns, keep=True, timings=Timings())
            rows = rows.reshape(len(rows), -1)
            if is_built_in(array) and array.calibration is not None:
                return array.calibration.apply(rows, wanted)
            return rows

        if is_large:
            yield from ((step[0], read(step)) for step in steps)
            return
        for (first, _), rows in ahead(self.datasets.ahead, read, steps, n_ahead=N_AHEAD):
            yield first, rows

    def _coarsest(self) -> None:
        """Make the levels that are coarser than strips."""
        for size in self.form.sizes:
            if size > self.strip_size:
                for block in self.form.blocks():
                    self._coarser(size, block)

    def _coarser(self, size: int, block: tuple[int, int]) -> None:
        n_entries = self.form.n_entries(size)
        for first in range(0, n_entries, COARSENED_ENTRIES // FOLD):
            stop = min(first + COARSENED_ENTRIES // FOLD, n_entries)
            finer = self.file.read(size // FOLD, first * FOLD, stop * FOLD, block)
            self.file.write(size, first, finer.coarser(self.form.dtype, size), block[0])


def build(
    array: StoredArray, datasets: DatasetReader, file: OverviewFile, tell: Callable[[float], object] = lambda _: None
) -> Building:
    """Make all of an overview at once; the bytes of the file are whole when it returns."""
    building = Building(array, datasets, file)
    for _ in building.strips():
        tell(building.n_done / array.n_samples)
    return building


def _no_extent(dtype: np.dtype[Any], n_channels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if dtype.kind == "b":
        return np.ones(n_channels, dtype), np.zeros(n_channels, dtype)
    edges = np.iinfo(dtype)
    return np.full(n_channels, edges.max, dtype), np.full(n_channels, edges.min, dtype)


def _ends(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the extrema of all rows: shape (n_channels, 2), or (0, n_channels, 2) without rows."""
    if not len(rows):
        return np.empty((0, rows.shape[1], 2), rows.dtype)
    return np.stack([np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)], axis=-1)


def _joined(parts: list[Entries]) -> Entries:
    """Return entries that follow each other as one."""
    extrema = np.concatenate([one.extrema for one in parts])
    sums = [one.sums for one in parts if one.sums is not None]
    missing = None
    if any(one.missing is not None for one in parts):
        none = (np.zeros(one.extrema.shape[:2], np.int64) if one.missing is None else one.missing for one in parts)
        missing = np.concatenate(list(none))
    return Entries(extrema, np.concatenate(sums) if sums else None, missing)

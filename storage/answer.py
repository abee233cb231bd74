"""An array the API can serve, what is asked of it, and the form of the answer: nothing is read yet."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from storage.calibration import AnyCalibration, mean_dtype, quantity_dtype
from storage.hdf5.layout import Chunked, Dataset
from storage.overviews.form import StoredOverview
from storage.selection import Selection
from storage.timings import Timings


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array the API can serve: a run of rows of a dataset, perhaps of one column, and its unit."""

    dataset: Dataset
    first_row: int
    n_samples: int
    column: int | None = None
    """The one column of a two-dimensional dataset that this array is."""
    columns: tuple[int, int] | None = None
    """The first of its columns that this array has, and the one after the last; None is all."""
    calibration: AnyCalibration | None = None
    overview: StoredOverview | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array, samples first."""
        if self.columns is not None:
            return self.n_samples, self.columns[1] - self.columns[0]
        return (self.n_samples, *(() if self.column is not None else self.dataset.row_shape))

    def columns_of(self, channels: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Return which columns of the dataset these channels are, all where there are none; None is all columns."""
        if self.column is not None:
            return (self.column,)
        if self.columns is None:
            return channels
        every = range(*self.columns)
        return tuple(every if channels is None else (every[channel] for channel in channels))

    @property
    def n_channels(self) -> int:
        """Values per sample."""
        return prod(self.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of answered samples, little-endian."""
        if self.calibration is not None:
            return quantity_dtype(self.dataset.dtype)
        return self.dataset.dtype.newbyteorder("<")


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to answer of an array; every value is already checked against the array."""

    selection: Selection
    points: int | None = None
    """None, or a number of points below the number of samples."""
    method: str = "mean"
    channels: tuple[int, ...] | None = None
    scaled: bool = True
    """Whether to answer quantities rather than stored numbers."""
    entry: int | None = None
    """Samples per entry of the finest overview level of the signal that times lie beside; None is the array's own."""
    is_sorted: bool = False
    """Whether the samples never fall, as times do not."""
    doubled: bool = False
    """Each point twice: times beside extrema, which have two rows per bin."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before any byte of it is read: its form, and how to read it."""

    array: StoredArray
    request: ReadRequest
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    timings: Timings

    @property
    def nbytes(self) -> int:
        """Bytes of the answered values."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def touched_nbytes(self) -> int:
        """Bytes that are decoded for one row."""
        return self.array.dataset.touched_nbytes(self.array.columns_of(self.request.channels))

    @property
    def nbytes_read(self) -> int:
        """About how many decoded bytes of the selection are read for it."""
        n_rows = len(self.request.selection)
        if self.request.points is not None and self.request.method == "stride":
            n_rows = min(n_rows, self.request.points * self.array.dataset.rows_per_chunk)
        return n_rows * self.touched_nbytes

    @property
    def chunk_nbytes(self) -> int:
        """Decoded bytes of one chunk: what the shortest read holds in memory."""
        return chunk_nbytes(self.array)


def chunk_nbytes(array: StoredArray) -> int:
    """Return the decoded bytes of one chunk; 0 where there are none."""
    layout = array.dataset.layout
    return prod(layout.chunk_shape) * array.dataset.dtype.itemsize if isinstance(layout, Chunked) else 0


def prepare(array: StoredArray, request: ReadRequest, timings: Timings) -> Answer:
    """Say what reading will answer, without reading."""
    calibrated = request.scaled and array.calibration is not None
    dtype = array.dtype if calibrated else array.dataset.dtype.newbyteorder("<")
    if request.points is not None and request.method == "mean":
        dtype = mean_dtype(dtype)
    n_points = len(request.selection) if request.points is None else request.points
    across = array.shape[1:] if request.channels is None else (len(request.channels),)
    return Answer(array, request, (n_points, *across), dtype, timings)

"""An array in a stored file: what it is, and how its samples lie there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from storage.hdf5.chunk_index import ChunkIndex
from storage.hdf5.filters import Filter


@dataclass(frozen=True, slots=True)
class Contiguous:
    """All samples in one run, in C order."""

    byte_offset: int | None
    """None where nothing was ever written: all samples are the fill value."""


@dataclass(frozen=True, slots=True)
class Chunked:
    """Samples in chunks of one shape, each stored through the filters."""

    chunk_shape: tuple[int, ...]
    filters: tuple[Filter, ...]
    index: ChunkIndex


@dataclass(frozen=True, slots=True)
class Dataset:
    """An array in a stored file, as far as reading it needs.

    It is read by rows, each of which is a sample of all its columns, the channels. Where it lies there with its
    channels down and its samples across, row and column still mean sample and channel.
    """

    file: str
    """Key or URL of the stored file."""
    pin: str | None
    """What the store must say of the file's version; None for files that never change."""
    dtype: np.dtype[Any]
    """As stored, of either byte order."""
    shape: tuple[int, ...]
    """As stored: at least one axis."""
    layout: Contiguous | Chunked
    fill: bytes
    """One element, as stored."""
    is_transposed: bool = False
    """Whether it is channels × samples."""

    @property
    def row_axis(self) -> int:
        """Along which axis of the stored array its rows lie."""
        return 1 if self.is_transposed else 0

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.shape[self.row_axis]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.shape[:1] if self.is_transposed else self.shape[1:]

    @property
    def row_nbytes(self) -> int:
        """Bytes of one row, decoded, all columns."""
        return prod(self.row_shape) * self.dtype.itemsize

    def touched_nbytes(self, columns: Sequence[int] | None) -> int:
        """Return how many bytes are decoded for one row of these columns; None is all."""
        if columns is None:
            return self.row_nbytes
        if not isinstance(self.layout, Chunked):
            return len({*columns}) * self.dtype.itemsize if self.is_by_columns else self.row_nbytes
        across = self.layout.chunk_shape[1 - self.row_axis]
        return len({column // across for column in columns}) * across * self.dtype.itemsize

    @property
    def is_by_columns(self) -> bool:
        """Whether the rows of one column lie together, and those of the next after them."""
        return self.is_transposed and isinstance(self.layout, Contiguous)

    @property
    def rows_per_chunk(self) -> int:
        """Rows of a chunk, 1 where there are none."""
        return self.layout.chunk_shape[self.row_axis] if isinstance(self.layout, Chunked) else 1

    @property
    def bytes_between_rows(self) -> int:
        """Bytes from the beginning of one row to that of the next, of one column, where they are contiguous."""
        return self.dtype.itemsize if self.is_transposed else self.row_nbytes

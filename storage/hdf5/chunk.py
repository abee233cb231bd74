"""One chunk in memory, as its filters left it or nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.hdf5.filters import SHUFFLE, Filter, decode
from storage.stores.backend import Content

Samples = NDArray[Any]
Place = tuple[slice | NDArray[np.intp], ...]
"""Which part of an array, along its axes."""

MAX_PLANES = 8
"""Bytes of an element up to which a chunk stays shuffled."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a dataset.

    Notes
    -----
    Shuffle puts the first bytes of all elements before the second ones, and so on. It is undone for those elements
    that are asked for, straight into the answer: of a chunk that is often a small part, and never a copy too many.
    """

    content: NDArray[np.uint8]
    """Shape (nbytes,): elements as stored, or in planes."""
    dtype: np.dtype[Any]
    """As stored, of either byte order."""
    shape: tuple[int, ...]
    is_shuffled: bool

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.content.nbytes

    def samples(self, place: Place) -> Samples:
        """Return a part, little-endian; may be a read-only view."""
        little = self.dtype.newbyteorder("<")
        if not self.is_shuffled:
            return self.content.view(self.dtype).reshape(self.shape)[place].astype(little, copy=False)
        planes = self.content.reshape(self.dtype.itemsize, *self.shape)
        first = planes[0][place]
        samples = np.empty(first.shape, little)
        self.copy(place, samples, tuple(slice(None) for _ in first.shape))
        return samples

    def copy(self, place: Place, samples: Samples, target: Place) -> None:
        """Copy a part to its place in a C-contiguous little-endian array."""
        if not self.is_shuffled:
            samples[target] = self.content.view(self.dtype).reshape(self.shape)[place]
            return
        size = self.dtype.itemsize
        planes = self.content.reshape(size, *self.shape)
        elements = samples.view(np.uint8).reshape(*samples.shape, size)
        is_big = self.dtype.newbyteorder("<") != self.dtype
        for number, plane in enumerate(planes):
            elements[(*target, size - 1 - number if is_big else number)] = plane[place]


def decoded(
    raw: Content, filters: Sequence[Filter], *, filter_mask: int, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Chunk:
    """Undo the filters of a chunk, but for a shuffle that was the first.

    Raises
    ------
    DamagedChunk
        If the bytes are not what these filters write for a chunk of this form.
    """
    size = dtype.itemsize
    is_shuffled = bool(
        1 < size <= MAX_PLANES and filters and filters[0] == Filter(SHUFFLE, (size,)) and not filter_mask & 1
    )
    rest, mask = (filters[1:], filter_mask >> 1) if is_shuffled else (filters, filter_mask)
    content = np.frombuffer(decode(raw, rest, filter_mask=mask, nbytes=prod(shape) * size), np.uint8)
    if isinstance(raw, memoryview) and np.may_share_memory(content, np.frombuffer(raw, np.uint8)):
        content = content.copy()  # so that a cache does not hold all that was fetched together for one chunk
    content.flags.writeable = False
    return Chunk(content, dtype, shape, is_shuffled)

"""What an overview is made of and where in its file each part lies: known before any sample of it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from storage.calibration import AnyCalibration, from_json
from storage.downsample import entry_sizes

VERSION = 1
"""Of the form, as rows of the catalog tell it."""

BLOCK_CHANNELS = 8
"""Channels whose records lie together: one of many costs so many times its own bytes."""
TILE_ENTRIES = 2048
"""Entries of all channels that lie together, block after block: so all channels are one run, and one is a few."""

STATISTICS = ("extrema", "sums", "missing")
"""What is told of an entry, each in a dataset of its own, so that a method fetches no other's."""


@dataclass(frozen=True)
class OverviewForm:
    """The levels of the overview of one array.

    A dataset is cut in tiles of ``TILE_ENTRIES`` entries, a tile in blocks of ``BLOCK_CHANNELS`` channels; within a
    block lies entry after entry, channel after channel. So all of up to ``BLOCK_CHANNELS`` channels are in C order.
    """

    n_samples: int
    n_channels: int
    dtype: np.dtype[Any]
    """Of the minima and maxima: stored numbers, or quantities where the calibration is built in; little-endian."""
    finest: int
    """Samples per entry of the finest level that is stored."""
    has_sums: bool = True
    """Times have none: no mean of them is asked for."""

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Samples per entry of each level, the finest first."""
        return tuple(entry_sizes(self.n_samples, self.finest))

    def n_entries(self, size: int) -> int:
        """Return how many whole entries a level has."""
        return self.n_samples // size

    def statistics(self) -> tuple[str, ...]:
        """Return what may be told of entries."""
        if not self.has_sums:
            return STATISTICS[:1]
        return STATISTICS if self.dtype.kind == "f" else STATISTICS[:2]

    def record(self, statistic: str, size: int) -> tuple[np.dtype[Any], int]:
        """Return dtype and number of values that tell a statistic of an entry of one channel."""
        if statistic == "extrema":
            return self.dtype, 2
        if statistic == "missing":
            return np.dtype(np.min_scalar_type(size)).newbyteorder("<"), 1
        return sum_dtype(self.dtype, size)

    def record_nbytes(self, statistic: str, size: int) -> int:
        """Return the bytes of a statistic of an entry of one channel."""
        dtype, n_values = self.record(statistic, size)
        return dtype.itemsize * n_values

    def nbytes(self, *, with_missing: bool = False) -> int:
        """Return the bytes of all records."""
        told = [one for one in self.statistics() if one != "missing" or with_missing]
        return sum(
            self.n_entries(size) * self.n_channels * self.record_nbytes(one, size)
            for size in self.sizes
            for one in told
        )

    def runs(self, size: int, block: tuple[int, int], first: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield where entries of a block of channels lie: first entry, end and first record of each run."""
        width = block[1] - block[0]
        if width == self.n_channels:
            yield first, stop, first * width
            return
        while first < stop:
            tile = first // TILE_ENTRIES * TILE_ENTRIES
            end = min(tile + TILE_ENTRIES, self.n_entries(size))
            record = tile * self.n_channels + (end - tile) * block[0] + (first - tile) * width
            yield first, min(end, stop), record
            first = end

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the first channel of each block, and the one after its last."""
        for first in range(0, self.n_channels, BLOCK_CHANNELS):
            yield first, min(first + BLOCK_CHANNELS, self.n_channels)


def sum_dtype(dtype: np.dtype[Any], size: int) -> tuple[np.dtype[Any], int]:
    """Return dtype and number of the values that hold the sum of so many samples.

    Of integers it is exact, in the smallest type that cannot overflow; of those of 64 bits two values, of the upper
    halves and of the lower ones. Of floats it is float64.
    """
    if dtype.kind == "f":
        return np.dtype("<f8"), 1
    if dtype.itemsize == 8:
        return np.dtype("<i8"), 2
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for kind in ("<u1", "<u2", "<u4", "<u8") if low == 0 else ("<i1", "<i2", "<i4", "<i8"):
        fits = np.iinfo(kind)
        if fits.min <= int(low) * size and int(high) * size <= fits.max:
            return np.dtype(kind), 1
    raise ValueError(f"sums of {size} samples of {dtype}")


@dataclass(frozen=True, slots=True)
class StoredOverview:
    """An overview in the store: its form, and where its datasets begin."""

    key: str
    form: OverviewForm
    offsets: Mapping[tuple[str, int], int]
    """Byte offset of the dataset of a statistic of the level of a size; none where it is not stored."""
    calibration: AnyCalibration | None = None
    """The one that is built in; None where records are of stored numbers."""

    def as_json(self) -> dict[str, Any]:
        """Return what a JSON column of the catalog has of it, besides its key."""
        form = self.form
        return {
            "version": VERSION,
            "n_samples": form.n_samples,
            "n_channels": form.n_channels,
            "dtype": form.dtype.str,
            "finest": form.finest,
            "has_sums": form.has_sums,
            "offsets": {f"{name} {size}": offset for (name, size), offset in self.offsets.items()},
            "calibration": None if self.calibration is None else self.calibration.as_json(),
        }

    @classmethod
    def from_json(cls, key: str, told: Mapping[str, Any]) -> StoredOverview | None:
        """Return what ``as_json`` told; None where that was of a version that is not read."""
        if told.get("version") != VERSION:
            return None
        form = OverviewForm(
            told["n_samples"], told["n_channels"], np.dtype(told["dtype"]), told["finest"], told["has_sums"]
        )
        offsets = {}
        for place, offset in told["offsets"].items():
            name, _, size = place.partition(" ")
            offsets[name, int(size)] = offset
        return cls(key, form, offsets, from_json(told["calibration"]))

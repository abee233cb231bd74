"""The axis of an irregular array: its sorted times, searched with one read per end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from storage.answer import StoredArray
from storage.cache import Cache
from storage.errors import OrderUnknown
from storage.hdf5 import sidecar
from storage.hdf5.chunk import Samples
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from storage.reader import Reader
from storage.timings import Timings
from storage.units import decimal

Side = Literal["left", "right"]

BLOCK_ROWS = 8192
"""Rows per block of times that are not chunked."""


@dataclass(frozen=True, slots=True)
class TimeBlocks:
    """The first and last value of each block of rows of a dataset of times, as a sidecar holds them."""

    name: str
    """Key of the sidecar."""
    byte_offset: int
    n_blocks: int
    rows_per_block: int
    """The chunk length where times are chunked: searching then decodes one chunk per end."""

    def load(self, dtype: np.dtype[np.generic], store: ObjectStore, cache: Cache[NDArray[np.void]]) -> Samples:
        """Return first and last stored values: shape (n_blocks, 2)."""

        def fetch() -> NDArray[np.void]:
            nbytes = self.n_blocks * 2 * dtype.itemsize
            (content,) = sidecar.fetch(store, self.name, [ByteRange(self.byte_offset, nbytes)])
            return np.frombuffer(content, f"V{dtype.itemsize}")

        return cache.get((self.name, "blocks"), fetch).view(dtype).reshape(-1, 2)


@dataclass(slots=True)
class IrregularAxis:
    """Sorted times of samples. Lives as long as one request; keeps the blocks it read.

    Times asked and answered are exact, in the time unit of the object.
    """

    reader: Reader
    times: StoredArray
    blocks: TimeBlocks
    unit: str
    """Time unit of the object."""
    per_unit: Fraction
    """Units of the array of times in one ``unit``."""
    timings: Timings
    is_ordered: bool = True
    """Whether the times are known to be sorted; those that are not yet are found by index only."""
    _edges: Samples | None = None
    _read: dict[int, Samples] = field(default_factory=dict)

    may_be_silent = True

    @property
    def n_samples(self) -> int:
        """Number of times."""
        return self.times.n_samples

    def at_or_after(self, time: Fraction) -> int:
        """Return the number of the first sample at or after ``time``; ``n_samples`` if there is none."""
        return self._search(time, "left")

    def at_or_before(self, time: Fraction) -> int:
        """Return the number of the last sample at or before ``time``; -1 if there is none."""
        return self._search(time, "right") - 1

    def expect(self, times: Sequence[tuple[Fraction, Side]]) -> None:
        """Fetch together the blocks that searching for these ``(time, side)`` will read."""
        if self.n_samples and times:
            self._require_order()
            self.reader.datasets.fetch_index_ahead(self.times.dataset)
            self._fetch([self._block_with(self._comparable(time, side), side) for time, side in times])

    def time_of(self, index: int) -> Fraction:
        """Return the time of a sample, as the decimal of its shortest representation."""
        block = (self.times.first_row + index) // self.blocks.rows_per_block
        start, _ = self._samples_of(block)
        self._fetch([block])
        return self._exact(self._read[block][index - start])

    def describe(self) -> str:
        """Say in words what the array holds."""
        if not self.n_samples:
            return "the array is empty"
        first, last = float(self.time_of(0)), float(self.time_of(self.n_samples - 1))
        return f"the array holds samples 0 to {self.n_samples - 1}, at {first:.10g} to {last:.10g} {self.unit}"

    def _require_order(self) -> None:
        if not self.is_ordered:
            raise OrderUnknown("whether these times are sorted is being checked; until then ask by index, or try later")

    def _search(self, time: Fraction, side: Side) -> int:
        if not self.n_samples:
            return 0
        self._require_order()
        dtype = self.times.dtype
        if dtype.kind != "f" and not np.iinfo(dtype).min <= time * self.per_unit <= np.iinfo(dtype).max:
            return 0 if time < 0 else self.n_samples
        value = self._comparable(time, side)
        block = self._block_with(value, side)
        self._fetch([block])
        start, _ = self._samples_of(block)
        return start + int(np.searchsorted(self._read[block], value, side=side))

    def _comparable(self, time: Fraction, side: Side) -> np.generic:
        """Return an asked time as a value of the array's own unit and dtype."""
        exact, dtype = time * self.per_unit, self.times.dtype
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                value = cast(np.floating[Any], dtype.type(float(exact)))
            outwards = dtype.type(-np.inf if side == "left" else np.inf)
            while self._is_told_as(further := np.nextafter(value, outwards), time):
                value = further
            return value
        whole, step = (ceil(exact), -1) if side == "left" else (floor(exact), 1)
        while self._is_told_as(whole + step, time):
            whole += step
        bounds = np.iinfo(dtype)
        return cast(np.generic, dtype.type(min(max(whole, bounds.min), bounds.max)))

    def _is_told_as(self, value: Any, time: Fraction) -> bool:
        """Whether this is the float64 that the API writes for a stored value, in another unit than its own.

        Two roundings lie between the two, and still the time that was told for a sample has to give that sample.
        """
        return self.per_unit != 1 and bool(np.isfinite(value)) and float(self._exact(value)) == float(time)

    def _exact(self, value: Any) -> Fraction:
        """Return a stored time in the unit of the object: a float as the decimal of its shortest representation."""
        is_float = isinstance(value, np.floating)
        return (decimal(float(value)) if is_float else Fraction(int(value))) / self.per_unit

    def _block_bounds(self) -> tuple[int, int]:
        """Return the first and the last block that holds samples of this array."""
        rows = self.blocks.rows_per_block
        return self.times.first_row // rows, (self.times.first_row + self.n_samples - 1) // rows

    def _block_with(self, value: np.generic, side: Side) -> int:
        """Return the block in which ``value`` would be inserted."""
        first, last = self._block_bounds()
        if first == last:
            return first
        if self._edges is None:
            datasets = self.reader.datasets
            stored = self.blocks.load(self.times.dataset.dtype, datasets.store, datasets.indices.cache)
            calibration = self.times.calibration
            edges = stored if calibration is None else calibration.apply(stored, None)
            self._edges = edges.astype(self.times.dtype)
        # The last value of a block belongs to this array unless the array ends inside the block, and
        # only its last block does.
        lasts = self._edges[first:last, 1]
        return first + int(np.searchsorted(lasts, value, side=side))

    def _samples_of(self, block: int) -> tuple[int, int]:
        """Return which samples of this array a block holds."""
        rows = self.blocks.rows_per_block
        start = max(0, block * rows - self.times.first_row)
        return start, min(self.n_samples, (block + 1) * rows - self.times.first_row)

    def _fetch(self, blocks: Sequence[int]) -> None:
        missing = sorted(set(blocks) - self._read.keys())
        runs = [self._samples_of(block) for block in missing]
        if runs:
            parts = self.reader.runs(self.times, runs, timings=self.timings)
            self._read.update(zip(missing, parts, strict=True))

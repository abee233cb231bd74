"""Points from samples: the bins, and what each method makes of a bin. Pure numpy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
METHODS = ("mean", "extrema", "stride")
MANY_CHANNELS = 32
ADDED_IN_A_ROW = 2
"""Floats, when many are summed."""


def finest_entry(n_channels: int) -> int:
    """Return the samples per entry of the finest overview level of an array."""
    return 256 if n_channels > MANY_CHANNELS else 64


def entry_sizes(n_samples: int, finest: int) -> list[int]:
    """Return the samples per entry of each overview level that an array has, finest first."""
    size = finest
    sizes = []
    while size * 8 <= n_samples:
        sizes.append(size)
        size *= 4
    return sizes


@dataclass(frozen=True, slots=True)
class Bins:
    """The runs of samples that points are made of: ``count`` of them, together ``[start, stop)``.

    Inner edges lie on multiples of ``grain`` counted from sample 0 of the array, each within 1/16 of
    a bin of the even grid (half a sample where ``grain`` is 1).
    """

    start: int
    stop: int
    count: int
    grain: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.stop - self.start:
            raise ValueError(f"{self.count} bins of {self.stop - self.start} samples")

    @classmethod
    def of(cls, start: int, stop: int, count: int, sizes: Iterable[int]) -> Bins:
        """Return the bins of a selection of an array whose overview levels have these entry ``sizes``."""
        grain = max((size for size in sizes if 8 * size * count <= stop - start), default=1)
        return cls(start, stop, count, grain)

    def edges(self, first: int, last: int) -> NDArray[np.int64]:
        """Return edges ``first`` to ``last``, both included: int64, shape (last - first + 1,)."""
        # floor((start + k·n/count)/grain + 1/2) as one exact fraction over 2·grain·count, its whole
        # part and its remainder apart so that 64 bits are enough whatever the length of the array.
        over = 2 * self.grain * self.count
        n_samples = self.stop - self.start
        whole, rest = divmod(2 * (self.start * self.count + first * n_samples) + self.grain * self.count, over)
        step, step_rest = divmod(2 * n_samples, over)
        k = np.arange(last - first + 1, dtype=np.int64)
        edges = self.grain * (whole + k * step + (rest + k * step_rest) // over)
        if first == 0:
            edges[0] = self.start
        if last == self.count:
            edges[-1] = self.stop
        return edges

    def groups(self, max_bins: int) -> Iterator[NDArray[np.int64]]:
        """Yield the edges of runs of at most ``max_bins`` bins."""
        for first in range(0, self.count, max_bins):
            yield self.edges(first, min(first + max_bins, self.count))


@dataclass(frozen=True, slots=True)
class Extrema:
    """Smallest and largest value per bin and channel, NaN left out; shape (n_bins, …)."""

    minimum: Samples
    maximum: Samples

    @classmethod
    def of(cls, samples: Samples, edges: NDArray[np.int64]) -> Extrema:
        """Return the extrema of each bin; ``edges`` count from the first of ``samples``."""
        return cls(reduced(np.fmin, samples, edges), reduced(np.fmax, samples, edges))

    def merge(self, other: Extrema) -> Extrema:
        """Return the extrema of bins of which this and ``other`` each hold a part."""
        return Extrema(np.fmin(self.minimum, other.minimum), np.fmax(self.maximum, other.maximum))


@dataclass(frozen=True, slots=True)
class Sums:
    """Sum and count per bin and channel, NaN left out; shape (n_bins, …). Exact for integers."""

    total: Samples
    count: NDArray[np.int64]

    @classmethod
    def of(cls, samples: Samples, edges: NDArray[np.int64]) -> Sums:
        """Return the sums of each bin; ``edges`` count from the first of ``samples``."""
        sizes = np.diff(edges).reshape((-1,) + (1,) * (samples.ndim - 1))
        count = np.broadcast_to(sizes, sizes.shape[:1] + samples.shape[1:])
        if samples.dtype.kind == "f":
            values = samples.astype(np.float64)
            missing = np.isnan(values)
            if missing.any():
                values[missing] = 0
                count = count - reduced(np.add, missing.astype(np.int64), edges)
            # Of float32 and float16 nearly every sum is exact in float64, in whichever order they are added.
            add = float_sums if samples.dtype.itemsize == 8 else partial(reduced, np.add)
            return cls(add(values, edges), count)
        if samples.dtype.itemsize < 8:
            return cls(reduced(np.add, samples.astype(np.int64), edges), count)
        high, low = (reduced(np.add, half, edges) for half in halves(samples))
        return cls(joined(high, low), count)

    def merge(self, other: Sums) -> Sums:
        """Return the sums of bins of which this and ``other`` each hold a part."""
        mine, others = self.total, other.total
        if mine.dtype.kind == "i" and not (_is_half_of_64_bits(mine) and _is_half_of_64_bits(others)):
            mine, others = mine.astype(object), others.astype(object)
        with np.errstate(invalid="ignore", over="ignore"):
            return Sums(mine + others, self.count + other.count)

    def mean(self) -> NDArray[np.float64]:
        """Return the means, NaN where a bin has no number; integers are divided exactly and rounded once."""
        if self.total.dtype.kind == "f" or _fits_float64(self.total):
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.divide(self.total.astype(np.float64), self.count)
        pairs = zip(self.total.ravel().tolist(), self.count.ravel().tolist(), strict=True)
        return np.array([total / count for total, count in pairs]).reshape(self.total.shape)


def halves(integers: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the upper and lower 32 bits of integers of 64: a sum of these needs more than 64 bits, of halves not."""
    return (integers >> 32).astype(np.int64), (integers & 0xFFFFFFFF).astype(np.int64)


def joined(high: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return sums of which those of the halves are known, as Python integers."""
    return np.asarray(high.astype(object) * 2**32 + low.astype(object))


def pairwise_sum(values: Samples) -> Samples:
    """Sum along axis 0 so that rounding errors grow with the logarithm of the length, not with the length."""
    with np.errstate(invalid="ignore", over="ignore"):
        while len(values) > ADDED_IN_A_ROW:
            n_groups, n_left = divmod(len(values), ADDED_IN_A_ROW)
            whole = values[: len(values) - n_left].reshape(n_groups, ADDED_IN_A_ROW, *values.shape[1:])
            values = np.concatenate([np.add.reduce(whole, axis=1), values[len(values) - n_left :]])
        return np.asarray(np.add.reduce(values, axis=0))


Part = Extrema | Sums


def part_of(method: str, samples: Samples, edges: NDArray[np.int64]) -> Part:
    """Reduce bins to what ``method`` needs of them; ``edges`` count from the first of ``samples``."""
    return Extrema.of(samples, edges) if method == "extrema" else Sums.of(samples, edges)


def merged(parts: Iterable[Part]) -> Part:
    """Put together parts of one bin that was read in several runs."""
    return reduce(lambda one, other: one.merge(other), parts)  # type: ignore[arg-type]


def interleave(minimum: Samples, maximum: Samples) -> Samples:
    """Return rows 2k and 2k+1 as the minimum and the maximum of bin k."""
    points = np.empty((2 * len(minimum), *minimum.shape[1:]), dtype=minimum.dtype)
    points[0::2], points[1::2] = minimum, maximum
    return points


def reduced(operation: np.ufunc, samples: Samples, edges: NDArray[np.int64]) -> Samples:
    """Apply a reduction to each ``[edges[k], edges[k + 1])`` along axis 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        if samples.ndim == 1:
            return np.asarray(operation.reduceat(samples, edges[:-1]))
        # reduceat along axis 0 of rows of channels is ten times slower than whole reductions.
        runs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        return np.stack([operation.reduce(samples[start:stop], axis=0) for start, stop in runs])


def float_sums(values: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum each bin in pairs: numpy adds several values one after the other."""
    runs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return np.stack([pairwise_sum(values[start:stop]) for start, stop in runs])


def _is_half_of_64_bits(total: Samples) -> bool:
    return total.dtype != object and bool((np.abs(total >> 1) < 2**61).all())


def _fits_float64(total: Samples) -> bool:
    return total.dtype != object and bool((np.abs(total) <= 2**53).all())

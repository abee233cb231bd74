"""Entries of an overview: what is told of each run of samples, from the samples or from finer entries. Pure numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.downsample import halves, pairwise_sum
from storage.overviews.form import STATISTICS, sum_dtype

Values = NDArray[Any]
FEW_CHANNELS = 16
"""Below this, samples are reduced channel by channel: along so short rows every step costs more than it adds."""
FOLD = 4
"""Entries of one level that make one of the next."""


@dataclass(frozen=True, slots=True)
class Entries:
    """What is told of some entries of one size, NaN left out."""

    extrema: Values
    """Shape (n_entries, n_channels, 2): minimum and maximum; NaN where there are only NaN."""
    sums: Values | None
    """Shape (n_entries, n_channels), of integers of 64 bits (n_entries, n_channels, 2): upper and lower halves."""
    missing: NDArray[np.int64] | None
    """Shape (n_entries, n_channels): how many are NaN; None where none is."""

    def told(self) -> Iterator[tuple[str, Values]]:
        """Yield each statistic that there is, and its values."""
        for name in STATISTICS:
            values = getattr(self, name)
            if values is not None:
                yield name, values

    def coarser(self, dtype: np.dtype[Any], size: int) -> Entries:
        """Return whole entries of ``FOLD`` of these each, which are then of ``size`` samples of ``dtype``."""
        n_entries = len(self.extrema) // FOLD
        extrema = _folded(self.extrema, n_entries)
        low, high = np.fmin.reduce(extrema[..., 0], axis=1), np.fmax.reduce(extrema[..., 1], axis=1)
        sums = missing = None
        if self.sums is not None:
            kind, _ = sum_dtype(dtype, size)
            with np.errstate(invalid="ignore", over="ignore"):
                sums = np.add.reduce(_folded(self.sums, n_entries), axis=1, dtype=_adding(kind)).astype(kind)
            if self.missing is not None:
                missing = np.add.reduce(_folded(self.missing, n_entries), axis=1)
        return Entries(np.stack([low, high], axis=-1), sums, missing)


def entries_of(samples: Values, size: int, *, with_sums: bool, as_dtype: np.dtype[Any] | None = None) -> Entries:
    """Reduce samples to entries.

    Parameters
    ----------
    samples : ndarray
        Little-endian, shape (n_entries · size, n_channels).
    size : int
        Samples per entry.
    with_sums : bool
    as_dtype : dtype, optional
        Of the extrema, where that is not the one of the samples: they are rounded to it.
    """
    n_channels, as_dtype = samples.shape[1], as_dtype or samples.dtype
    if n_channels < FEW_CHANNELS:
        runs = np.ascontiguousarray(samples.T).reshape(n_channels, -1, size)
        reduced = _reduced(runs, 2, as_dtype, size, with_sums=with_sums)
        return Entries(*(None if one is None else one.swapaxes(0, 1) for one in reduced))  # type: ignore[arg-type]
    runs = samples.reshape(-1, size, n_channels)
    return Entries(*_reduced(runs, 1, as_dtype, size, with_sums=with_sums))


def _reduced(
    runs: Values, axis: int, dtype: np.dtype[Any], size: int, *, with_sums: bool
) -> tuple[Values, Values | None, NDArray[np.int64] | None]:
    """Reduce one axis to extrema, which get an axis of their own at the end, sums and numbers of NaN."""
    with np.errstate(invalid="ignore"):
        ends = [np.fmin.reduce(runs, axis=axis), np.fmax.reduce(runs, axis=axis)]
        extrema = np.stack(ends, axis=-1).astype(dtype, copy=False)
    if not with_sums:
        return extrema, None, None
    kind, n_values = sum_dtype(dtype, size)
    if dtype.kind != "f":
        if n_values == 2:
            high, low = halves(runs)
            return extrema, np.stack([np.add.reduce(high, axis=axis), np.add.reduce(low, axis=axis)], axis=-1), None
        return extrema, np.add.reduce(runs, axis=axis, dtype=kind), None
    with np.errstate(invalid="ignore", over="ignore"):
        sums = _float_sums(runs, axis)
        odd = np.isnan(sums)
        if not odd.any():
            return extrema, sums.astype(kind), None
        is_nan = np.isnan(runs)
        missing = np.add.reduce(is_nan, axis=axis, dtype=np.int64)
        if not missing.any():  # infinities of both signs
            return extrema, sums.astype(kind), None
        sums = np.where(odd, _float_sums(np.where(is_nan, 0, runs), axis), sums)
    return extrema, sums.astype(kind), missing


def _float_sums(runs: Values, axis: int) -> NDArray[np.float64]:
    """Return sums in float64; of float64 in pairs, as numpy adds several values one after the other."""
    if runs.dtype.itemsize < 8:
        return np.asarray(np.add.reduce(runs, axis=axis, dtype=np.float64))
    return pairwise_sum(np.moveaxis(runs, axis, 0))


def _adding(kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which sums are added, before they are rounded to their own."""
    return np.dtype(np.float64) if kind.kind == "f" else kind


def _folded(values: Values, n_entries: int) -> Values:
    return values[: n_entries * FOLD].reshape(n_entries, FOLD, *values.shape[1:])

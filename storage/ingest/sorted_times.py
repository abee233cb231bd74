"""Whether times are sorted, and the first and last value of each block of them."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.calibration import AnyCalibration, quantity_dtype
from storage.hdf5.file import Description
from storage.times import BLOCK_ROWS

UNSORTED = "its times are not sorted"
WINDOW_ROWS = 1 << 20

AT_ONCE_NBYTES = 1 << 20
"""Longer times are checked by a job of their own: registering a file reads next to nothing of it."""


def is_long(description: Description) -> bool:
    """Whether times are so long that reading them is not a part of registering their file."""
    is_in_file = description.values is None
    return is_in_file and prod(description.shape) * description.dtype.itemsize > AT_ONCE_NBYTES


def check(
    dataset: h5py.Dataset,
    description: Description,
    ends: NDArray[np.int64],
    calibration: AnyCalibration | None = None,
) -> tuple[NDArray[np.generic], list[str | None]]:
    """Read all times once.

    Parameters
    ----------
    dataset : h5py.Dataset
        One-dimensional, numeric.
    description : Description
        Of the same dataset.
    ends : ndarray
        Shape (n_runs,), not falling: where each run of rows ends, and the next begins.
    calibration : Calibration or Polynomial, optional
        By which the stored numbers are times.

    Returns
    -------
    ndarray
        Shape (n_blocks, 2), in the stored dtype: first and last value of each block of rows.
    list of (str or None)
        For each run, why it cannot be served, or None.
    """
    starts = np.concatenate([[0], ends])[: len(ends)]
    blocks, faults, _ = check_runs(dataset, description, starts, ends, calibration)
    return blocks, faults


def check_runs(
    dataset: h5py.Dataset,
    description: Description,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    calibration: AnyCalibration | None = None,
) -> tuple[NDArray[np.generic], list[str | None], NDArray[np.generic]]:
    """Read all times once, and say of each of some runs of rows whether it is sorted.

    Parameters
    ----------
    dataset : h5py.Dataset
        One-dimensional, numeric.
    description : Description
        Of the same dataset.
    starts, stops : ndarray
        Shape (n_runs,) each; ``stop`` is out.
    calibration : Calibration or Polynomial, optional
        By which the stored numbers are times.

    Returns
    -------
    ndarray
        Shape (n_blocks, 2), in the stored dtype: first and last value of each block of rows.
    list of (str or None)
        For each run, why it cannot be served, or None.
    ndarray
        Shape (n_runs, 2), in the stored dtype: first and last value of each run; those of an empty one are 0.
    """
    blocks = _empty_blocks(description)
    ends = np.zeros((len(starts), 2), description.dtype)
    rows = np.stack([starts, stops - 1], axis=1)
    falls: list[NDArray[np.int64]] = []
    odd: list[NDArray[np.int64]] = []
    before = None
    for start, numbers in _windows(dataset, description, blocks):
        here = (rows >= start) & (rows < start + len(numbers)) & (stops > starts)[:, np.newaxis]
        ends[here] = numbers[rows[here] - start]
        times = numbers if calibration is None else _quantities(numbers, calibration)
        if times.dtype.kind == "f":
            odd.append(np.flatnonzero(~np.isfinite(times)) + start)
        joined = times if before is None else np.concatenate([before, times])
        falls.append(np.flatnonzero(joined[1:] < joined[:-1]) + start + (before is None))
        before = times[-1:]
    return blocks, _faults(starts, stops, _joined(falls), _joined(odd)), ends


def blocks_if_sorted(dataset: h5py.Dataset, description: Description) -> NDArray[np.generic] | None:
    """Return the blocks of a dataset whose rows may be times; None as soon as a window of them cannot be.

    So a signal costs one window. Parameters are those of ``check``.
    """
    blocks = _empty_blocks(description)
    before = None
    for _, times in _windows(dataset, description, blocks):
        joined = times if before is None else np.concatenate([before, times])
        if (joined[1:] < joined[:-1]).any() or not np.isfinite(times).all():
            return None
        before = times[-1:]
    return blocks


def _quantities(numbers: NDArray[Any], calibration: AnyCalibration) -> NDArray[Any]:
    """Return times as they will be searched."""
    return calibration.apply(numbers, None).astype(quantity_dtype(numbers.dtype))


def blocks_of(times: NDArray[Any]) -> NDArray[np.generic]:
    """Return first and last value of each block of times that no file has; shape (n_blocks, 2)."""
    starts = np.arange(0, len(times), BLOCK_ROWS)
    return np.stack([times[starts], times[np.minimum(starts + BLOCK_ROWS, len(times)) - 1]], axis=1)


def _rows_per_block(description: Description) -> int:
    return description.chunk_shape[0] if description.chunk_shape else BLOCK_ROWS


def _empty_blocks(description: Description) -> NDArray[np.generic]:
    return np.empty((-(-description.shape[0] // _rows_per_block(description)), 2), description.dtype)


def _windows(
    dataset: h5py.Dataset, description: Description, blocks: NDArray[np.generic]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the first row of each window of times, and these; fills in their blocks."""
    rows_per_block, length = _rows_per_block(description), description.shape[0]
    step = max(1, WINDOW_ROWS // rows_per_block) * rows_per_block
    for start in range(0, length, step):
        times = np.atleast_1d(dataset[start : start + step] if dataset.shape else dataset[()])
        here = np.arange(0, len(times), rows_per_block)
        number = start // rows_per_block
        blocks[number : number + len(here), 0] = times[here]
        blocks[number : number + len(here), 1] = times[np.minimum(here + rows_per_block, len(times)) - 1]
        yield start, times


def _faults(
    starts: NDArray[np.int64], stops: NDArray[np.int64], falls: NDArray[np.int64], odd: NDArray[np.int64]
) -> list[str | None]:
    """Say of each run what is wrong with it; ``falls`` are rows whose time is before that of the row above."""
    first_fall, first_odd = np.searchsorted(falls, starts, side="right"), np.searchsorted(odd, starts)
    n_falls, n_odd = np.searchsorted(falls, stops) - first_fall, np.searchsorted(odd, stops) - first_odd
    faults: list[str | None] = [None] * len(stops)
    for run in np.flatnonzero(n_falls > 0).tolist():
        place = falls[first_fall[run]] - starts[run]
        faults[run] = f"{UNSORTED}: number {place}, counted from 0, is earlier than number {place - 1}"
    for run in np.flatnonzero(n_odd > 0).tolist():
        place = odd[first_odd[run]] - starts[run]
        faults[run] = f"{n_odd[run]} of its times are not numbers; the first is number {place}, counted from 0"
    return faults


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)

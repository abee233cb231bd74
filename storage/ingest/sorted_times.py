"""Whether times are sorted, and the first and last value of each block of them."""

from __future__ import annotations

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.hdf5.file import Description
from storage.times import BLOCK_ROWS

WINDOW_ROWS = 1 << 20


def check(
    dataset: h5py.Dataset, description: Description, ends: NDArray[np.int64]
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

    Returns
    -------
    ndarray
        Shape (n_blocks, 2), in the stored dtype: first and last value of each block of rows.
    list of (str or None)
        For each run, why it cannot be served, or None.
    """
    rows_per_block = description.chunk_shape[0] if description.chunk_shape else BLOCK_ROWS
    length = description.shape[0]
    firsts = np.arange(0, length, rows_per_block)
    blocks = np.empty((len(firsts), 2), description.dtype)
    falls: list[NDArray[np.int64]] = []
    odd: list[NDArray[np.int64]] = []
    step = max(1, WINDOW_ROWS // rows_per_block) * rows_per_block
    before = None
    for start in range(0, length, step):
        times = np.atleast_1d(dataset[start : start + step] if dataset.shape else dataset[()])
        here = firsts[(firsts >= start) & (firsts < start + len(times))] - start
        number = start // rows_per_block
        lasts = np.minimum(here + rows_per_block, len(times)) - 1
        blocks[number : number + len(here), 0] = times[here]
        blocks[number : number + len(here), 1] = times[lasts]
        if times.dtype.kind == "f":
            odd.append(np.flatnonzero(~np.isfinite(times)) + start)
        joined = times if before is None else np.concatenate([before, times])
        falls.append(np.flatnonzero(joined[1:] < joined[:-1]) + start + (before is None))
        before = times[-1:]
    return blocks, _faults(ends, _joined(falls), _joined(odd))


def _faults(ends: NDArray[np.int64], falls: NDArray[np.int64], odd: NDArray[np.int64]) -> list[str | None]:
    """Say of each run what is wrong with it; ``falls`` are rows whose time is before that of the row above."""
    starts = np.concatenate([[0], ends])[:-1]
    n_falls = np.searchsorted(falls, ends) - np.searchsorted(falls, starts, side="right")
    n_odd = np.searchsorted(odd, ends) - np.searchsorted(odd, starts)
    return [
        f"{n_odd[run]} of its times are not numbers"
        if n_odd[run] > 0
        else "its times are not sorted"
        if n_falls[run] > 0
        else None
        for run in range(len(ends))
    ]


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)

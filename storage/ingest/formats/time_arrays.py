"""Times of a file as arrays: where they lie if they are sorted, else a sorted copy beside the chunk indices."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.hdf5.file import MAX_INLINE_NBYTES
from storage.ingest.formats.clocks import Clock
from storage.ingest.found import Found, as_path
from storage.times import BLOCK_ROWS

CUT = "#"
"""Between the path of a dataset and what was made of it."""


@dataclass(frozen=True, slots=True)
class Times:
    """Sorted times among the findings."""

    path: str
    """``source_path`` of the array."""
    n_times: int
    unit: str
    first: float
    """0 where there are none."""
    last: float
    order: NDArray[np.intp] | None = None
    """Which row of the file each time comes from, where they are a copy in another order."""

    def ordered(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return what the file tells of each time, in the order of the times."""
        return values if self.order is None else values[self.order]


def add_times(found: Found, dataset: h5py.Dataset, clock: Clock) -> Times:
    """Add a dataset of one time each, in place if they are sorted.

    Raises
    ------
    Refused
        If they are no numbers, or too many to sort.
    """
    if clock.factor == 1 and dataset.ndim == 1:
        path, (fault,) = found.describe_times(dataset)
        if fault is None:
            n_times = found.datasets[path].shape[0]
            blocks = found.blocks[path]
            first, last = (float(blocks[0, 0]), float(blocks[-1, 1])) if n_times else (0.0, 0.0)
            return Times(found.whole(path, path.lstrip("/"), clock.unit), n_times, clock.unit, first, last)
    return make_times(found, as_path(dataset.name), clock.times(values_of(dataset)), clock.unit)


def make_times(found: Found, path: str, values: NDArray[np.generic], unit: str) -> Times:
    """Add times that are no dataset of their own, sorted; parameters are what they are made of, and their unit."""
    values = np.ravel(np.asarray(values))
    if values.dtype.kind not in "iuf":
        raise Refused(f"its times have the type {values.dtype}, not numbers")
    n_odd = int(np.count_nonzero(~np.isfinite(values)))
    if n_odd:
        raise Refused(f"{n_odd} of its times are not numbers")
    order = None
    if np.less(values[1:], values[:-1]).any():
        order = np.argsort(values, kind="stable")
        values = values[order]
    made = add_made(found, f"{path}{CUT}times", values, unit)
    starts = np.arange(0, len(values), BLOCK_ROWS)
    ends = np.minimum(starts + BLOCK_ROWS, len(values)) - 1
    found.blocks[found.arrays[made].dataset] = np.stack([values[starts], values[ends]], axis=1)
    first, last = (float(values[0]), float(values[-1])) if len(values) else (0.0, 0.0)
    return Times(made, len(values), unit, first, last, order)


def add_made(found: Found, path: str, values: NDArray[np.generic], units: str | None) -> str:
    """Add an array that the file only implies, or holds in another order; return its ``source_path``."""
    if values.nbytes > MAX_INLINE_NBYTES:
        raise Refused(f"its {values.nbytes} bytes are too many to copy")
    return found.whole(found.make(path, values), path.lstrip("/"), units)


def values_of(dataset: h5py.Dataset, part: str | tuple[slice | int, ...] = ()) -> NDArray[np.generic]:
    """Return the numbers of a dataset, of a field or of a part of it, if they are few enough to be copied."""
    dtype = dataset.dtype[part] if isinstance(part, str) else dataset.dtype
    if dtype.kind not in "biuf":
        raise Refused(f"{as_path(dataset.name)} has the type {dtype}, not numbers")
    lengths = [length for length, one in zip(dataset.shape or (), part, strict=False) if one == slice(None)]
    n_values = prod(lengths) if part and not isinstance(part, str) else dataset.size
    if n_values is None or n_values * dtype.itemsize > MAX_INLINE_NBYTES:
        raise Refused(f"{as_path(dataset.name)} has the shape {dataset.shape}: too many numbers to copy")
    read = dataset.fields(part)[()] if isinstance(part, str) else dataset[part]
    values = np.atleast_1d(np.asarray(read))
    return values.astype(values.dtype.newbyteorder("="))


def labels_of(dataset: h5py.Dataset | None) -> NDArray[np.bytes_] | None:
    """Return the strings of a dataset as UTF-8 of one width; None where it has none."""
    if dataset is None or not dataset.size:
        return None
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise Refused(f"{as_path(dataset.name)} has the type {dataset.dtype}, not text")
    if dataset.size * max(dataset.dtype.itemsize, 8) > MAX_INLINE_NBYTES:
        raise Refused(f"{as_path(dataset.name)} has the shape {dataset.shape}: too much text to copy")
    words = [word if isinstance(word, bytes) else str(word).encode() for word in np.ravel(dataset[()]).tolist()]
    width = max(map(len, words), default=1) or 1
    if width * len(words) > MAX_INLINE_NBYTES:
        raise Refused(f"the texts of {as_path(dataset.name)} are too long to copy")
    return np.array(words, f"S{width}")

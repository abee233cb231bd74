"""What the overview of an array is made of."""

from __future__ import annotations

from storage.answer import StoredArray
from storage.calibration import quantity_dtype
from storage.downsample import finest_entry
from storage.overviews.entries import FOLD
from storage.overviews.form import OverviewForm


def is_reducible(array: StoredArray) -> bool:
    """Whether an array has minima, maxima and means: whether its samples are one number, or one for each channel."""
    return len(array.shape) <= 2 and array.dataset.dtype.kind in "biuf" and array.n_channels > 0


def is_built_in(array: StoredArray) -> bool:
    """Whether quantities are reduced rather than stored numbers, of which extrema and means tell nothing."""
    return array.calibration is not None and not array.calibration.is_linear


def form_of(array: StoredArray, *, coarser: int = 0, has_sums: bool = True) -> OverviewForm:
    """Return what an overview of an array is made of.

    Parameters
    ----------
    array : StoredArray
    coarser : int
        How many of the finest levels are left out.
    has_sums : bool
    """
    stored = array.dataset.dtype.newbyteorder("<")
    dtype = quantity_dtype(stored) if is_built_in(array) else stored
    finest = finest_entry(array.n_channels) * FOLD**coarser
    return OverviewForm(array.n_samples, array.n_channels, dtype, finest, has_sums)

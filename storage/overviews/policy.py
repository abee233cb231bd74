"""Which arrays have an overview, and how fine it is: settings of whoever runs the service."""

from __future__ import annotations

from dataclasses import dataclass

from storage.answer import StoredArray, chunk_nbytes
from storage.overviews.array_form import form_of, is_reducible
from storage.overviews.form import OverviewForm

MEBIBYTE = 1 << 20
MAX_CHUNK_NBYTES = 64 * MEBIBYTE
"""Decoded: of larger chunks, making an overview would take over 300 MB of memory."""


@dataclass(frozen=True, slots=True)
class OverviewPolicy:
    """What is made, and what is left out."""

    is_on: bool = True
    from_nbytes: int = 4 * MEBIBYTE
    """Shorter arrays have none: their samples are read as quickly."""
    coarser: int = 0
    """How many of the finest levels are left out, each of which takes as much as three quarters of what is left."""

    def form(self, array: StoredArray, *, has_sums: bool) -> OverviewForm | None:
        """Return what the overview of an array is made of; None where it has none."""
        nbytes = array.n_samples * array.n_channels * array.dataset.dtype.itemsize
        if not self.is_on or not is_reducible(array) or nbytes < self.from_nbytes:
            return None
        if chunk_nbytes(array) > MAX_CHUNK_NBYTES:
            return None
        form = form_of(array, coarser=self.coarser, has_sums=has_sums)
        return form if form.sizes else None

"""Parts of an overview that is being made, as bytes: whoever is killed loses what came after the last of them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from storage.errors import FileDamaged
from storage.overviews.build import COARSENED_ENTRIES, Building
from storage.overviews.entries import Entries
from storage.overviews.form import STATISTICS

MAGIC = b"ephystore overview part 1\n"


def content(building: Building, first: int) -> bytes:
    """Return all records of the samples from ``first`` on that are done, and the extent so far.

    Both ends are ends of strips.
    """
    written = io.BytesIO()
    written.write(MAGIC)
    np.save(written, np.array([first, building.n_done]), allow_pickle=False)
    for extent in (building.extent.minimum, building.extent.maximum):
        np.save(written, extent, allow_pickle=False)
    for size, block, start, stop in _runs(building, first, building.n_done):
        entries = building.file.read(size, start, stop, block)
        for statistic in STATISTICS:
            values = getattr(entries, statistic)
            np.save(written, np.empty(0) if values is None else values, allow_pickle=False)
    return written.getvalue()


def restore(building: Building, part: bytes) -> None:
    """Write what ``content`` told into the file of a building that is done up to where the part begins.

    Raises
    ------
    FileDamaged
        If it is no such part.
    """
    told = io.BytesIO(part)
    try:
        if told.read(len(MAGIC)) != MAGIC:
            raise ValueError("it begins with something else")
        first, stop = np.load(told, allow_pickle=False).tolist()
        if first != building.n_done or (stop % building.strip_size and stop != building.array.n_samples):
            raise ValueError("it is of other samples")
        minimum, maximum = (np.load(told, allow_pickle=False) for _ in range(2))
        for size, block, start, end in _runs(building, first, stop):
            parts = [np.load(told, allow_pickle=False) for _ in STATISTICS]
            entries = Entries(*(values if values.size else None for values in parts))  # type: ignore[arg-type]
            if entries.extrema is not None:
                building.file.write(size, start, entries, block[0])
            elif end > start:
                raise ValueError("records are missing")
    except (ValueError, EOFError, OSError) as error:
        raise FileDamaged(f"a part of an overview is damaged: {error}") from error
    building.extent.minimum[...], building.extent.maximum[...] = minimum, maximum
    building.n_done = stop


def _runs(building: Building, first: int, stop: int) -> Iterator[tuple[int, tuple[int, int], int, int]]:
    """Yield size, block and entries of all runs of records that strips have made."""
    form = building.form
    for size in form.sizes:
        if size > building.strip_size:
            return
        for block in form.blocks():
            for start in range(first // size, stop // size, COARSENED_ENTRIES):
                yield size, block, start, min(start + COARSENED_ENTRIES, stop // size)

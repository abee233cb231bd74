"""Reading overviews: the records of some runs of entries, fetched together, and what bins are by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage import range_reads
from storage.downsample import Extrema, Part, Sums, float_sums, halves, joined, reduced
from storage.errors import FileChanged, NotStored, OverviewGone
from storage.hdf5.chunk import Samples
from storage.objectstore import ObjectStore
from storage.overviews.cover import Run
from storage.overviews.form import BLOCK_CHANNELS, StoredOverview
from storage.ranges import ByteRange
from storage.stores.backend import Content

METHODS = {"mean": ("sums", "missing"), "extrema": ("extrema",), "stride": ("extrema",)}
"""Which statistics a method needs."""

Records = dict[str, NDArray[Any]]
"""By statistic: shape (n_entries, n_channels), with a last axis where it is told by several values."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Where some entries of a block of channels lie."""

    run: Run
    statistic: str
    block: tuple[int, int]
    first: int
    stop: int
    place: ByteRange


def pieces(overview: StoredOverview, runs: Sequence[Run], channels: Sequence[int], method: str) -> Iterator[Piece]:
    """Yield where all records lie that a method needs of some runs of entries."""
    form = overview.form
    firsts = sorted({channel // BLOCK_CHANNELS * BLOCK_CHANNELS for channel in channels})
    for run in runs:
        for statistic in METHODS[method]:
            if (offset := overview.offsets.get((statistic, run.size))) is None:
                continue
            nbytes = form.record_nbytes(statistic, run.size)
            for low in firsts:
                block = low, min(low + BLOCK_CHANNELS, form.n_channels)
                for first, stop, record in form.runs(run.size, block, run.first, run.stop):
                    length = (stop - first) * (block[1] - block[0]) * nbytes
                    yield Piece(run, statistic, block, first, stop, ByteRange(offset + record * nbytes, length))


def read(
    store: ObjectStore, overview: StoredOverview, runs: Sequence[Run], channels: Sequence[int], method: str
) -> dict[Run, Records]:
    """Return the records of some runs of entries, of these channels in this order.

    Raises
    ------
    OverviewGone, StoreAway
    """
    wanted = list(pieces(overview, runs, channels, method))
    try:
        contents = range_reads.fetch(store, overview.key, {one.place for one in wanted}, pin=None)
    except (NotStored, FileChanged) as error:  # FileChanged: it is shorter than it was
        raise OverviewGone("the overview of this array is gone from the store") from error
    found: dict[Run, Records] = {}
    number_of = {channel: number for number, channel in enumerate(channels)}
    for piece in wanted:
        _place(found, piece, contents[piece.place], overview, number_of)
    return found


def _place(
    found: dict[Run, Records], piece: Piece, content: Content, overview: StoredOverview, number_of: dict[int, int]
) -> None:
    """Put the records of a piece where they belong."""
    dtype, n_values = overview.form.record(piece.statistic, piece.run.size)
    more = (n_values,) if n_values > 1 else ()
    width = piece.block[1] - piece.block[0]
    rows = np.frombuffer(content, dtype).reshape(piece.stop - piece.first, width, *more)
    records = found.setdefault(piece.run, {})
    n_entries = piece.run.stop - piece.run.first
    if piece.statistic not in records:
        if len(number_of) == width and len(rows) == n_entries and [*number_of] == [*range(*piece.block)]:
            records[piece.statistic] = rows
            return
        records[piece.statistic] = np.empty((n_entries, len(number_of), *more), dtype)
    here = [channel for channel in range(*piece.block) if channel in number_of]
    sources, targets = [channel - piece.block[0] for channel in here], [number_of[channel] for channel in here]
    start = piece.first - piece.run.first
    records[piece.statistic][start : start + len(rows), targets] = rows[:, sources]


def part_of(method: str, run: Run, records: Records, edges: NDArray[np.int64], shape: tuple[int, ...]) -> Part:
    """Reduce entries to bins.

    Parameters
    ----------
    method : str
        ``mean``, ``extrema``, or ``stride`` of what is sorted: the extrema of the first entry of each bin.
    run : Run
    records : Records
    edges : ndarray
        Of the bins, in samples; all of them are edges of entries.
    shape : tuple of int
        Of one point.
    """
    places = edges // run.size - run.first
    if method != "mean":
        extrema = records["extrema"]
        if method == "stride":
            firsts = extrema[places[:-1]].reshape(-1, *shape, 2)
            return Extrema(firsts[..., 0], firsts[..., 1])
        return Extrema(
            reduced(np.fmin, extrema[..., 0].reshape(-1, *shape), places),
            reduced(np.fmax, extrema[..., 1].reshape(-1, *shape), places),
        )
    sizes = np.diff(edges).reshape((-1,) + (1,) * len(shape))
    count = np.broadcast_to(sizes, (len(sizes), *shape))
    if "missing" in records:
        missing = records["missing"].astype(np.int64).reshape(-1, *shape)
        count = count - reduced(np.add, missing, places)
    return Sums(_total(records["sums"], places, shape, longest=int(sizes.max())), count)


def _total(sums: Samples, places: NDArray[np.int64], shape: tuple[int, ...], *, longest: int) -> Samples:
    if sums.ndim == 3:  # of integers of 64 bits
        high, low = (reduced(np.add, sums[..., half].reshape(-1, *shape), places) for half in (0, 1))
        return joined(high, low)
    if sums.dtype.kind == "f":
        return float_sums(sums.astype(np.float64).reshape(-1, *shape), places)
    whole = sums.astype(np.int64).reshape(-1, *shape)
    if longest < 2**31:  # of integers of up to 32 bits
        return reduced(np.add, whole, places)
    high, low = (reduced(np.add, half, places) for half in halves(whole))
    return joined(high, low)


def requests(wanted: set[ByteRange]) -> list[ByteRange]:
    """Return what is asked of the store for some records."""
    return range_reads.requests(wanted) if wanted else []

"""Reading an array: from a selection and a number of points to the answer, in windows of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from storage.answer import Answer, StoredArray
from storage.downsample import Bins, Extrema, Part, Sums, entry_sizes, finest_entry, interleave, merged, part_of
from storage.hdf5.chunk import Samples
from storage.hdf5.dataset import DatasetReader, Plan
from storage.overviews.array_form import is_reducible
from storage.overviews.zoom import Zoom, overview_for
from storage.ranges import MAX_GAP_NBYTES, ByteRange
from storage.side_by_side import ahead
from storage.timings import Timings

T = TypeVar("T")
Runs = Sequence[tuple[int, int]]

MAX_BINS = 1 << 16
"""Bins that one step of a long answer makes."""

WINDOW_NBYTES = 2 * 1024 * 1024
"""Decoded bytes that one step of a long answer holds, or one row of chunks where that is more."""

SHORT = 4
"""Windows that are read as one for points, if there are no more."""

SPREAD = 4
"""Times that which a window is where each channel is a range of its own to fetch."""

FIRST_WINDOW_NBYTES = WINDOW_NBYTES // 2
"""Of its first step, so that the answer begins soon."""

AHEAD_NBYTES = 12 * 1024 * 1024
"""Decoded bytes of the steps that are fetched and decoded while one is sent; at least one step is."""


@dataclass(frozen=True, slots=True)
class ZoomPlan:
    """What an answer by an overview will ask of the store."""

    records: list[ByteRange]
    """Of the file of the overview; one request each."""
    samples: Plan
    """Of the file of the array, at the ends of the selection."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads arrays; shared by all threads of a process."""

    datasets: DatasetReader

    def read(self, answer: Answer) -> Iterator[Samples]:
        """Yield the points of an answer in order, in windows of bounded size.

        Raises
        ------
        NotStored, FileChanged, FileDamaged, StoreAway
            At whichever window first meets it.
        """
        if answer.request.points is None:
            windows = self._samples(answer)
        elif zoom := self.zoom(answer):
            windows = self._zoomed(zoom)
        elif answer.request.method == "stride":
            windows = self._strides(answer)
        else:
            windows = self._reduced(answer)
        for points in windows:
            yield points.astype(answer.dtype, copy=False)

    def plan(self, answer: Answer) -> Plan:
        """Say what reading would ask of the store, were nothing cached."""
        array, request = answer.array, answer.request
        columns, first = array.columns_of(request.channels), array.first_row
        if request.points is None:
            steps = ([window] for window in self._windows(answer))
        elif request.method == "stride":
            steps = (_firsts(edges) for edges in self._groups(answer))
        else:
            steps = ([piece] for edges in self._groups(answer) for piece in self._pieces(answer, edges))
        plans = [
            self.datasets.plan(
                array.dataset, [(first + start, first + stop) for start, stop in runs], columns, answer.timings
            )
            for runs in steps
        ]
        return Plan(sum(plan.n_chunks for plan in plans), [part for plan in plans for part in plan.ranges])

    def zoom(self, answer: Answer) -> Zoom | None:
        """Return how an answer is made of an overview; None where it is made of samples."""
        if answer.request.points is None or answer.array.overview is None:
            return None
        bins = self._bins(answer)
        overview = overview_for(answer, bins)
        return None if overview is None else Zoom(answer, bins, overview, self.datasets.store, self.datasets.ahead)

    def is_spared(self, answer: Answer) -> bool:
        """Whether an overview would spare reading the samples of an answer, if there were one."""
        request = answer.request
        if request.points is None or not is_reducible(answer.array):
            return False
        return self._bins(answer).grain > 1 and (request.method != "stride" or request.is_sorted)

    def plan_zoom(self, zoom: Zoom) -> ZoomPlan:
        """Say what an answer by an overview would ask of the store, were nothing cached."""
        records, runs = zoom.plan()
        array = zoom.answer.array
        columns, first = array.columns_of(zoom.answer.request.channels), array.first_row
        wanted = [(first + start, first + stop) for start, stop in runs]
        samples = self.datasets.plan(array.dataset, wanted, columns, zoom.answer.timings) if wanted else Plan(0, [])
        return ZoomPlan(records, samples)

    def runs(self, array: StoredArray, runs: Sequence[tuple[int, int]], *, timings: Timings) -> list[Samples]:
        """Return the calibrated samples of a few short runs, fetched together."""
        parts = self._stored(array, runs, None, keep=True, timings=timings)
        return [_quantities(part, array, None).astype(array.dtype, copy=False) for part in parts]

    def _samples(self, answer: Answer) -> Iterator[Samples]:
        array, request = answer.array, answer.request
        for _, (stored,) in self._read_ahead(answer, ((None, [window]) for window in self._windows(answer))):
            # A window is at least a row of chunks, and that may be long: what is made of it is bounded apart.
            n_rows = max(1, WINDOW_NBYTES // max(1, stored[:1].nbytes))
            for first in range(0, len(stored), n_rows):
                with answer.timings.of("decode"):
                    part = stored[first : first + n_rows]
                    samples = _quantities(part, array, request.channels) if request.scaled else part
                yield samples

    def _strides(self, answer: Answer) -> Iterator[Samples]:
        """Yield the first sample of each bin, fetching no chunk without one."""
        array, request = answer.array, answer.request
        for _, parts in self._read_ahead(answer, ((None, _firsts(edges)) for edges in self._groups(answer))):
            points = np.concatenate(parts)
            points = _quantities(points, array, request.channels) if request.scaled else points
            yield np.repeat(points, 2, axis=0) if request.doubled else points

    def _reduced(self, answer: Answer) -> Iterator[Samples]:
        """Yield means or extrema of bins of stored numbers, calibrated after, or of quantities where they must be."""
        steps = (
            ((edges, start, stop), [(start, stop)])
            for edges in self._groups(answer)
            for start, stop in self._pieces(answer, edges)
        )
        parts, channels = [], answer.request.channels
        for (edges, start, stop), (stored,) in self._read_ahead(answer, steps):
            inner = edges - start if len(edges) > 2 else np.array([0, stop - start])
            with answer.timings.of("decode"):
                samples = stored if _is_calibrated_after(answer) else _quantities(stored, answer.array, channels)
                parts.append(part_of(answer.request.method, samples, inner))
            if stop == edges[-1]:
                with answer.timings.of("decode"):
                    yield _points(merged(parts), answer)
                parts = []

    def _zoomed(self, zoom: Zoom) -> Iterator[Samples]:
        """Yield points that are made of an overview, and of samples at its ends."""
        answer = zoom.answer
        array, request = answer.array, answer.request

        def read_samples(runs: Runs) -> list[Samples]:
            parts = self._stored(array, runs, request.channels, keep=True, timings=Timings())
            is_after = _is_calibrated_after(answer)
            return parts if is_after else [_quantities(part, array, request.channels) for part in parts]

        for part in zoom.parts(read_samples):
            points = _points(part, answer)
            yield np.repeat(points, 2, axis=0) if request.doubled else points

    def _read_ahead(self, answer: Answer, steps: Iterable[tuple[T, Runs]]) -> Iterator[tuple[T, list[Samples]]]:
        """Yield what each step is for with the stored numbers of its runs, reading the next steps meanwhile."""
        first = True

        def read(step: tuple[T, Runs]) -> list[Samples]:
            # Only of what is read before the headers are sent can they tell where the time went.
            timings = answer.timings if first else Timings()
            return self._stored(
                answer.array, step[1], answer.request.channels, keep=self._keep(answer), timings=timings
            )

        window_nbytes = self._window_rows(answer) * answer.touched_nbytes
        n_ahead = max(1, AHEAD_NBYTES // max(1, window_nbytes))
        for (purpose, _), parts in ahead(self.datasets.ahead, read, steps, n_ahead=n_ahead):
            first = False
            yield purpose, parts

    def _groups(self, answer: Answer) -> Iterator[NDArray[np.int64]]:
        """Yield the edges of bins that are read together, about a window's worth of them."""
        bins = self._bins(answer)
        per_bin = (bins.stop - bins.start) / bins.count
        if answer.request.method == "stride":
            # Of a bin only the chunk of its first sample is read, or what lies between two that are near.
            dataset = answer.array.dataset
            gap_rows = MAX_GAP_NBYTES // max(1, dataset.bytes_between_rows) + 1
            per_bin = min(per_bin, max(dataset.rows_per_chunk, gap_rows))
        n_bins = bins.count if _is_short(answer) else int(self._window_rows(answer) / per_bin)
        return bins.groups(max(1, min(n_bins, MAX_BINS)))

    def _pieces(self, answer: Answer, edges: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Yield the run of samples of a group of bins; one bin that is longer than a window, in several."""
        start, stop = int(edges[0]), int(edges[-1])
        step = self._window_rows(answer) if len(edges) == 2 and not _is_short(answer) else stop - start
        for first in range(start, stop, step):
            yield first, min(first + step, stop)

    def _bins(self, answer: Answer) -> Bins:
        array, request = answer.array, answer.request
        assert request.points is not None
        paired = request.method == "extrema" or request.doubled
        return Bins.of(
            request.selection.start,
            request.selection.stop,
            request.points // 2 if paired else request.points,
            entry_sizes(array.n_samples, request.entry or finest_entry(array.n_channels)),
        )

    def _stored(
        self,
        array: StoredArray,
        runs: Sequence[tuple[int, int]],
        channels: tuple[int, ...] | None,
        *,
        keep: bool,
        timings: Timings,
    ) -> list[Samples]:
        """Return stored numbers of runs of the array's samples."""
        first = array.first_row
        parts = self.datasets.read_runs(
            array.dataset,
            [(first + start, first + stop) for start, stop in runs],
            array.columns_of(channels),
            keep=keep,
            timings=timings,
        )
        return parts if array.column is None else [part[:, 0] for part in parts]

    def _windows(self, answer: Answer) -> Iterator[tuple[int, int]]:
        """Yield runs of the selection that end where chunks do, so that none is decoded twice."""
        start, stop = answer.request.selection.start, answer.request.selection.stop
        first, nbytes = answer.array.first_row, FIRST_WINDOW_NBYTES
        while start < stop:
            length = self._window_rows(answer, nbytes)
            end = min(stop, ((first + start) // length + 1) * length - first)
            yield start, end
            start, nbytes = end, WINDOW_NBYTES

    def _window_rows(self, answer: Answer, nbytes: int | None = None) -> int:
        """Return the rows of one window: whole chunks, about ``nbytes``, which is WINDOW_NBYTES if not told."""
        dataset = answer.array.dataset
        step = dataset.rows_per_chunk
        nbytes = (nbytes or WINDOW_NBYTES) * (SPREAD if dataset.is_by_columns else 1)
        return max(1, nbytes // max(1, answer.touched_nbytes * step)) * step

    def _keep(self, answer: Answer) -> bool:
        """Whether the chunks of an answer stay cached; those of a whole recording would push out the rest."""
        nbytes = len(answer.request.selection) * answer.array.dataset.row_nbytes
        return nbytes <= self.datasets.chunk_cache.max_nbytes // 4


def _is_short(answer: Answer) -> bool:
    """Whether all samples of points are read at once, as they are few: then one round is enough for them."""
    return answer.request.method != "stride" and answer.nbytes_read <= SHORT * WINDOW_NBYTES


def _firsts(edges: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the first sample of each bin as a run."""
    return [(first, first + 1) for first in edges[:-1].tolist()]


def _quantities(stored: Samples, array: StoredArray, channels: tuple[int, ...] | None) -> Samples:
    return stored if array.calibration is None else array.calibration.apply(stored, channels)


def _is_calibrated_after(answer: Answer) -> bool:
    """Whether bins are reduced before they are calibrated, if ever: that costs less, and of integers sums are exact."""
    calibration = answer.array.calibration
    return not answer.request.scaled or calibration is None or calibration.is_linear


def _points(part: Part, answer: Answer) -> Samples:
    """Turn reduced bins into answered points."""
    array, request = answer.array, answer.request
    calibration = array.calibration if request.scaled and _is_calibrated_after(answer) else None
    if isinstance(part, Sums):
        means = part.mean()
        return means if calibration is None else calibration.apply(means, request.channels)
    assert isinstance(part, Extrema)
    low, high = part.minimum, part.maximum
    if calibration is not None:
        ends = calibration.apply(low, request.channels), calibration.apply(high, request.channels)
        falling = calibration.falls(request.channels)
        low, high = np.where(falling, ends[1], ends[0]), np.where(falling, ends[0], ends[1])
    return low if request.method == "stride" else _plain(interleave(low, high))


def _plain(points: Samples) -> Samples:
    """Return extrema with one zero and one NaN: which of several was met first is a matter of how samples were read."""
    if points.dtype.kind == "f":
        points += 0.0
        points[np.isnan(points)] = np.nan
    return points

"""Points by a stored overview: which entries and samples each group of bins takes, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from storage.answer import Answer
from storage.downsample import Bins, Extrema, Part, Sums, part_of
from storage.hdf5.chunk import Samples
from storage.objectstore import ObjectStore
from storage.overviews import reading
from storage.overviews.cover import Cover, Run
from storage.overviews.form import BLOCK_CHANNELS, StoredOverview
from storage.overviews.reading import Records
from storage.ranges import ByteRange
from storage.side_by_side import ahead
from storage.timings import Timings

GROUP_NBYTES = 8 << 20
"""Records that are held at once."""
ANY = (0, 1)
"""One sample, where none is needed: so that it is noticed if the file is another one by now."""
N_AHEAD = 2
"""Groups that are fetched while one is sent."""

ReadSamples = Callable[[Sequence[tuple[int, int]]], list[Samples]]
"""Returns the samples of some runs of an array, of the asked channels, as the records are of: stored numbers, or
quantities where the calibration is built in."""


def overview_for(answer: Answer, bins: Bins) -> StoredOverview | None:
    """Return the overview that an answer can be made of; None where samples must be read."""
    array, request = answer.array, answer.request
    overview = array.overview
    if overview is None or request.points is None or bins.grain not in overview.form.sizes:
        return None
    is_built_in = array.calibration is not None and not array.calibration.is_linear and request.scaled
    if overview.calibration != (array.calibration if is_built_in else None):
        return None
    if request.method == "stride" and not (request.is_sorted and len(array.shape) == 1):
        return None
    needed = reading.METHODS[request.method][0]
    return overview if (needed, bins.grain) in overview.offsets else None


@dataclass(frozen=True, slots=True)
class _Group:
    """Bins that are made together, and the runs that they are made of."""

    edges: NDArray[np.int64]
    cover: Cover

    @property
    def runs(self) -> list[Run]:
        """Runs of entries."""
        return [run for run in self.cover.runs() if run.size > 1]

    @property
    def samples(self) -> list[tuple[int, int]]:
        """Runs of samples."""
        return [run.samples for run in self.cover.runs() if run.size == 1]


@dataclass(frozen=True, slots=True)
class Zoom:
    """An answer that is made of an overview."""

    answer: Answer
    bins: Bins
    overview: StoredOverview
    store: ObjectStore
    threads: Executor

    @property
    def channels(self) -> Sequence[int]:
        """The asked channels."""
        return self.answer.request.channels or range(self.overview.form.n_channels)

    def groups(self) -> Iterator[_Group]:
        """Yield the bins in groups, and what each takes."""
        sizes, grain = self.overview.form.sizes, self.bins.grain
        method = self.answer.request.method
        n_channels = BLOCK_CHANNELS * len({channel // BLOCK_CHANNELS for channel in self.channels})
        nbytes = sum(self.overview.form.record_nbytes(one, grain) for one in reading.METHODS[method])
        per_bin = -(-(self.bins.stop - self.bins.start) // (self.bins.count * grain)) * n_channels * nbytes
        for edges in self.bins.groups(max(1, GROUP_NBYTES // per_bin)):
            cover = Cover.of(int(edges[0]), int(edges[-1]), grain, sizes)
            # Of sorted samples the first of a bin is its smallest: of the ends only the very first sample is wanted.
            yield _Group(edges, replace(cover, before=cover.before[-1:], after=()) if method == "stride" else cover)

    @property
    def nbytes_read(self) -> int:
        """About how many bytes of records are read for it."""
        form, grain = self.overview.form, self.bins.grain
        nbytes = sum(form.record_nbytes(one, grain) for one in reading.METHODS[self.answer.request.method])
        return (self.bins.stop - self.bins.start) // grain * len(self.channels) * nbytes

    def parts(self, read_samples: ReadSamples) -> Iterator[Part]:
        """Yield what bins are, group after group."""

        def read(group: _Group) -> tuple[dict[Run, Records], list[Samples]]:
            # Only of what is read before the headers are sent can they tell where the time went.
            timings = self.answer.timings if group.edges[0] == self.bins.start else Timings()
            wanted = group.samples or ([ANY] if timings is self.answer.timings else [])
            samples = self.threads.submit(read_samples, wanted) if wanted else None
            with timings.of("fetch"):
                method = self.answer.request.method
                records = reading.read(self.store, self.overview, group.runs, self.channels, method)
            if samples is None:
                return records, []
            # No thread was free for it: waiting for one could be for ever, as this may be the last of them.
            found = read_samples(wanted) if samples.cancel() else samples.result()
            return records, found if group.samples else []

        for group, (records, samples) in ahead(self.threads, read, self.groups(), n_ahead=N_AHEAD):
            yield self._part(group, records, samples)

    def plan(self) -> tuple[list[ByteRange], list[tuple[int, int]]]:
        """Return the byte ranges of the overview, and the runs of samples, that are read."""
        places, samples = [], []
        for group in self.groups():
            found = reading.pieces(self.overview, group.runs, self.channels, self.answer.request.method)
            places.append({one.place for one in found})
            samples += group.samples
        return [part for wanted in places for part in reading.requests(wanted)], samples or [ANY]

    def _part(self, group: _Group, records: dict[Run, Records], samples: list[Samples]) -> Part:
        method, cover = self.answer.request.method, group.cover
        of_samples = dict(zip((run for run in cover.runs() if run.size == 1), samples, strict=True))
        shape = self.answer.shape[1:]

        def one(run: Run) -> Part:
            """Reduce all of a run."""
            if run.size == 1 and method == "stride":
                first = of_samples[run][:1].reshape(-1, *shape)
                return Extrema(first, first)
            if run.size == 1:
                return part_of(method, of_samples[run].reshape(-1, *shape), np.array([0, run.stop - run.first]))
            return reading.part_of(method, run, records[run], np.array(run.samples), shape)

        part = reading.part_of(
            method, cover.inner, records[cover.inner], np.clip(group.edges, *cover.inner.samples), shape
        )
        for place, runs in ((0, cover.before), (-1, cover.after)):
            for run in runs:
                part = _with(part, place, one(run), is_first=method == "stride")
        return part


def _with(part: Part, place: int, more: Part, *, is_first: bool) -> Part:
    """Return bins, the first or the last of which has more in it; only that counts where it tells the first sample."""
    if isinstance(part, Extrema) and isinstance(more, Extrema):
        minimum, maximum = part.minimum.copy(), part.maximum.copy()
        if is_first:
            minimum[place], maximum[place] = more.minimum[0], more.maximum[0]
            return Extrema(minimum, maximum)
        minimum[place] = np.fmin(minimum[place], more.minimum[0])
        maximum[place] = np.fmax(maximum[place], more.maximum[0])
        return Extrema(minimum, maximum)
    assert isinstance(part, Sums) and isinstance(more, Sums)
    here = slice(0, 1) if place == 0 else slice(-1, None)
    both = Sums(part.total[here], part.count[here]).merge(more)
    total = part.total.astype(object) if both.total.dtype == object else part.total.copy()
    count = part.count.copy()
    total[here], count[here] = both.total, both.count
    return Sums(total, count)

"""One caller's slices of 100 ms while others take whole recordings, two quickly and two slowly."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median

from benchmarks.bench import LATENCY_S, Bench
from benchmarks.calls import late
from benchmarks.ours import NO_CHUNKS, archive
from benchmarks.processes import running
from benchmarks.recordings import HOUR
from benchmarks.report import Report
from benchmarks.service import Expected, Service, serving

QUICK = SLOW = 2
COLUMNS = ["downloads under way", "median ms", "95 % ms", "longest ms"]


def run(bench: Bench) -> Report:
    """Measure in turn with and without downloads."""
    report = Report("Fairness: short slices beside long downloads")
    with (
        archive(bench, HOUR) as ours,
        serving(ours.contestant("ours", HOUR, NO_CHUNKS), bench.logs, bench.s3.variables) as service,
    ):
        free, busy = measured(bench, service)
    rows = [[name, median(times), late(times), max(times)] for name, times in (("none", free), ("4", busy))]
    report.table(COLUMNS, rows)
    report.say(
        f"Beside downloads: {median(busy) / median(free):.2f} times the median, 95 %: {late(busy) / late(free):.2f}"
    )
    return report


def measured(bench: Bench, service: Service) -> tuple[list[float], list[float]]:
    """Return the times of slices without and with downloads."""
    expected = Expected(HOUR, bench.recordings)
    service.warm(HOUR.places(0, 32))
    bench.s3.delay(LATENCY_S)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(1, max(3, bench.rounds // 2) + 1):
        places = HOUR.places(number, 20)
        for kept, around in zip(times, (nullcontext(), downloads(bench, service)), strict=True):
            with around:
                found = service.slices(places)
            expected.check(service, places, found)
            kept.extend(found.times_ms)
    bench.s3.delay(0)
    return times


@contextmanager
def downloads(bench: Bench, service: Service) -> Iterator[None]:
    """Have whole recordings taken while the block runs."""
    (target,) = service.contestant.targets(0, HOUR.n_samples)
    command = [sys.executable, "-m", "benchmarks.readers", str(service.port), target, str(QUICK), str(SLOW)]
    with running(command, bench.logs / "readers.log") as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the downloads do not begin")
        yield

"""2000 points of ten minutes to a hundred hours over S3, and a viewer that pans and zooms."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks import entries
from benchmarks.bench import LATENCY_S, Bench
from benchmarks.calls import Calls, Job, call, get, late
from benchmarks.contestants.choices import BEST
from benchmarks.ours import DEFAULT, Archive, archive
from benchmarks.recordings import HOUR, HUNDRED_HOURS, RATE, SEED, TEN_HOURS, Recording
from benchmarks.report import Report
from benchmarks.service import Contestant, Service, all_serving

POINTS = 2000
COLUMNS = ["", "median ms", "95 % ms", "x latency", "x ours", "requests", "MB"]
WINDOWS = {"10 min": 600, "1 h": 3600, "10 h": 36_000, "100 h": 360_000}


def run(bench: Bench) -> Report:
    """Ask ours for windows of all lengths, and h5py over s3fs for the hour and for ten."""
    report = Report("Zoom: 2000 points (extrema) of any length")
    long = TEN_HOURS if bench.quick else HUNDRED_HOURS
    recordings = [HOUR, TEN_HOURS] if bench.quick else [HOUR, TEN_HOURS, HUNDRED_HOURS]
    with archive(bench, *recordings) as ours:
        ours.make_overviews()
        with serving(bench, ours, recordings) as services:
            bench.s3.delay(LATENCY_S)
            rows, medians = [], {}
            for name, seconds in WINDOWS.items():
                if seconds * RATE > long.n_samples:
                    continue
                number = recordings.index(long) + 1
                calls, n_requests, nbytes = asked(bench, services["ours"], windows(long, number, seconds, 30))
                medians[name] = calls.median_ms
                rows.append([f"ours, {name}", *times(calls), None, n_requests / 30, nbytes / 30e6])
            report.table(COLUMNS, rows)
            first, *_, last = medians.values()
            report.at_most(f"from 10 min to {list(medians)[-1]}, times as long", last / first, 1.3)
            whole(bench, report, services, recordings)
            viewer(bench, report, services["ours"], long, recordings.index(long) + 1)
            bench.s3.delay(0)
    return report


@contextmanager
def serving(bench: Bench, ours: Archive, recordings: list[Recording]) -> Iterator[dict[str, Service]]:
    """Serve ours, and h5py over s3fs for each of the recordings that it is asked for."""
    contestants: dict[str, Contestant] = {"ours": ours.contestant("ours", HOUR, DEFAULT)}
    for recording in recordings[:2]:
        contestants[recording.name] = entries.cached(recording, BEST)
    with all_serving([*contestants.values()], bench.logs, bench.s3.variables) as services:
        services[0].warm(HOUR.places(0, 32))
        yield dict(zip(contestants, services, strict=True))


def windows(recording: Recording, number: int, seconds: float, count: int) -> list[str]:
    """Return where to ask for points of windows at random places that no entry begins at."""
    rng = np.random.default_rng([SEED, int(seconds)])
    length = min(int(seconds * RATE), recording.n_samples - 2 * count - 2)
    starts = rng.integers(0, max(1, recording.n_samples - length), count)
    ends = np.minimum(starts + length - rng.integers(0, 999, count), recording.n_samples)
    return [
        f"/datafiles/{number}?start_index={start}&end_index={end}&downsample={POINTS}&method=extrema"
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def asked(bench: Bench, service: Service, targets: list[str]) -> tuple[Calls, int, int]:
    """Ask a service, one after the other; return the calls, and what the store was asked for."""
    call(Job(service.port, [get(target) for target in targets[:4]]))
    bench.s3.clear()
    calls = call(Job(service.port, [get(target) for target in targets]), [service.pid])
    counts = bench.s3.counts
    return calls, counts.n_requests, counts.nbytes


def times(calls: Calls) -> list[float]:
    """Return the first cells of a row."""
    return [calls.median_ms, calls.late_ms, calls.median_ms / (1000 * LATENCY_S)]


def whole(bench: Bench, report: Report, services: dict[str, Service], recordings: list[Recording]) -> None:
    """Compare the whole of the hour, and of ten, with reading all of it."""
    rows = []
    for recording, factor in zip(recordings[:2], (50, 100), strict=True):
        number = recordings.index(recording) + 1
        targets = [f"/datafiles/{number}?downsample={POINTS}&method=extrema"] * 20
        mine, n_requests, nbytes = asked(bench, services["ours"], targets)
        bench.s3.clear()
        other = f"/extrema?start=0&stop={recording.n_samples}&bins={POINTS // 2}"
        theirs = call(Job(services[recording.name].port, [get(other)]), timeout_s=1200)
        counts, ratio = bench.s3.counts, theirs.median_ms / mine.median_ms
        rows.append([f"ours, whole {recording.name}", *times(mine), 1, n_requests / 20, nbytes / 20e6])
        rows.append(
            [f"h5py over s3fs, {recording.name}", *times(theirs), ratio, counts.n_requests, counts.nbytes / 1e6]
        )
        report.at_least(f"{recording.name}, times as quick as h5py over s3fs", ratio, factor)
    report.table(COLUMNS, rows)


def viewer(bench: Bench, report: Report, service: Service, recording: Recording, number: int) -> None:
    """Ask as somebody does who zooms in at a place and pans there, again and again."""
    rng = np.random.default_rng(SEED)
    targets, n_all = [], recording.n_samples
    start, length = 0.0, float(n_all)
    for _ in range(200):
        kind = rng.integers(4)
        if kind < 2 and length > 3 * RATE:  # zoom in at the cursor
            cursor = start + length * rng.random()
            length *= 0.7
            start = cursor - length * rng.random()
        elif kind == 2:
            start += length * rng.choice([-0.3, 0.3])
        else:
            start, length = start - length / 2, length * 2
        length = min(length, n_all)
        start = min(max(start, 0), n_all - length)
        first, last = int(start), int(start + length)
        targets.append(f"/datafiles/{number}?start_index={first}&end_index={last}&downsample={POINTS}&method=extrema")
    bench.s3.clear()
    calls = call(Job(service.port, [get(target) for target in targets]), [service.pid])
    counts = bench.s3.counts
    report.table(COLUMNS, [["ours, 200 windows", *times(calls), None, counts.n_requests / 200, counts.nbytes / 200e6]])
    report.say(f"slowest ten: {', '.join(f'{one:.0f}' for one in sorted(calls.times_ms)[-10:])} ms\n")
    report.say(f"mean {statistics.mean(calls.times_ms):.1f} ms\n")
    report.at_most("panning and zooming, 95 %, x latency", late(calls.times_ms) / (1000 * LATENCY_S), 3.0)

"""Sixteen callers at once: slices per second, and the CPU time of each."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import contestants
from benchmarks.bench import LATENCY_S, Bench
from benchmarks.contest import Score, contest
from benchmarks.ours import DEFAULT, NO_CHUNKS, archive
from benchmarks.recordings import HOUR
from benchmarks.report import Report

CALLERS = 16
MOST_SLICES = 6000
COLUMNS = ["", "slices/s", "ours / this", "median ms", "95 % ms", "CPU ms", "caller's CPU ms", "requests", "MB"]


def run(bench: Bench) -> Report:
    """Compare over S3 with 20 ms, and over a local file."""
    report = Report(f"Callers: {CALLERS} at once, 100 ms of one hour each")
    with archive(bench, HOUR) as remote, archive(bench, HOUR, over_s3=False) as local:
        entries = [
            remote.contestant("ours over S3, chunk fetched", HOUR, NO_CHUNKS),
            remote.contestant("ours over S3, default caches", HOUR, DEFAULT),
            contestants.obvious(HOUR),
            contestants.best_cache(HOUR),
            contestants.kerchunk_zarr(bench, HOUR),
            local.contestant("ours, local file, chunk read", HOUR, NO_CHUNKS),
            local.contestant("ours, local file, default caches", HOUR, DEFAULT),
            local.contestant("ours, local file, chunk read, npy", HOUR, NO_CHUNKS, form="npy"),
            contestants.h5grove(bench, HOUR),
        ]
        seconds = 2.0 if bench.quick else 4.0
        scores = contest(bench, entries, n_slices=MOST_SLICES, connections=CALLERS, seconds=seconds, delay_s=LATENCY_S)
    report.table(COLUMNS, rows(scores))
    ours, obvious, ours_local, grove = scores[0], scores[2], scores[5], scores[8]
    report.at_least("over S3, times obvious", ours.per_second / obvious.per_second, 30.0)
    report.at_least("over S3, times h5grove with a local file", ours.per_second / grove.per_second, 0.7)
    report.at_least("with a local file, times h5grove", ours_local.per_second / grove.per_second, 1.1)
    report.at_most("CPU of all our processes for a slice", 1000 * ours.each(ours.cpu_s), 6.0, " ms")
    return report


def rows(scores: Sequence[Score]) -> list[list[object]]:
    """Return one row for each contestant, compared with the first."""
    return [
        [
            score.contestant.name,
            score.per_second,
            scores[0].per_second / score.per_second,
            score.median_ms,
            score.late_ms,
            1000 * score.each(score.cpu_s),
            1000 * score.each(score.caller_cpu_s),
            score.each(score.n_requests),
            score.each(score.nbytes) / 1e6,
        ]
        for score in scores
    ]

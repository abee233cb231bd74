"""Sixteen callers at once: slices per second, and the CPU time of each."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import entries
from benchmarks.bench import LATENCY_S, Bench
from benchmarks.contest import Score, contest
from benchmarks.contestants.choices import BEST, BEST_ANEW
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
        asked = {
            "ours": remote.contestant("ours over S3, chunk fetched", HOUR, NO_CHUNKS),
            "default": remote.contestant("ours over S3, default caches", HOUR, DEFAULT),
            "obvious": entries.obvious(HOUR),
            "anew": entries.cached(HOUR, BEST_ANEW),
            "kept": entries.cached(HOUR, BEST),
            "kerchunk": entries.kerchunk_zarr(bench, HOUR),
            "local": local.contestant("ours, local file, chunk read", HOUR, NO_CHUNKS),
            "local default": local.contestant("ours, local file, default caches", HOUR, DEFAULT),
            "local npy": local.contestant("ours, local file, chunk read, npy", HOUR, NO_CHUNKS, form="npy"),
            "h5grove": entries.h5grove(bench, HOUR),
        }
        many = {"n_slices": MOST_SLICES, "connections": CALLERS, "seconds": 2.0 if bench.quick else 4.0}
        scores = dict(zip(asked, contest(bench, [*asked.values()], delay_s=LATENCY_S, **many), strict=True))
    report.table(COLUMNS, rows([*scores.values()]))
    ours, obvious, ours_local, grove = (scores[name] for name in ("ours", "obvious", "local", "h5grove"))
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

"""Slices of contiguous recordings of ten minutes and ten hours: one request, the exact bytes, the same time."""

from __future__ import annotations

from benchmarks.bench import LATENCY_S, Bench
from benchmarks.contest import contest
from benchmarks.ours import NO_CHUNKS, archive
from benchmarks.recordings import SLICE_SAMPLES, TEN_HOURS, TEN_MINUTES
from benchmarks.report import Report

COLUMNS = ["", "median ms", "95 % ms", "requests", "bytes", "bytes of the samples"]


def run(bench: Bench) -> Report:
    """Compare the lengths."""
    report = Report("Contiguous: one caller, 100 ms of ten minutes and of ten hours")
    with archive(bench, TEN_MINUTES, TEN_HOURS) as ours:
        entries = [
            ours.contestant("ours, ten minutes", TEN_MINUTES, NO_CHUNKS),
            ours.contestant("ours, ten hours", TEN_HOURS, NO_CHUNKS),
        ]
        scores = contest(bench, entries, n_slices=20, delay_s=LATENCY_S)
    short, long = scores
    exact = 4 * SLICE_SAMPLES
    report.table(
        COLUMNS,
        [
            [one.contestant.name, one.median_ms, one.late_ms, one.each(one.n_requests), one.each(one.nbytes), exact]
            for one in scores
        ],
    )
    for one in scores:
        report.at_most(f"{one.contestant.name}, requests for a slice", one.each(one.n_requests), 1.0)
        report.at_most(f"{one.contestant.name}, bytes beyond the samples", one.each(one.nbytes) - exact, 0.0)
    report.at_most("ten hours, times ten minutes", long.median_ms / short.median_ms, 1.1)
    return report

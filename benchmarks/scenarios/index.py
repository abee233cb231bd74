"""Registering files of very many chunks over S3, and a slice of one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path

from benchmarks.bench import BUCKET, LATENCY_S, Bench
from benchmarks.contest import contest
from benchmarks.ours import NO_CHUNKS, NOTHING, Archive
from benchmarks.processes import run as run_process
from benchmarks.recordings import MANY_CHUNKS, MOST_CHUNKS, TEN_MINUTES, Recording
from benchmarks.report import Report
from tests.s3 import rounds

COLUMNS = [
    "",
    "seconds",
    "requests",
    "rounds that depend on each other",
    "waits seen by the store",
    "MB",
    "% of the file",
]
SLICE_COLUMNS = ["slice of", "caches", "median ms", "requests", "kB"]
SLICE_KB = 150
"""Of packed chunks that hold 100 ms, at the most about 20, with the part of the index that tells where they lie."""


def run(bench: Bench) -> Report:
    """Register each file with delay; the first row is the cost of starting and of a file without chunks."""
    report = Report("Index: registering files of many chunks over S3")
    bench.make(TEN_MINUTES, MANY_CHUNKS, MOST_CHUNKS)
    with tempfile.TemporaryDirectory(prefix="archive-", dir=bench.folder) as folder:
        archive = Archive(bench, Path(folder), over_s3=True)
        _, many, most = costs = [registered(bench, archive, one) for one in (TEN_MINUTES, MANY_CHUNKS, MOST_CHUNKS)]
        report.table(COLUMNS, [row(cost) for cost in costs])
        report.at_most("105,000 chunks, rounds that depend on each other", many.n_rounds or inf, 4)
        report.at_most("105,000 chunks, share of the file", many.percent, 1.0, " %")
        report.at_most("105,000 chunks, time", many.seconds, 10.0, " s")
        report.at_most("1.3 million chunks, time", most.seconds, 60.0, " s")
        slices(bench, archive, [cost.recording for cost in (many, most) if cost.seconds < inf], report)
    return report


@dataclass(frozen=True, slots=True)
class Cost:
    """What registering a recording took."""

    recording: Recording
    seconds: float
    """Infinite where it was given up."""
    n_requests: int
    """For the recording itself, not for what is kept of it."""
    n_rounds: int
    """Calls for ranges, one after another; 0 where registering was given up."""
    n_waits: int
    """How many requests came after another's answer: more, as a call has only so many under way at once."""
    megabytes: float
    percent: float
    """Of the file."""


def row(cost: Cost) -> list[object]:
    """Return the row of the table."""
    seconds = cost.seconds if cost.seconds < inf else "given up"
    return [
        cost.recording.name,
        seconds,
        cost.n_requests,
        cost.n_rounds,
        cost.n_waits,
        cost.megabytes,
        cost.percent,
    ]


def registered(bench: Bench, archive: Archive, recording: Recording) -> Cost:
    """Register one recording, with delay."""
    path = bench.recordings / f"{recording.name}.h5"
    bench.s3.clear()
    bench.s3.delay(LATENCY_S)
    began_s = time.monotonic()
    try:
        archive.register(recording, bench.limit_s)
        seconds = time.monotonic() - began_s
    except subprocess.TimeoutExpired:
        seconds = inf
    bench.s3.delay(0)
    asked = [one for one in bench.s3.requests if one.target.partition("?")[0].endswith(path.name)]
    nbytes = sum(one.nbytes for one in asked)
    percent = 100 * nbytes / path.stat().st_size
    n_rounds = rounds_of_index(bench, path.name) if seconds < inf else 0
    return Cost(recording, seconds, len(asked), n_rounds, rounds(asked), nbytes / 1e6, percent)


def rounds_of_index(bench: Bench, name: str) -> int:
    """Count in a process of its own, without delay."""
    command = [sys.executable, "-m", "benchmarks.rounds_of_index", f"s3://{BUCKET}/{name}"]
    return int(run_process(command, bench.s3.variables, bench.limit_s))


def slices(bench: Bench, archive: Archive, recordings: list[Recording], report: Report) -> None:
    """Ask for slices of files that were registered."""
    entries = [
        archive.contestant(f"{recording.name} {name}", recording, caches)
        for recording in recordings
        for name, caches in (("no chunks kept", NO_CHUNKS), ("nothing kept", NOTHING))
    ]
    if not entries:
        return
    scores = contest(bench, entries, n_slices=10, delay_s=LATENCY_S)
    rows = [
        [*one.contestant.name.split(" ", 1), one.median_ms, one.each(one.n_requests), one.each(one.nbytes) / 1000]
        for one in scores
    ]
    report.table(SLICE_COLUMNS, rows)
    for row in rows:
        if row[1] == "nothing kept":
            report.at_most(f"{row[0]}, kB for a slice, index and chunks", row[4], SLICE_KB, " kB")

"""Registering files of very many chunks over S3, and a slice of one."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.bench import LATENCY_S, Bench
from benchmarks.contest import contest
from benchmarks.ours import NO_CHUNKS, NOTHING, Archive
from benchmarks.recordings import MANY_CHUNKS, MOST_CHUNKS, TEN_MINUTES, Recording
from benchmarks.report import Report
from tests.s3 import rounds

COLUMNS = ["", "seconds", "requests", "rounds", "MB", "% of the file"]
SLICE_COLUMNS = ["slice of", "caches", "median ms", "requests", "kB"]
SLICE_KB = 150
"""Of packed chunks that hold 100 ms, at the most about 20, with the part of the index that tells where they lie."""


def run(bench: Bench) -> Report:
    """Register each file with delay; the first row is the cost of starting and of a file without chunks."""
    report = Report("Index: registering files of many chunks over S3")
    bench.make(TEN_MINUTES, MANY_CHUNKS, MOST_CHUNKS)
    with tempfile.TemporaryDirectory(prefix="archive-", dir=bench.folder) as folder:
        archive = Archive(bench, Path(folder), over_s3=True)
        rows, there = [], {}
        for recording in (TEN_MINUTES, MANY_CHUNKS, MOST_CHUNKS):
            rows.append(registered(bench, archive, recording))
            if rows[-1][1] is not None:
                there[recording.name] = rows[-1]
        report.table(COLUMNS, rows)
        if MANY_CHUNKS.name in there:
            _, seconds, _, n_rounds, _, percent = there[MANY_CHUNKS.name]
            report.at_most("105,000 chunks, rounds", n_rounds, 4)
            report.at_most("105,000 chunks, share of the file", percent, 1.0, " %")
            report.at_most("105,000 chunks, time", seconds, 10.0, " s")
        if MOST_CHUNKS.name in there:
            report.at_most("1.3 million chunks, time", there[MOST_CHUNKS.name][1], 60.0, " s")
        slices(bench, archive, [one for one in (MANY_CHUNKS, MOST_CHUNKS) if one.name in there], report)
    return report


def registered(bench: Bench, archive: Archive, recording: Recording) -> list[object]:
    """Register one recording and return its row, without a time where it was given up."""
    path = bench.recordings / f"{recording.name}.h5"
    bench.s3.clear()
    bench.s3.delay(LATENCY_S)
    began_s = time.monotonic()
    try:
        archive.register(recording, bench.limit_s)
        seconds, name = time.monotonic() - began_s, recording.name
    except subprocess.TimeoutExpired:
        seconds, name = None, f"{recording.name}: given up after {bench.limit_s:.0f} s"
    bench.s3.delay(0)
    asked = [one for one in bench.s3.requests if one.target.partition("?")[0].endswith(path.name)]
    nbytes = sum(one.nbytes for one in asked)
    return [name, seconds, len(asked), rounds(asked), nbytes / 1e6, 100 * nbytes / path.stat().st_size]


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

"""Making overviews: beside reading and decoding the same files with all processors, memory, and what they take."""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

from benchmarks.bench import Bench
from benchmarks.processes import run as run_process
from benchmarks.recordings import HOUR, PROBE
from benchmarks.report import Report

COLUMNS = ["", "read MB/s", "made MB/s", "x reading", "peak MB", "% of the samples"]


def run(bench: Bench) -> Report:
    """Measure reading and making in turn, each in a process of its own."""
    report = Report("Overviews: making them")
    bench.make(HOUR, PROBE)
    rows: list[list[Any]] = []
    for recording, share in ((HOUR, 12.0), (PROBE, 3.0)):
        path = bench.recordings / f"{recording.name}.h5"
        found: dict[str, list[dict[str, float]]] = {"read": [], "build": []}
        for _ in range(1 if bench.quick else 3):
            for what, times in found.items():
                said = run_process([sys.executable, "-m", "benchmarks.building", what, str(path)], {}, 600)
                times.append(json.loads(said.strip().splitlines()[-1]))
        read, made = (
            statistics.median(one["nbytes"] / one["seconds"] / 1e6 for one in found[what]) for what in ("read", "build")
        )
        last = found["build"][-1]
        peak = max(one["peak_nbytes"] for one in found["build"]) / 1e6
        percent = 100 * last["stored"] / last["nbytes"]
        rows.append([recording.name, read, made, made / read, peak, percent])
        report.at_least(f"{recording.name}: made, x reading and decoding", made / read, 0.6)
        report.at_most(f"{recording.name}: peak memory", peak, 300, " MB")
        report.at_most(f"{recording.name}: share of the samples", percent, share, " %")
    report.table(COLUMNS, rows)
    return report

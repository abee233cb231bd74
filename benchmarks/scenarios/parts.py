"""CPU time of one slice, by part: in the process without sockets, and of gunicorn by itself."""

from __future__ import annotations

import json
import sys

from benchmarks.bench import BUCKET, Bench
from benchmarks.processes import run as run_process
from benchmarks.recordings import HOUR
from benchmarks.report import Report

COLUMNS = ["CPU of a slice, µs", "local file", "S3, no delay"]


def run(bench: Bench) -> Report:
    """Measure over a local file and over S3."""
    report = Report("Parts: CPU time of one slice, in one process without sockets")
    bench.make(HOUR)
    bench.s3.delay(0)
    places = [str(bench.recordings / f"{HOUR.name}.h5"), f"s3://{BUCKET}/{HOUR.name}.h5"]
    local, remote = (
        json.loads(run_process([sys.executable, "-m", "benchmarks.parts", place], bench.s3.variables, 300))
        for place in places
    )
    report.table(COLUMNS, [[part, local[part], remote[part]] for part in local])
    return report

"""Clients of S3 behind one interface: ranges of 64 kB with ``If-Match``, from one thread and from many."""

from __future__ import annotations

import json
import sys
from itertools import product
from statistics import median

from benchmarks.backends import BACKENDS
from benchmarks.bench import LATENCY_S, Bench
from benchmarks.processes import run as run_process
from benchmarks.recordings import HOUR
from benchmarks.report import Report

COLUMNS = ["", "delay ms", "threads", "requests/s", "x s3fs", "CPU ms", "CPU of s3fs / this"]


def run(bench: Bench) -> Report:
    """Measure each client in turn, a process each."""
    report = Report("Clients: ranges of 64 kB")
    bench.make(HOUR)
    rows = []
    for delay_s, n_threads in product((0.0, LATENCY_S), (1, 16)):
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in BACKENDS}
        for _ in range(1 if bench.quick else 3):
            for name, place in BACKENDS.items():
                runs[name].append(measured(bench, place, delay_s, n_threads))
        medians = {name: [median(column) for column in zip(*found, strict=True)] for name, found in runs.items()}
        for name, (rate, cpu_ms) in medians.items():
            first_rate, first_cpu_ms = medians["s3fs"]
            rows.append([name, 1000 * delay_s, n_threads, rate, rate / first_rate, cpu_ms, first_cpu_ms / cpu_ms])
    report.table(COLUMNS, rows)
    return report


def measured(bench: Bench, place: str, delay_s: float, n_threads: int) -> tuple[float, float]:
    """Return requests per second, and milliseconds of CPU time for each."""
    bench.s3.delay(delay_s)
    seconds = 1.0 if bench.quick else 3.0
    command = [sys.executable, "-m", "benchmarks.fetcher", place, str(n_threads), str(seconds)]
    found = json.loads(run_process(command, bench.s3.variables, 120))
    bench.s3.delay(0)
    return found["n_requests"] / found["elapsed_s"], 1000 * found["cpu_s"] / found["n_requests"]

"""The S3 server and its proxy alone: what no service over them can be quicker than."""

from __future__ import annotations

from itertools import product
from statistics import median

from benchmarks.bench import BUCKET, LATENCY_S, Bench
from benchmarks.calls import Job, call, get
from benchmarks.processes import cpu_s
from benchmarks.recordings import HOUR
from benchmarks.report import Report

SIZES = (64_000, 160_000, 256_000)
COLUMNS = [
    "delay ms",
    "connections",
    "kB",
    "requests/s",
    "MB/s",
    "median ms",
    "95 % ms",
    "proxy's CPU ms",
    "rclone's CPU ms",
    "caller's CPU ms",
]


def run(bench: Bench) -> Report:
    """Ask for ranges of three sizes, with and without delay, over one connection and many."""
    report = Report("Ceiling: the S3 server alone")
    bench.make(HOUR)
    rows = []
    for delay_s, connections, nbytes in product((0.0, LATENCY_S), (1, 16), SIZES):
        runs = [ranges(bench, delay_s, connections, nbytes) for _ in range(3)]
        rate, *others = (median(column) for column in zip(*runs, strict=True))
        rows.append([1000 * delay_s, connections, nbytes // 1000, rate, rate * nbytes / 1e6, *others])
    report.table(COLUMNS, rows)
    (proxy_ms,) = (row[7] for row in rows if row[:3] == [0, 16, 160])
    report.at_most("CPU of the proxy for 160 kB, 16 connections", proxy_ms, 0.3, " ms")
    return report


def ranges(bench: Bench, delay_s: float, connections: int, nbytes: int) -> tuple[float, ...]:
    """Ask for ranges for a while; returns what a row shows from requests/s on."""
    target, seconds = f"/{BUCKET}/{HOUR.name}.h5", 0.5 if bench.quick else 1.5
    requests = [get(target, Range=f"bytes={start}-{start + nbytes - 1}") for start in HOUR.places(0, 15_000)]
    watched = bench.s3.proxy_pid, bench.s3.rclone_pid
    bench.s3.delay(delay_s)
    before = [cpu_s(pid) for pid in watched]
    found = call(Job(bench.s3.port, requests, connections, seconds, keep_bodies=False))
    spent = [cpu_s(pid) - was for pid, was in zip(watched, before, strict=True)]
    bench.s3.delay(0)
    if {made.nbytes for made in found.calls} != {nbytes}:
        raise RuntimeError("the S3 server answers another length than was asked for")
    each = (1000 * total / len(found.calls) for total in (*spent, found.caller_cpu_s))
    return found.per_second, found.median_ms, found.late_ms, *each

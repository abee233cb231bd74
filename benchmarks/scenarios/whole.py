"""One caller takes a whole hour, 432 MB, as one HDF5 file."""

from __future__ import annotations

import statistics

from benchmarks import entries
from benchmarks.bench import LATENCY_S, Bench
from benchmarks.ours import DEFAULT, archive
from benchmarks.recordings import HOUR
from benchmarks.report import Report
from benchmarks.service import Expected, all_serving

COLUMNS = ["", "MB/s", "x ours", "first byte ms", "seconds", "requests", "MB from the store", "CPU s"]
MB = 4 * HOUR.n_samples / 1e6


def run(bench: Bench) -> Report:
    """Compare with the obvious way and with kerchunk, in turn."""
    report = Report("Whole: one caller, one hour (432 MB) as HDF5")
    with archive(bench, HOUR) as ours:
        asked = [
            ours.contestant("ours", HOUR, DEFAULT),
            entries.obvious(HOUR),
            entries.kerchunk_zarr(bench, HOUR),
        ]
        with all_serving(asked, bench.logs, bench.s3.variables) as services:
            for service in services:
                service.warm(HOUR.places(0, 32))
            bench.s3.delay(LATENCY_S)
            expected = Expected(HOUR, bench.recordings)
            found: list[list[tuple[float, ...]]] = [[] for _ in services]
            for _ in range(1 if bench.quick else 3):
                for service, runs in zip(services, found, strict=True):
                    bench.s3.clear()
                    calls = service.slices([0], length=HOUR.n_samples)
                    counts = bench.s3.counts
                    expected.check(service, [0], calls, HOUR.n_samples)
                    (made,) = calls.calls
                    took_s, first_s = made.ended_s - made.began_s, made.first_byte_s - made.began_s
                    runs.append((took_s, first_s, counts.n_requests, counts.nbytes / 1e6, calls.cpu_s))
            bench.s3.delay(0)
    medians = [[statistics.median(column) for column in zip(*runs, strict=True)] for runs in found]
    rates = [MB / one[0] for one in medians]
    report.table(
        COLUMNS,
        [
            [entry.name, rate, rate / rates[0], 1000 * one[1], one[0], *one[2:]]
            for entry, rate, one in zip(asked, rates, medians, strict=True)
        ],
    )
    report.at_least("MB/s, times obvious", rates[0] / rates[1], 2.0)
    report.at_most("time to first byte", 1000 * medians[0][1], 100 + 2000 * LATENCY_S, " ms")
    return report

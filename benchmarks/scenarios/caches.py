"""Which cache of s3fs suits h5py best; the best are kept in ``contestants/choices.py``.

``all`` is left out: it fetches the whole file first, and no server has room for a bucket in its memory.
"""

from __future__ import annotations

from itertools import product

from benchmarks import entries
from benchmarks.bench import LATENCY_S, Bench
from benchmarks.contest import contest
from benchmarks.contestants.choices import BEST, BEST_ANEW
from benchmarks.recordings import HOUR
from benchmarks.report import Report
from benchmarks.scenarios.callers import CALLERS

CACHES = [
    ("blockcache", 1 << 16),
    ("blockcache", 1 << 18),
    ("blockcache", 1 << 20),
    ("background", 1 << 18),
    ("readahead", 1 << 16),
    ("readahead", 1 << 18),
    ("bytes", 1 << 18),
    ("first", 1 << 20),
    ("none", 1 << 18),
]
COLUMNS = ["", "median ms, one caller", "requests", "MB", f"slices/s, {CALLERS} callers"]


def run(bench: Bench) -> Report:
    """Try each cache with the file opened anew and kept open."""
    report = Report("Caches: h5py over s3fs, 100 ms of one hour")
    bench.make(HOUR)
    asked = [
        entries.cached(HOUR, {"cache_type": cache_type, "block_size": block_size, "keep_open": keep_open})
        for (cache_type, block_size), keep_open in product(CACHES, (False, True))
    ]
    alone = contest(bench, asked, n_slices=6, delay_s=LATENCY_S)
    together = contest(bench, asked, n_slices=500, connections=CALLERS, seconds=2.0, delay_s=LATENCY_S)
    report.table(
        COLUMNS,
        [
            [one.contestant.name, one.median_ms, one.each(one.n_requests), one.each(one.nbytes) / 1e6, many.per_second]
            for one, many in zip(alone, together, strict=True)
        ],
    )
    report.say(f"Chosen: {BEST} and {BEST_ANEW}")
    return report

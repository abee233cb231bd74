"""One caller asks for slices of 100 ms out of an hour: time, and what the store is asked for."""

from __future__ import annotations

from benchmarks import entries
from benchmarks.bench import BUCKET, LATENCY_S, Bench
from benchmarks.calls import Job, call, get
from benchmarks.contest import contest
from benchmarks.contestants.choices import BEST, BEST_ANEW
from benchmarks.ours import DEFAULT, NO_CHUNKS, NOTHING, archive
from benchmarks.recordings import HOUR
from benchmarks.report import Report

COLUMNS = ["", "median ms", "95 % ms", "x latency", "x ours", "requests", "MB", "CPU ms"]


def run(bench: Bench) -> Report:
    """Compare ours, warm and cold, with the contestants."""
    report = Report("Slices: one caller, 100 ms of one hour")
    with archive(bench, HOUR) as remote, archive(bench, HOUR, over_s3=False) as local:
        asked = {
            "warm": remote.contestant("ours, warm: index in memory, chunk fetched", HOUR, NO_CHUNKS),
            "cold": remote.contestant("ours, cold: no caches", HOUR, NOTHING),
            "default": remote.contestant("ours, default caches", HOUR, DEFAULT),
            "by time": remote.contestant("ours, warm, object by time and its link", HOUR, NO_CHUNKS, steps=2),
            "obvious": entries.obvious(HOUR),
            "anew": entries.cached(HOUR, BEST_ANEW),
            "kept": entries.cached(HOUR, BEST),
            "kerchunk": entries.kerchunk_zarr(bench, HOUR),
            "local": local.contestant("ours, local file, chunk read", HOUR, NO_CHUNKS),
            "local npy": local.contestant("ours, local file, chunk read, npy", HOUR, NO_CHUNKS, form="npy"),
            "h5grove": entries.h5grove(bench, HOUR),
        }
        n_slices = 5 if bench.quick else 10
        scores = dict(zip(asked, contest(bench, [*asked.values()], n_slices=n_slices, delay_s=LATENCY_S), strict=True))
    warm, cold, obvious = scores["warm"], scores["cold"], scores["obvious"]
    rows = [
        [
            score.contestant.name,
            score.median_ms,
            score.late_ms,
            score.median_ms / (1000 * LATENCY_S),
            score.median_ms / warm.median_ms,
            score.each(score.n_requests),
            score.each(score.nbytes) / 1e6,
            1000 * score.each(score.cpu_s),
        ]
        for score in scores.values()
    ]
    bare = bare_get_ms(bench)
    rows.append(
        ["limit: one bare GET of 160 kB", bare, None, bare / 1000 / LATENCY_S, bare / warm.median_ms, 1, 0.16, None]
    )
    report.table(COLUMNS, rows)
    latency_ms = 1000 * LATENCY_S
    report.at_most(f"warm slice {warm.median_ms:.1f} ms, x latency", warm.median_ms / latency_ms, 1.5)
    report.at_most(f"cold slice {cold.median_ms:.1f} ms, x latency", cold.median_ms / latency_ms, 3.0)
    report.at_least("warm, times as quick as obvious", obvious.median_ms / warm.median_ms, 10.0)
    report.at_least("cold, times as quick as obvious", obvious.median_ms / cold.median_ms, 10.0)
    return report


def bare_get_ms(bench: Bench, nbytes: int = 160_000) -> float:
    """Return the median time of one range, which no service can be below."""
    target = f"/{BUCKET}/{HOUR.name}.h5"
    ranges = [f"bytes={start}-{start + nbytes - 1}" for start in HOUR.places(99, 40)]
    bench.s3.delay(LATENCY_S)
    found = call(Job(bench.s3.port, [get(target, Range=span) for span in ranges], keep_bodies=False))
    bench.s3.delay(0)
    return found.median_ms

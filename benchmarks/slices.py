"""What a slice costs here and with h5py over s3fs, side by side in one run.

    python3 dev.py test --collect-only -q  # once, so that everything is installed
    .venv/bin/python -m benchmarks.slices

A recording of 20 minutes at 30 kHz (float32, gzip and shuffle, chunks of 65536) lies in an S3 server on this
machine that waits 20 ms before each answer. Figures are medians in milliseconds. The first row is the limit: one
round trip.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import s3fs

from storage.cache import Cache
from tests.archive import Archive
from tests.s3 import KEYS, S3Server

DELAY_S = 0.02
N_SAMPLES = 20 * 60 * 30_000
CHUNK = 65_536
N_RUNS = 15
SLICE = (17_000_000, 17_003_001)


def recording() -> bytes:
    """Return an HDF5 file of noise on a slow wave, of which about two thirds remain when compressed."""
    memory = io.BytesIO()
    rng = np.random.default_rng(0)
    with h5py.File(memory, "w") as file:
        packing = {"chunks": (CHUNK,), "compression": "gzip", "shuffle": True}
        dataset = file.create_dataset("signal", (N_SAMPLES,), np.float32, **packing)
        for start in range(0, N_SAMPLES, CHUNK):
            count = min(CHUNK, N_SAMPLES - start)
            wave = np.sin(np.arange(start, start + count) / 3000)
            dataset[start : start + count] = np.round(wave * 200 + rng.normal(size=count) * 20) / 8
    return memory.getvalue()


def median_ms(work: Callable[[], object], n_runs: int = N_RUNS) -> float:
    """Return the median time of some runs."""
    times = []
    for _ in range(n_runs):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    server = S3Server()
    server.create_bucket("bench")
    os.environ |= {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
        "AWS_DEFAULT_REGION": KEYS["region_name"],
    }
    server.put("bench/signal.h5", recording())
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder), EPHYSTORE_STORE_URL="s3://bench/store")
        archive.register("s3://bench/signal.h5", sampling_rate=(30.0, "kHz"))
        link = archive.fields("/electrophysiology/analogsignal/1")["signal"]["data"]
        server.delay_s = DELAY_S
        report(archive, link, server)
    server.stop()


def report(archive: Archive, link: str, server: S3Server) -> None:
    """Measure each way of reading one slice of 100 ms, and the whole in 2000 points."""
    datasets = archive.services.reader.datasets
    part = f"{link}?start_index={SLICE[0]}&end_index={SLICE[1]}"
    overview = f"{link}?downsample=2000&method=extrema"

    def forget(*, index: bool) -> None:
        object.__setattr__(datasets, "chunk_cache", Cache(1 << 28, lambda samples: samples.nbytes))
        if index:
            object.__setattr__(datasets, "index_cache", Cache(1 << 26, lambda rows: rows.nbytes))

    def ours(address: str, *, index: bool) -> None:
        forget(index=index)
        answer = archive.get(address)
        assert answer.status_code == 200 and answer.data

    def h5py_over_s3fs() -> None:
        files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        with (
            files.open("bench/signal.h5", cache_type="blockcache", block_size=1 << 20) as content,
            h5py.File(content) as file,
        ):
            file["signal"][slice(*SLICE)]

    def bare_get() -> None:
        server.client.get_object(Bucket="bench", Key="signal.h5", Range="bytes=4000-70000")["Body"].read()

    rows: list[tuple[str, Callable[[], object], int]] = [
        ("one GET of 66 kB by boto3", bare_get, N_RUNS),
        ("100 ms, empty caches", lambda: ours(part, index=True), N_RUNS),
        ("100 ms, index loaded", lambda: ours(part, index=False), N_RUNS),
        ("100 ms, everything cached", lambda: archive.get(part), N_RUNS),
        ("100 ms, h5py over s3fs", h5py_over_s3fs, N_RUNS),
        ("20 minutes in 2000 points", lambda: ours(overview, index=False), 3),
        ("20 minutes whole, as HDF5", lambda: ours(link, index=False), 3),
    ]
    print(f"{'':32}{'ms':>9}{'requests':>10}{'MB':>8}")
    for name, work, n_runs in rows:
        work()
        server.clear()
        work()
        n_requests, nbytes = len(server.requests), sum(one.nbytes for one in server.requests)
        print(f"{name:32}{median_ms(work, n_runs):9.1f}{n_requests:10}{nbytes / 1e6:8.2f}")


if __name__ == "__main__":
    main()

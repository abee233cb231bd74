"""h5py over s3fs with a chosen cache, the file opened for each request or kept open under a lock."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import s3fs
from flask import Flask, Response, request

from benchmarks.contestants.body import hdf5

BINS_AT_ONCE = 50
chosen: dict[str, Any] = json.loads(os.environ["BENCH_CACHE"])
app = Flask(__name__)
files = s3fs.S3FileSystem()
lock = threading.Lock()
kept: list[h5py.File] = []


@app.get("/slice")
def get_slice() -> Response:
    """Answer samples from ``start`` to ``stop``."""
    start, stop = int(request.args["start"]), int(request.args["stop"])
    with opened() as file:
        samples = file[os.environ["BENCH_DATASET"]][start:stop]
    return hdf5(samples)


@app.get("/extrema")
def get_extrema() -> Response:
    """Answer minimum and maximum of so many bins of the samples from ``start`` to ``stop``."""
    start, stop, n_bins = (int(request.args[name]) for name in ("start", "stop", "bins"))
    edges = np.linspace(start, stop, n_bins + 1).astype(np.int64)
    with opened() as file:
        dataset = file[os.environ["BENCH_DATASET"]]
        parts = []
        for first in range(0, n_bins, BINS_AT_ONCE):
            own = edges[first : first + BINS_AT_ONCE + 1]
            samples = dataset[own[0] : own[-1]]
            places = own[:-1] - own[0]
            parts.append(np.stack([np.minimum.reduceat(samples, places), np.maximum.reduceat(samples, places)], axis=1))
    return hdf5(np.concatenate(parts).reshape(-1))


@contextmanager
def opened() -> Iterator[h5py.File]:
    """Open the file, or take the one that is open: only one thread at a time can read through it."""
    options = {"cache_type": chosen["cache_type"], "block_size": chosen["block_size"]}
    path = os.environ["BENCH_FILE"]
    if not chosen["keep_open"]:
        with files.open(path, "rb", **options) as content, h5py.File(content) as file:
            yield file
        return
    with lock:
        if not kept:
            kept.append(h5py.File(files.open(path, "rb", **options)))
        yield kept[0]

"""h5py over s3fs with a chosen cache, the file opened for each request or kept open under a lock."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import s3fs
from flask import Flask, Response, request

from benchmarks.contestants.body import hdf5

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

"""zarr 3 over kerchunk's references, opened once per worker."""

import json
import os
from pathlib import Path

import fsspec
import zarr
from flask import Flask, Response, request

from benchmarks.contestants.body import hdf5

app = Flask(__name__)
files = fsspec.filesystem(
    "reference",
    fo=json.loads(Path(os.environ["BENCH_REFERENCES"]).read_text()),
    remote_protocol="s3",
    remote_options={"asynchronous": True},
    asynchronous=True,
)
array = zarr.open_group(zarr.storage.FsspecStore(files, read_only=True), mode="r", zarr_format=2)[
    os.environ["BENCH_DATASET"]
]


@app.get("/slice")
def get_slice() -> Response:
    """Answer samples from ``start`` to ``stop``."""
    start, stop = int(request.args["start"]), int(request.args["stop"])
    return hdf5(array[start:stop])

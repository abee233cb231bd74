"""What one writes first: s3fs as it is, h5py, the file opened for each request."""

import os

import h5py
import s3fs
from flask import Flask, Response, request

from benchmarks.contestants.body import hdf5

app = Flask(__name__)
files = s3fs.S3FileSystem()


@app.get("/slice")
def get_slice() -> Response:
    """Answer samples from ``start`` to ``stop``."""
    start, stop = int(request.args["start"]), int(request.args["stop"])
    with files.open(os.environ["BENCH_FILE"], "rb") as content, h5py.File(content) as file:
        return hdf5(file[os.environ["BENCH_DATASET"]][start:stop])

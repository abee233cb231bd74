"""How long all of an array takes to be read and decoded, and how long its overview takes; in a process of its own.

python3 -m benchmarks.building read|build FILE
"""

from __future__ import annotations

import io
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import h5py
from sqlalchemy import create_engine

from benchmarks.recordings import DATASET
from storage.answer import StoredArray
from storage.catalog.base import Base
from storage.hdf5 import sidecar
from storage.hdf5.chunk_index import ChunkIndex
from storage.hdf5.file import describe
from storage.hdf5.layout import Chunked, Dataset
from storage.jobs.overview import dataset_reader
from storage.objectstore import ObjectStore
from storage.overviews.array_form import form_of
from storage.overviews.build import Building
from storage.overviews.overview_file import OverviewFile


def array_of(store: ObjectStore, path: Path) -> StoredArray:
    """Return how to read the array of a chunked file, whose index is stored beside."""
    with h5py.File(path) as file:
        found = describe(file[DATASET])
    assert found.chunks is not None and found.chunk_shape is not None
    content, offsets = sidecar.dump({"chunks": found.chunks})
    key = sidecar.new_key()
    store.put(key, content)
    layout = Chunked(found.chunk_shape, found.filters, ChunkIndex(key, offsets["chunks"], len(found.chunks)))
    url = f"file://{path}"
    dataset = Dataset(url, store.stat(url).pin, found.dtype, found.shape, layout, found.fill)
    return StoredArray(dataset, first_row=0, n_samples=found.shape[0])


def main(what: str, path: Path) -> dict[str, float]:
    """Do one of both; return what it took."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile(buffering=0) as content:
        store, engine = ObjectStore(f"file://{folder}/store"), create_engine("sqlite://")
        Base.metadata.create_all(engine)
        array = array_of(store, path.resolve())
        with dataset_reader(store, engine, array) as datasets:
            file = OverviewFile(content if what == "build" else io.BytesIO(), form_of(array))
            building = Building(array, datasets, file)
            began_s = time.perf_counter()
            if what == "read":
                for channels in building.groups():
                    for _ in building.windows(0, array.n_samples, channels):
                        pass
            else:
                for _ in building.strips():
                    pass
                file.end()
            took_s = time.perf_counter() - began_s
        nbytes = array.n_samples * array.n_channels * array.dataset.dtype.itemsize
        peak_nbytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"seconds": took_s, "nbytes": nbytes, "stored": file.form.nbytes(), "peak_nbytes": peak_nbytes}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))

"""Arrays in a store with their overviews, made as a worker makes them."""

from __future__ import annotations

import io
import secrets
import tempfile
from dataclasses import replace

import h5py

from storage.overviews.array_form import form_of, is_built_in
from storage.overviews.build import build
from storage.overviews.form import StoredOverview
from storage.overviews.overview_file import OverviewFile
from tests.storage.stored import stored_array

FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": 1}


def stored(store, samples, *, chunks=None, path="signal", **more):
    """Store samples as a dataset of a file."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset(path, data=samples, chunks=chunks, **(FILTERS if chunks else {}))
    return stored_content(store, content, path, **more)


def stored_content(store, content, path="signal", **more):
    """Store an HDF5 file; return the array of one of its datasets."""
    key = f"datafiles/aa/{secrets.token_hex(8)}.h5"
    store.put(key, content.getvalue())
    return stored_array(store, key, content.getvalue(), path, **more)


def with_overview(store, reader, array, **more):
    """Build the overview of an array; return the array with it, the bytes of its file, and how it was built."""
    form = form_of(array, **more)
    with tempfile.TemporaryFile(buffering=0) as content:
        file = OverviewFile(content, form)
        building = build(array, reader.datasets, file)
        nbytes = file.end()
        whole = b"".join(file.pieces(1 << 20))
    assert len(whole) == nbytes
    key = f"sidecars/aa/{secrets.token_hex(8)}.h5"
    store.put(key, whole)
    overview = StoredOverview(key, form, file.offsets, array.calibration if is_built_in(array) else None)
    again = StoredOverview.from_json(key, overview.as_json())
    assert again == overview
    return replace(array, overview=again), whole, building

"""Datasets of HDF5 files in a store, described once and read by byte ranges, as the service does it."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from math import prod

import h5py
import numpy as np

from storage.answer import ReadRequest, StoredArray, prepare
from storage.cache import Cache
from storage.hdf5 import sidecar
from storage.hdf5.chunk_index import ChunkIndex, IndexSource
from storage.hdf5.dataset import DatasetReader
from storage.hdf5.file import describe
from storage.hdf5.layout import Chunked, Contiguous, Dataset
from storage.reader import Reader
from storage.selection import Selection
from storage.side_by_side import SideBySide
from storage.timings import Timings

DECODERS = SideBySide(2, per_call=2, name="decode")
AHEAD = ThreadPoolExecutor(4)


def reader_of(store, *, chunk_nbytes=64 << 20):
    """A reader with empty caches."""
    return Reader(
        DatasetReader(
            store,
            IndexSource(store, Cache(16 << 20, lambda rows: rows.nbytes), short_index=lambda sidecar: None),
            chunk_cache=Cache(chunk_nbytes, lambda samples: samples.nbytes),
            decoders=DECODERS,
            ahead=AHEAD,
        )
    )


def stored_dataset(store, key, content, path, **more):
    """Describe the dataset at ``path`` of the file that lies under ``key``, and store its sidecar."""
    with h5py.File(io.BytesIO(content), "r") as file:
        return described_dataset(store, key, describe(file[path]), **more)


def described_dataset(store, key, found, *, is_transposed=False):
    """Store the sidecar of a dataset that was described before."""
    arrays = {"chunks": found.chunks, "values": found.values}
    beside, offsets = sidecar.dump({name: array for name, array in arrays.items() if array is not None})
    beside_key = sidecar.new_key()
    store.put(beside_key, beside)
    inline = found.values is not None
    if found.chunk_shape is None:
        layout = Contiguous(offsets.get("values") if inline else found.byte_offset)
    else:
        grid = [-(-length // chunk) for length, chunk in zip(found.shape, found.chunk_shape, strict=True)]
        index = ChunkIndex(beside_key, offsets.get("chunks", 0), prod(grid))
        layout = Chunked(found.chunk_shape, found.filters, index)
    return Dataset(
        file=beside_key if inline else key,
        pin=None if inline else store.stat(key).pin,
        dtype=found.dtype,
        shape=found.shape,
        layout=layout,
        fill=found.fill,
        is_transposed=is_transposed,
    )


def stored_array(store, key, content, path="signal", *, is_transposed=False, **more):
    """All samples of a dataset of a stored file."""
    dataset = stored_dataset(store, key, content, path, is_transposed=is_transposed)
    return StoredArray(dataset, first_row=0, n_samples=dataset.n_rows, **more)


def read(reader, array, start=0, stop=None, **more):
    """The answer to a request as one array."""
    selection = Selection(start, array.n_samples if stop is None else stop)
    answer = prepare(array, ReadRequest(selection, **more), Timings())
    windows = list(reader.read(answer))
    points = np.concatenate(windows) if windows else np.empty(answer.shape, answer.dtype)
    assert points.shape == answer.shape
    assert points.dtype == answer.dtype
    return points


def expected_of(content, path="signal"):
    """What h5py reads, with at least one axis, little-endian."""
    with h5py.File(io.BytesIO(content), "r") as file:
        samples = np.atleast_1d(file[path][...])
    return samples.astype(samples.dtype.newbyteorder("<"))


def assert_same_bits(got, expected):
    """Equal to the bit, NaN and all."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()

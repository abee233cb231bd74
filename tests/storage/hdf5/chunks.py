"""Chunks as libhdf5 writes them, through each filter and many pipelines."""

from __future__ import annotations

import h5py
import numpy as np
from hypothesis import strategies as st

from storage.hdf5 import filters as f
from storage.hdf5.filters import Filter, decode

DTYPES = [
    *(f"{order}{kind}{size}" for order in "<>" for kind in "iu" for size in (2, 4, 8)),
    *("i1", "u1", "<f2", "<f4", ">f4", "<f8", ">f8", "?", "S1", "S3", "S40"),
]
BLOSC_CODECS = {"blosclz": 0, "lz4": 1, "lz4hc": 2, "snappy": 3, "zlib": 4, "zstd": 5}

DEFLATE, SHUFFLE, FLETCHER32 = (f.DEFLATE, (4,)), (f.SHUFFLE, ()), (f.FLETCHER32, ())
BZIP2, LZF, ZSTD = (f.BZIP2, (9,)), (f.LZF, ()), (f.ZSTD, (3,))


def lz4(block_nbytes=0):
    return f.LZ4, (block_nbytes,)


def bitshuffle(codec, block_size=0):
    return f.BITSHUFFLE, (block_size, codec)


def blosc(codec="lz4", shuffled=1):
    return f.BLOSC, (0, 0, 0, 0, 5, shuffled, BLOSC_CODECS[codec])


EACH = {
    "deflate": [DEFLATE],
    "fletcher32": [FLETCHER32],
    "bzip2": [BZIP2],
    "lzf": [LZF],
    "zstd": [ZSTD],
    "lz4": [lz4()],
    "lz4-blocks": [lz4(512)],
    "bitshuffle": [bitshuffle(0)],
    "bitshuffle-lz4": [bitshuffle(2)],
    "bitshuffle-zstd": [bitshuffle(3, 128)],
    **{f"blosc-{codec}": [blosc(codec)] for codec in BLOSC_CODECS},
    "blosc-bits": [blosc("lz4", 2)],
    "blosc-plain": [blosc("blosclz", 0)],
    "usual": [SHUFFLE, DEFLATE, FLETCHER32],
    "twice": [bitshuffle(3, 8), DEFLATE],
}

steps = st.one_of(
    st.sampled_from([DEFLATE, SHUFFLE, FLETCHER32, BZIP2, LZF, ZSTD]),
    st.builds(lz4, st.sampled_from([0, 7, 64, 4096])),
    st.builds(bitshuffle, st.sampled_from([0, 2, 3]), st.sampled_from([0, 8, 24, 512])),
    st.builds(blosc, st.sampled_from(sorted(BLOSC_CODECS)), st.sampled_from([0, 1, 2])),
)


def libhdf5_survives(pipeline):
    """Writing what another filter made longer through Blosc corrupts the memory of libhdf5's plugin."""
    numbers = [number for number, _ in pipeline]
    return f.BLOSC not in numbers or set(numbers[: numbers.index(f.BLOSC)]) <= {f.SHUFFLE}


pipelines = st.lists(steps, max_size=3, unique_by=lambda step: step[0]).filter(libhdf5_survives)


class Chunk:
    """A dataset of one chunk, written by libhdf5, and what libhdf5 made of it."""

    def __init__(self, samples, pipeline, chunk_length=None, *, stored=None, filter_mask=0):
        length = chunk_length or len(samples)
        self.samples, self.nbytes = samples, length * samples.dtype.itemsize
        self.itemsize = samples.dtype.itemsize
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((length,))
        for number, values in pipeline:
            creation.set_filter(number, h5py.h5z.FLAG_OPTIONAL, values)
        self.file = h5py.File.in_memory()
        space = h5py.h5s.create_simple(samples.shape, (h5py.h5s.UNLIMITED,))
        file_type = h5py.h5t.py_create(samples.dtype, logical=True)
        self.dataset = h5py.Dataset(h5py.h5d.create(self.file.id, b"samples", file_type, space, creation))
        if stored is None:
            self.dataset[...] = samples
        else:
            self.dataset.id.write_direct_chunk((0,), stored, filter_mask)
        del self.dataset  # libhdf5 remembers the filter mask from before a direct write until it is closed
        self.dataset = self.file["samples"]
        self.filter_mask, self.stored = self.dataset.id.read_direct_chunk((0,))
        created = self.dataset.id.get_create_plist()
        found = (created.get_filter(place) for place in range(created.get_nfilters()))
        self.filters = tuple(Filter(number, tuple(values)) for number, _, values, _ in found)

    def decode(self, stored=None, filter_mask=None):
        return decode(
            self.stored if stored is None else stored,
            self.filters,
            filter_mask=self.filter_mask if filter_mask is None else filter_mask,
            nbytes=self.nbytes,
        )


def assert_reads_as_libhdf5(chunk):
    expected = chunk.dataset[...]
    np.testing.assert_array_equal(expected, chunk.samples)
    decoded = chunk.decode()
    assert len(decoded) == chunk.nbytes
    n_stored = len(expected) * chunk.itemsize
    assert bytes(decoded)[:n_stored] == expected.astype(chunk.samples.dtype).tobytes()
    assert not any(bytes(decoded)[n_stored:])


def walk(n_samples, dtype="<i4", seed=0):
    """Samples that every codec makes shorter, though not by much, if they are some hundreds."""
    rng = np.random.default_rng(seed)
    return np.repeat(np.cumsum(rng.integers(-40, 41, n_samples // 4 + 1)), 4)[:n_samples].astype(dtype)


def noise(n_samples, dtype, seed=0):
    dtype = np.dtype(dtype)
    raw = np.random.default_rng(seed).bytes(n_samples * dtype.itemsize)
    samples = np.frombuffer(raw, dtype).copy()
    if dtype.kind == "b":
        return np.frombuffer(raw, np.uint8) % 2 == 1
    if dtype.kind == "f":
        samples[~np.isfinite(samples)] = 1
    if dtype.kind == "S":
        return np.frombuffer(raw.replace(b"\0", b"a"), dtype).copy()
    return samples


def regular(n_samples, dtype):
    return np.resize(np.arange(5), n_samples).astype(dtype)


signals = st.builds(
    lambda make, n_samples, dtype: make(n_samples, dtype),
    st.sampled_from([noise, regular]),
    st.one_of(st.integers(1, 40), st.sampled_from([127, 1000, 1024, 2049, 5003])),
    st.sampled_from(DTYPES),
)

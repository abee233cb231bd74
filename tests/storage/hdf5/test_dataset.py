"""Whatever the layout, type and filters of a dataset: it reads as h5py reads it, to the bit."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import count

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.downsample import Bins, entry_sizes, finest_entry
from storage.objectstore import ObjectStore
from storage.timings import Timings
from tests.storage.stored import assert_same_bits, expected_of, read, reader_of, stored_array

INTEGERS = [f"{order}{kind}{width}" for order in "<>" for kind in "iu" for width in (1, 2, 4, 8)]
DTYPES = ["?", *INTEGERS, *(f"{order}f{width}" for order in "<>" for width in (2, 4, 8)), "S1", "S5"]
FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "shuffled gzip": {"compression": "gzip", "shuffle": True},
    "shuffle alone": {"shuffle": True},
    "lzf": {"compression": "lzf"},
    "shuffled lzf": {"compression": "lzf", "shuffle": True},
    "checksum": {"fletcher32": True},
    "gzip, shuffle and checksum": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lz4": hdf5plugin.LZ4(),
    "bitshuffle": hdf5plugin.Bitshuffle(cname="none"),
    "bitshuffle lz4": hdf5plugin.Bitshuffle(cname="lz4"),
    "bitshuffle zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "zstd": hdf5plugin.Zstd(),
    "blosc lz4": hdf5plugin.Blosc(cname="lz4", shuffle=1),
    "blosc zstd": hdf5plugin.Blosc(cname="zstd", shuffle=2),
    "blosc zlib": hdf5plugin.Blosc(cname="zlib", shuffle=0),
}
number = count()


@dataclass(frozen=True)
class Case:
    """A file with one dataset called ``signal``, and what is asked of it."""

    content: bytes
    about: str
    runs: list[tuple[int, int]]
    columns: tuple[int, ...] | None
    is_transposed: bool = False

    def __repr__(self):
        turned = ", channels down" if self.is_transposed else ""
        return f"{self.about}: rows {self.runs}, columns {self.columns}{turned}"


def samples_of(dtype, shape, seed, noisy):
    """Any bits at all, or a few values that repeat so that filters have something to do."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    n_samples = int(np.prod(shape))
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    if noisy:
        return np.frombuffer(random.bytes(n_samples * dtype.itemsize), dtype).reshape(shape)
    return (np.arange(n_samples) // 7 % 100).astype(dtype).reshape(shape)


class Whole(io.BytesIO):
    """A file in memory that also grows when it is cut to a larger size, as files do."""

    def truncate(self, size=None):
        end = self.seek(0, io.SEEK_END)
        if size is not None and size > end:
            self.write(bytes(size - end))
        return super().truncate(size)


def compact():
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    return {"dcpl": creation}


@st.composite
def layouts(draw, shape):
    """Options of create_dataset, a word for them, and whether the dataset can be resized."""
    kinds = ["contiguous", "compact"] + ["chunked"] * 6 * bool(shape)
    kind = draw(st.sampled_from(kinds))
    if kind == "compact":
        return compact(), kind, False
    if kind == "contiguous":
        return {}, kind, False
    resizable = draw(st.booleans()) or 0 in shape  # a chunk may only be larger than what may grow
    extra = 7 if resizable else 0
    chunks = tuple(draw(st.integers(1, max(1, length) + extra)) for length in shape)
    name = draw(st.sampled_from(sorted(FILTERS)))
    options = dict(FILTERS[name], chunks=chunks, maxshape=(None,) * len(shape) if resizable else None)
    return options, f"chunks of {chunks} through {name}", resizable


@st.composite
def cases(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    longest = draw(st.sampled_from([0, 1, 9, 40]))
    shape = draw(
        st.just(())
        | st.tuples(st.integers(0, longest * 8))
        | st.tuples(st.integers(0, longest), st.integers(0, 12))
        | st.tuples(st.integers(0, longest), st.integers(0, 12))
        | st.tuples(st.integers(0, longest), st.integers(1, 4), st.integers(0, 6))
    )
    options, layout, resizable = draw(layouts(shape))
    fill = draw(st.booleans())
    if fill:
        options["fillvalue"] = samples_of(dtype, (1,), draw(st.integers(0, 9)), True)[0]
    written = draw(st.sampled_from(["all", "all", "part", "nothing"]))
    resized = tuple(draw(st.integers(0, length + 9)) for length in shape) if resizable else None
    resized = resized if draw(st.booleans()) else None
    libver, userblock = draw(st.sampled_from(["earliest", "latest"])), draw(st.sampled_from([0, 0, 512]))
    samples = samples_of(dtype, shape, draw(st.integers(0, 99)), draw(st.booleans()))
    memory = Whole()
    with h5py.File(memory, "w", libver=libver, userblock_size=userblock) as file:
        file["other"] = np.arange(draw(st.integers(0, 50)))
        dataset = file.create_dataset("signal", shape, dtype, **options)
        if written == "all" or not shape:
            dataset[...] = samples
        elif written == "part":
            part = tuple(slice(length // 3, length // 3 + length // 2) for length in shape)
            dataset[part] = samples[part]
        if resized is not None:
            dataset.resize(resized)
            shape = resized
    is_transposed = len(shape) == 2 and draw(st.booleans())
    length, across = shape[::-1] if is_transposed else (*shape, 1, 1)[:2]
    edges = st.tuples(st.integers(0, length), st.integers(0, length)).map(sorted).map(tuple)
    runs = draw(st.lists(edges, min_size=1, max_size=3))
    columns = None
    if len(shape) == 2 and across and draw(st.booleans()):
        columns = tuple(draw(st.lists(st.integers(0, across - 1), min_size=1, max_size=5, unique=True)))
    about = f"{dtype.str} {shape} {layout}, {written} written, filled {fill}, {libver}, user block {userblock}"
    return Case(memory.getvalue(), about, runs, columns, is_transposed)


def check(store, case):
    """Read a case twice, from the store and then from the cache, and compare it with h5py."""
    key = f"datafiles/{next(number)}.h5"
    store.put(key, case.content)
    expected = expected_of(case.content)
    array = stored_array(store, key, case.content, is_transposed=case.is_transposed)
    if case.is_transposed:
        expected = expected.T
    if case.columns is not None:
        expected = expected[:, list(case.columns)]
    reader = reader_of(store)
    for _ in range(2):
        for start, stop in case.runs:
            assert_same_bits(read(reader, array, start, stop, channels=case.columns), expected[start:stop])
    for start, stop in case.runs:
        check_points(reader, array, case.columns, expected, start, stop)
    together = reader_of(store).datasets.read_runs(array.dataset, case.runs, case.columns, keep=True, timings=Timings())
    for got, (start, stop) in zip(together, case.runs, strict=True):
        assert_same_bits(got, expected[start:stop])


def check_points(reader, array, columns, expected, start, stop):
    """Compare the first sample of each of a few bins, and the extrema of as many, with h5py's samples."""
    n_bins = min(3, (stop - start - 1) // 2)
    if n_bins < 1:
        return
    sizes = entry_sizes(array.n_samples, finest_entry(array.n_channels))
    edges = Bins.of(start, stop, n_bins, sizes).edges(0, n_bins)
    got = read(reader, array, start, stop, points=n_bins, method="stride", channels=columns)
    assert_same_bits(got, expected[edges[:-1]])
    if expected.dtype.kind in "iu" and expected.ndim < 3 and expected.size:
        edges = Bins.of(start, stop, n_bins, sizes).edges(0, n_bins)
        got = read(reader, array, start, stop, points=2 * n_bins, method="extrema", channels=columns)
        parts = [expected[low:high] for low, high in zip(edges[:-1], edges[1:], strict=True)]
        assert_same_bits(got, np.stack([extreme(part, axis=0) for part in parts for extreme in (np.min, np.max)]))


common = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return ObjectStore(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def bucket(s3):
    return ObjectStore("s3://recordings/datasets")


@given(case=cases())
@settings(common, max_examples=400)
def test_reads_from_a_folder_what_h5py_reads(folder, case):
    check(folder, case)


@given(case=cases())
@settings(common, max_examples=300)
def test_reads_from_s3_what_h5py_reads(bucket, case):
    check(bucket, case)


def file_with(samples, libver="earliest", **options):
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=libver) as file:
        file.create_dataset("signal", data=samples, **options)
    return memory.getvalue()


@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype not in "?S1"])
@pytest.mark.parametrize("name", sorted(set(FILTERS) - {"none"}))
def test_every_filter_with_every_dtype(folder, name, dtype, noisy):
    content = file_with(samples_of(dtype, (33, 7), 1, noisy), chunks=(10, 3), **FILTERS[name])
    check(folder, Case(content, name, [(0, 33), (12, 19)], (6, 2)))


@pytest.mark.parametrize(
    ("shape", "chunks", "maxshape"),
    [
        ((50,), (50,), None),  # one chunk
        ((50,), (7,), None),  # a fixed array
        ((20_000,), (3,), None),  # a fixed array in pages
        ((50,), (7,), (None,)),  # an extensible array
        ((20_000,), (3,), (None,)),
        ((50, 9), (7, 2), (None, None)),  # a B-tree
    ],
)
@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["raw", "gzip"])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_every_kind_of_chunk_index_of_hdf5(folder, shape, chunks, maxshape, options, libver):
    content = file_with(samples_of("<i4", shape, 2, True), libver, chunks=chunks, maxshape=maxshape, **options)
    last = shape[0]
    check(folder, Case(content, "", [(0, last), (last - 5, last), (8, 9)], None))


def test_an_index_of_many_pages(folder):
    samples = np.arange(60_000, dtype="<u2")
    content = file_with(samples, chunks=(2,))
    folder.put("pages.h5", content)
    array = stored_array(folder, "pages.h5", content)
    reader = reader_of(folder)
    for start, stop in [(8190, 8194), (0, 3), (59_999, 60_000), (16_000, 25_000), (0, 60_000)]:
        assert_same_bits(read(reader, array, start, stop), samples[start:stop])


def test_long_contiguous_runs_come_in_pieces_and_overlapping_ones_together(folder):
    samples = np.random.default_rng(1).integers(-30000, 30000, (1_500_000, 4), dtype="<i2")
    content = file_with(samples)
    folder.put("long.h5", content)
    array = stored_array(folder, "long.h5", content)
    assert_same_bits(read(reader_of(folder), array), samples)
    runs = [(0, 700_000), (3, 4), (500_000, 1_200_000), (1_499_999, 1_500_000), (700_000, 700_000)]
    got = reader_of(folder).datasets.read_runs(array.dataset, runs, None, keep=False, timings=Timings())
    for part, (start, stop) in zip(got, runs, strict=True):
        assert_same_bits(part, samples[start:stop])


@pytest.mark.parametrize("dtype", ["<i2", ">i2"])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["raw", "gzip"])
def test_an_answer_cannot_change_what_is_cached(folder, dtype, options):
    samples = np.arange(100, dtype=dtype)
    content = file_with(samples, chunks=(10,), **options)
    folder.put("kept.h5", content)
    array, reader = stored_array(folder, "kept.h5", content), reader_of(folder)
    for run in [(3, 7), (25, 38)]:
        for _ in range(2):
            (points,) = reader.datasets.read_runs(array.dataset, [run], None, keep=True, timings=Timings())
            assert_same_bits(points, samples[slice(*run)].astype("<i2"))
            if points.flags.writeable:
                points[:] = 0


def held_nbytes(samples):
    """Bytes of memory that live as long as an array does."""
    base = samples
    while (below := base.obj if isinstance(base, memoryview) else getattr(base, "base", None)) is not None:
        base = below
    return base.nbytes if isinstance(base, np.ndarray) else len(base)


@pytest.mark.parametrize("options", [{}, {"fletcher32": True}, {"compression": "gzip"}], ids=str)
def test_a_cached_chunk_holds_no_more_memory_than_the_cache_counts(folder, options):
    samples = np.arange(10_000, dtype="<i4")
    content = file_with(samples, chunks=(1000,), **options)
    folder.put("held.h5", content)
    array, reader = stored_array(folder, "held.h5", content), reader_of(folder)
    read(reader, array)
    assert reader.datasets.chunk_cache.nbytes == samples.nbytes
    first = reader.datasets.read_runs(array.dataset, [(0, 1000)], None, keep=True, timings=Timings())[0]
    assert held_nbytes(first) <= 4000 + 64

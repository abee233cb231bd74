"""Chunks decode to what libhdf5 reads; filters that cannot be undone are refused by name."""

from __future__ import annotations

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.hdf5 import filters as f
from storage.hdf5.filters import DamagedChunk, Filter, UnknownFilter, decode, require_known
from tests.storage.hdf5.chunks import (
    DEFLATE,
    EACH,
    FLETCHER32,
    LZF,
    SHUFFLE,
    Chunk,
    assert_reads_as_libhdf5,
    noise,
    pipelines,
    signals,
    walk,
)


@settings(max_examples=300, deadline=None)
@given(samples=signals, pipeline=pipelines, beyond=st.sampled_from([0, 0, 1, 9]))
def test_decodes_to_what_libhdf5_reads(samples, pipeline, beyond):
    assert_reads_as_libhdf5(Chunk(samples, pipeline, len(samples) + beyond))


@pytest.mark.parametrize("pipeline", EACH.values(), ids=EACH)
@pytest.mark.parametrize("n_samples", [1, 7, 8, 9, 1021, 40_001])
@pytest.mark.parametrize("dtype", ["u1", "<i2", "<f4", "<f8", "S40"])
def test_each_filter_at_each_length(pipeline, n_samples, dtype):
    assert_reads_as_libhdf5(Chunk(walk(n_samples, dtype), pipeline))


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": True},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf", "shuffle": True},
        hdf5plugin.Blosc(cname="zstd", shuffle=hdf5plugin.Blosc.BITSHUFFLE),
        hdf5plugin.Bitshuffle(cname="lz4"),
        hdf5plugin.Bitshuffle(cname="zstd"),
        hdf5plugin.Bitshuffle(cname="none"),
        hdf5plugin.LZ4(nbytes=1000),
        hdf5plugin.Zstd(),
        hdf5plugin.BZip2(),
    ],
    ids=repr,
)
def test_chunks_of_two_dimensions_written_as_people_do(options):
    samples = walk(3000, "<f4").reshape(1000, 3)
    with h5py.File.in_memory() as file:
        dataset = file.create_dataset("samples", data=samples, chunks=(1000, 3), **options)
        file.flush()
        creation = dataset.id.get_create_plist()
        found = (creation.get_filter(place) for place in range(creation.get_nfilters()))
        filters = [Filter(number, tuple(values)) for number, _, values, _ in found]
        mask, stored = dataset.id.read_direct_chunk((0, 0))
    require_known(filters)
    assert filters
    decoded = decode(memoryview(stored), filters, filter_mask=mask, nbytes=samples.nbytes)
    np.testing.assert_array_equal(np.frombuffer(decoded, "<f4").reshape(1000, 3), samples)


def test_a_filter_that_libhdf5_skipped_is_not_undone():
    chunk = Chunk(noise(1000, "<i4"), [SHUFFLE, LZF])
    assert chunk.filter_mask == 0b10
    assert_reads_as_libhdf5(chunk)
    with pytest.raises(DamagedChunk):
        chunk.decode(filter_mask=0)


@pytest.mark.parametrize("filter_mask", range(8))
def test_skips_the_filters_of_the_mask(filter_mask):
    samples, pipeline = walk(500), [SHUFFLE, DEFLATE, FLETCHER32]
    kept = [step for place, step in enumerate(pipeline) if not filter_mask >> place & 1]
    chunk = Chunk(samples, pipeline, stored=Chunk(samples, kept).stored, filter_mask=filter_mask)
    assert chunk.filter_mask == filter_mask
    assert_reads_as_libhdf5(chunk)


def swapped(checksum):
    return bytes([checksum[1], checksum[0], checksum[3], checksum[2]])


@pytest.mark.parametrize("n_samples", [1, 2, 361, 719, 100_001])
@pytest.mark.parametrize("value", [0, 0xFF, None])
def test_checksums_are_those_of_libhdf5(n_samples, value):
    samples = noise(n_samples, "u1") if value is None else np.full(n_samples, value, "u1")
    chunk = Chunk(samples, [FLETCHER32])
    assert len(chunk.stored) == n_samples + 4
    assert_reads_as_libhdf5(chunk)


@pytest.mark.parametrize("change", [swapped, lambda checksum: checksum[::-1], lambda checksum: bytes(4)])
def test_the_checksums_libhdf5_tolerates_are_tolerated(change):
    samples = walk(333, "<i2")
    stored = Chunk(samples, [FLETCHER32]).stored
    chunk = Chunk(samples, [FLETCHER32], stored=stored[:-4] + change(stored[-4:]))
    if change is swapped:
        assert_reads_as_libhdf5(chunk)
    else:
        with pytest.raises(OSError, match="filter"):
            chunk.dataset[...]
        with pytest.raises(DamagedChunk, match="checksum"):
            chunk.decode()


@pytest.mark.parametrize(
    ("number", "named"),
    [
        (4, "filter szip (4) is not supported"),
        (5, "filter nbit (5) is not supported"),
        (6, "filter scaleoffset (6) is not supported"),
        (32013, "filter zfp (32013) is not supported"),
        (32019, "filter jpeg (32019) is not supported"),
        (32026, "filter blosc2 (32026) is not supported"),
        (300, "user-defined filter 300 is not supported"),
    ],
)
def test_filters_that_cannot_be_undone_are_named(number, named):
    filters = [Filter(f.SHUFFLE, (4,)), Filter(number, (1, 2))]
    with pytest.raises(UnknownFilter, match=f"^{named.replace('(', '[(]').replace(')', '[)]')}"):
        require_known(filters)


@pytest.mark.parametrize(
    "nonsense",
    [
        Filter(f.SHUFFLE, ()),
        Filter(f.SHUFFLE, (0,)),
        Filter(f.BITSHUFFLE, (0, 4)),
        Filter(f.BITSHUFFLE, (0, 4, 0, 0, 2)),
        Filter(f.BITSHUFFLE, (0, 4, 4, 12, 0)),
        Filter(f.BITSHUFFLE, (0, 4, 4, 0, 9)),
    ],
    ids=repr,
)
def test_client_values_that_make_no_sense_are_refused(nonsense):
    with pytest.raises(UnknownFilter, match="make no sense"):
        require_known([nonsense])


@pytest.mark.parametrize("pipeline", EACH.values(), ids=EACH)
def test_filters_as_libhdf5_stores_them_are_known(pipeline):
    require_known(Chunk(walk(300), pipeline).filters)

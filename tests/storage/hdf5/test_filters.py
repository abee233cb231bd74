"""Chunks decode to what libhdf5 reads; damaged and hostile ones are told from them and harm nothing."""

from __future__ import annotations

import bz2
import json
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from struct import pack

import h5py
import hdf5plugin
import imagecodecs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from storage.hdf5 import filters as f
from storage.hdf5.filters import DamagedChunk, Filter, UnknownFilter, decode, require_known

ROOT = Path(__file__).parents[3]

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
            itemsize=self.itemsize,
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
    decoded = decode(memoryview(stored), filters, filter_mask=mask, itemsize=4, nbytes=samples.nbytes)
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


@pytest.mark.parametrize("at", [-4, 40, 700])
@pytest.mark.parametrize("pipeline", [[DEFLATE], [FLETCHER32], [BZIP2]], ids=["deflate", "fletcher32", "bzip2"])
def test_a_wrong_byte_under_a_checksum_is_damage(pipeline, at):
    chunk = Chunk(walk(2000, "<i2"), pipeline)
    stored = bytearray(chunk.stored)
    stored[at] ^= 0x40
    with pytest.raises(DamagedChunk):
        chunk.decode(bytes(stored))


@pytest.mark.parametrize("pipeline", EACH.values(), ids=EACH)
def test_a_chunk_cut_short_is_damage_at_every_length(pipeline):
    chunk = Chunk(walk(300, "<i4"), pipeline)
    assert chunk.filter_mask == 0
    for nbytes in range(len(chunk.stored)):
        with pytest.raises(DamagedChunk):
            chunk.decode(chunk.stored[:nbytes])


@pytest.mark.parametrize("nbytes", [0, 3, 1199, 1201, 4800])
@pytest.mark.parametrize("pipeline", [[], [SHUFFLE], *EACH.values()], ids=["none", "shuffle", *EACH])
def test_a_chunk_of_another_size_is_damage(pipeline, nbytes):
    chunk = Chunk(walk(300, "<i4"), pipeline)
    chunk.nbytes = nbytes
    with pytest.raises(DamagedChunk):
        chunk.decode()


FRAME_OF_2_60 = b"\x28\xb5\x2f\xfd" + b"\xe0" + pack("<Q", 2**60) + b"\x01\x00\x00"
SAYS_TOO_MUCH = {
    "lz4": (f.LZ4, (), pack(">QII", 2**60, 2**30, 4) + bytes(4)),
    "lz4 blocks": (f.LZ4, (), pack(">QII", 4096, 2**32 - 1, 2**32 - 1) + bytes(4)),
    "lz4 endless": (f.LZ4, (), pack(">QII", 4096, 0, 4) + bytes(4)),
    "bitshuffle": (f.BITSHUFFLE, (0, 4, 4, 0, 2), pack(">QII", 2**60, 8192, 4) + bytes(4)),
    "bitshuffle blocks": (f.BITSHUFFLE, (0, 4, 4, 0, 2), pack(">QII", 4096, 2**32 - 32, 2**31) + bytes(4)),
    "bitshuffle endless": (f.BITSHUFFLE, (0, 4, 4, 0, 3), pack(">QII", 4096, 0, 4) + bytes(4)),
    "bitshuffle elements": (f.BITSHUFFLE, (0, 4, 2**32 - 1, 0, 0), bytes(4096)),
    "blosc": (f.BLOSC, (), pack("<4BIII", 2, 1, 0x31, 4, 2**31 - 1, 2**20, 32) + bytes(16)),
    "blosc blocks": (f.BLOSC, (), pack("<4BIII", 2, 1, 0x31, 4, 4096, 2**31 - 1, 32) + bytes(16)),
    "blosc stored": (f.BLOSC, (), pack("<4BIII", 2, 1, 0x33, 4, 4096, 4096, 4112) + bytes(16)),
    "blosc negative": (f.BLOSC, (), pack("<4BIII", 2, 1, 0x31, 4, 2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(16)),
    "zstd": (f.ZSTD, (), FRAME_OF_2_60),
    "lz4 of nothing": (f.LZ4, (), pack(">QI", 0, 64)),
    "bitshuffle of nothing": (f.BITSHUFFLE, (0, 4, 4, 0, 2), pack(">QI", 0, 64)),
    "blosc of nothing": (f.BLOSC, (), pack("<4BIII", 2, 1, 0x31, 4, 0, 0, 16)),
    "shuffle": (f.SHUFFLE, (2**31,), bytes(2**16)),
    "deflate bomb": (f.DEFLATE, (), zlib.compress(bytes(2**25))),
    "bzip2 bomb": (f.BZIP2, (), bz2.compress(bytes(2**25))),
    "zstd bomb": (f.ZSTD, (), bytes(imagecodecs.zstd_encode(bytes(2**25)))),
    "lzf bomb": (f.LZF, (), bytes(imagecodecs.lzf_encode(bytes(2**21)))),
    "blosc bomb": (f.BLOSC, (), bytes(imagecodecs.blosc_encode(bytes(2**25)))),
    "lz4 bomb": (f.LZ4, (), bytes(imagecodecs.lz4h5_encode(bytes(2**25)))),
}


@pytest.mark.parametrize(("number", "values", "stored"), SAYS_TOO_MUCH.values(), ids=SAYS_TOO_MUCH)
def test_no_more_is_allocated_than_the_chunk_can_need(number, values, stored):
    tracemalloc.start()
    try:
        with pytest.raises(DamagedChunk):
            decode(stored, [Filter(number, values)], filter_mask=0, itemsize=4, nbytes=4096)
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()


SHORT_LZ4, SHORT_ZSTD = bytes(imagecodecs.lz4_encode(bytes(32))), bytes(imagecodecs.zstd_encode(bytes(32)))


@pytest.mark.parametrize(
    ("number", "values", "block"),
    [
        (f.LZ4, (), SHORT_LZ4),
        (f.BITSHUFFLE, (0, 4, 4, 0, 2), SHORT_LZ4),
        (f.BITSHUFFLE, (0, 4, 4, 0, 3), SHORT_ZSTD),
    ],
    ids=["lz4", "bitshuffle-lz4", "bitshuffle-zstd"],
)
def test_a_block_of_half_its_length_is_damage_and_not_whatever_was_in_memory(number, values, block):
    whole, half = (pack(">QII", nbytes, nbytes, len(block)) + block for nbytes in (32, 64))
    step = Filter(number, values)
    assert bytes(decode(whole, [step], filter_mask=0, itemsize=4, nbytes=32)) == bytes(32)
    with pytest.raises(DamagedChunk, match="has 32 bytes where 64 belong"):
        decode(half, [step], filter_mask=0, itemsize=4, nbytes=64)


def test_zstd_of_before_its_final_format_never_reaches_the_codec():
    with pytest.raises(DamagedChunk, match="does not begin as a frame"):
        decode(b"\x27\xb5\x2f\xfd" + bytes(60), [Filter(f.ZSTD, ())], filter_mask=0, itemsize=4, nbytes=64)


@pytest.mark.parametrize("number", f.UNDO)
def test_nothing_stored_is_damage(number):
    values = {f.SHUFFLE: (4,), f.BITSHUFFLE: (0, 4, 4, 0, 2)}.get(number, ())
    with pytest.raises(DamagedChunk):
        decode(b"", [Filter(number, values)], filter_mask=0, itemsize=4, nbytes=64)


FUZZ = """
import json, random, resource, sys
from storage.hdf5.filters import DamagedChunk, Filter, decode

soft = 2 << 30
resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
rng = random.Random(0)
damaged = decoded = 0
for case in json.load(sys.stdin):
    stored = bytes.fromhex(case["stored"])
    filters = [Filter(number, tuple(values)) for number, values in case["filters"]]
    for _ in range(case["times"]):
        bent = bytearray(stored)
        for _ in range(rng.choice((1, 1, 2, 8))):
            place = rng.randrange(min(len(bent), rng.choice((20, 64, len(bent)))))
            bent[place] = rng.choice((0, 255, 127, 128, bent[place] ^ 1 << rng.randrange(8), rng.randrange(256)))
        if rng.random() < 0.1:
            bent = bent[: rng.randrange(len(bent))]
        try:
            got = decode(bytes(bent), filters, filter_mask=0, itemsize=4, nbytes=case["nbytes"])
        except DamagedChunk:
            damaged += 1
        else:
            assert len(got) == case["nbytes"]
            decoded += 1
print(damaged, decoded)
"""


def fuzzed(cases):
    """Decode bent chunks in a process of its own; return how many were damaged and how many decoded."""
    run = subprocess.run(
        [sys.executable, "-c", FUZZ],
        input=json.dumps(cases),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return [int(count) for count in run.stdout.split()]


def test_bent_bytes_neither_crash_nor_escape():
    chunks = [Chunk(walk(n, "<i4", n), pipeline) for pipeline in EACH.values() for n in (13, 300, 5000)]
    cases = [
        {
            "stored": chunk.stored.hex(),
            "filters": [(step.id, step.values) for step in chunk.filters],
            "nbytes": chunk.nbytes,
            "times": 300,
        }
        for chunk in chunks
        if not chunk.filter_mask
    ]
    damaged, decoded = fuzzed(cases)
    assert damaged > 5000 and decoded > 100


@settings(max_examples=300, deadline=None)
@given(stored=st.binary(max_size=80), number=st.sampled_from(sorted(f.UNDO)), nbytes=st.integers(1, 300))
def test_any_bytes_are_a_chunk_or_damage(stored, number, nbytes):
    assume(number != f.BLOSC or len(stored) < 16)  # bent Blosc containers are for a process of their own
    values = {f.SHUFFLE: (3,), f.BITSHUFFLE: (0, 4, 2, 0, 2)}.get(number, ())
    try:
        decoded = decode(stored, [Filter(number, values)], filter_mask=0, itemsize=1, nbytes=nbytes)
    except DamagedChunk:
        return
    assert len(decoded) == nbytes


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

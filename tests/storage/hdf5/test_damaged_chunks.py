"""Damaged and hostile chunks are told from others, and harm nothing."""

from __future__ import annotations

import bz2
import json
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from struct import pack

import imagecodecs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from storage.hdf5 import filters as f
from storage.hdf5.filters import DamagedChunk, Filter, decode
from tests.storage.hdf5.chunks import BZIP2, DEFLATE, EACH, FLETCHER32, SHUFFLE, Chunk, walk

ROOT = Path(__file__).parents[3]


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
            decode(stored, [Filter(number, values)], filter_mask=0, nbytes=4096)
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
    assert bytes(decode(whole, [step], filter_mask=0, nbytes=32)) == bytes(32)
    with pytest.raises(DamagedChunk, match="has 32 bytes where 64 belong"):
        decode(half, [step], filter_mask=0, nbytes=64)


def test_zstd_of_before_its_final_format_never_reaches_the_codec():
    with pytest.raises(DamagedChunk, match="does not begin as a frame"):
        decode(b"\x27\xb5\x2f\xfd" + bytes(60), [Filter(f.ZSTD, ())], filter_mask=0, nbytes=64)


@pytest.mark.parametrize("number", f.UNDO)
def test_nothing_stored_is_damage(number):
    values = {f.SHUFFLE: (4,), f.BITSHUFFLE: (0, 4, 4, 0, 2)}.get(number, ())
    with pytest.raises(DamagedChunk):
        decode(b"", [Filter(number, values)], filter_mask=0, nbytes=64)


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
            got = decode(bytes(bent), filters, filter_mask=0, nbytes=case["nbytes"])
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
        decoded = decode(stored, [Filter(number, values)], filter_mask=0, nbytes=nbytes)
    except DamagedChunk:
        return
    assert len(decoded) == nbytes

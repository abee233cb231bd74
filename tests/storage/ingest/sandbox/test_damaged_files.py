"""Hundreds of damaged files: each is refused with a reason, or what is found in it reads as h5py reads it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from storage.answer import StoredArray
from storage.errors import FileChanged, FileDamaged, Refused
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from storage.objectstore import ObjectStore
from tests.storage.ingest.sandbox.oracle import digest
from tests.storage.ingest.test_register import write_nwb
from tests.storage.stored import described_dataset, read, reader_of

ORACLE = Path(__file__).with_name("oracle.py")
LIMITS = Limits(cpu_s=4, wall_s=20)
N_EACH = 50
MAX_COMPARED_NBYTES = 32 << 20


def one(libver="earliest", userblock=0, **creation):
    """Return a small file of one array."""
    memory = io.BytesIO()
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if creation.pop("compact", False):
        dcpl.set_layout(h5py.h5d.COMPACT)
    with h5py.File(memory, "w", libver=libver, userblock_size=userblock) as file:
        values = creation.pop("data", np.arange(400, dtype=">i2").reshape(100, 4))
        file.create_dataset("signal", data=values, dcpl=dcpl, **creation).attrs["units"] = "mV"
    return memory.getvalue()


def nwb(tmp_path):
    return write_nwb(tmp_path / "whole.nwb", spikes=((0.5, 1.5), (0.1,)), series=("a",)).read_bytes()


FILES = {
    "contiguous": one(),
    "compact": one(compact=True, data=np.arange(50.0)),
    "gzip": one(chunks=(30, 2), compression="gzip", shuffle=True),
    "checked": one(chunks=(30, 4), fletcher32=True),
    "lzf": one(chunks=(30, 4), compression="lzf", fillvalue=7),
    "fixed array": one("latest", chunks=(9, 4), compression="gzip"),
    "extensible array": one("latest", chunks=(9, 4), maxshape=(None, 4)),
    "tree of version 2": one("latest", chunks=(9, 2), maxshape=(None, None), shuffle=True),
    "user block": one(userblock=512, chunks=(50, 4)),
    "text": one(data=np.array([b"one", b"three"])),
    "texts of any length": one(data=["ä", "bc"], dtype=h5py.string_dtype()),
    "NWB": None,
}


def damaged(content, rng):
    """Cut a file, flip bits of it, or write noise, zeros or ones over a part."""
    kind = rng.integers(5)
    if kind == 0:
        return content[: rng.integers(1, len(content))]
    bent = bytearray(content)
    if kind == 1:
        start, length = rng.integers(8, len(bent) - 16), rng.integers(1, 16)
        bent[start : start + length] = rng.choice([b"\0", b"\xff"]) * int(length)
    elif kind == 2:
        start = rng.integers(8, len(bent) - 8)
        bent[start : start + 8] = rng.bytes(8)
    else:
        for place in rng.integers(8, len(bent), rng.integers(1, 6)):
            bent[place] ^= 1 << rng.integers(8)
    return bytes(bent)


@pytest.fixture(scope="module")
def sandbox():
    found = Sandbox(LIMITS)
    found.start()
    yield found
    found.close()


@pytest.fixture(scope="module")
def h5py_reads():
    """The digest of what h5py reads of a file in a process of its own, or its error."""
    with subprocess.Popen(
        [sys.executable, ORACLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as oracle:

        def h5py_reads(path, dataset):
            print(json.dumps([str(path), dataset]), file=oracle.stdin, flush=True)
            return json.loads(oracle.stdout.readline())

        yield h5py_reads
        oracle.stdin.close()


@pytest.mark.parametrize("name", FILES)
def test_it_is_refused_or_read_right(name, sandbox, h5py_reads, tmp_path):
    content = FILES[name] or nwb(tmp_path)
    rng = np.random.default_rng(list(name.encode()))
    store = ObjectStore(f"file://{tmp_path}")
    seen = {"refused": 0, "unreadable": 0, "read": 0}
    for number in range(N_EACH):
        key = f"{number}.h5"
        (tmp_path / key).write_bytes(content if number == 0 else damaged(content, rng))
        started = time.monotonic()
        try:
            if name == "NWB":
                found = sandbox.inspect(store, key, store.stat(key), PlainOptions((1.0, "Hz")))
            else:
                found = sandbox.check(store, key, store.stat(key))
        except Refused as error:
            reasons = [str(error)]
        else:
            reasons = [refusal.reason for refusal in found.refusals]
            for path, told in found.datasets.items():
                seen[compared(store, key, path, told, h5py_reads, tmp_path)] += 1
        assert time.monotonic() - started < LIMITS.wall_s
        for reason in reasons:
            seen["refused"] += 1
            assert 0 < len(reason) <= 1000 and reason.isprintable()
            assert "not allowed here" not in reason and "permitted" not in reason  # a wall that honest work runs into
    assert seen["read"] > 0 and seen["refused"] > 0, seen


def compared(store, key, path, told, h5py_reads, tmp_path):
    """Read a dataset as the service does and as h5py does; tell whether it could be read."""
    dataset = described_dataset(store, key, told)
    if np.prod(told.shape, dtype=float) * told.dtype.itemsize > MAX_COMPARED_NBYTES:
        return "unreadable"
    try:
        ours = read(reader_of(store), StoredArray(dataset, first_row=0, n_samples=dataset.shape[0]))
    except (FileDamaged, FileChanged):
        return "unreadable"
    assert digest(ours) == h5py_reads(tmp_path / key, path), (key, path)
    return "read"

"""What tests of the sandbox share."""

from __future__ import annotations

import time

import h5py
import pytest

from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from storage.objectstore import ObjectStore

LIMITS = Limits(cpu_s=15, wall_s=30)
OPTIONS = PlainOptions((1.0, "Hz"))


@pytest.fixture(scope="module")
def sandbox():
    found = Sandbox(LIMITS)
    found.start()
    yield found
    found.close()


@pytest.fixture
def store(tmp_path):
    return ObjectStore(f"file://{tmp_path}")


@pytest.fixture
def inspected(sandbox, store, tmp_path):
    """What is found in a file that a function writes; with how long that may take."""

    def inspected(write, name="a.h5", *, by=sandbox.inspect, timeout_s=LIMITS.wall_s, **creation):
        if isinstance(write, bytes):
            (tmp_path / name).write_bytes(write)
        else:
            with h5py.File(tmp_path / name, "w", **creation) as file:
                write(file)
        started = time.monotonic()
        try:
            options = () if by == sandbox.check else (OPTIONS,)
            return by(store, name, store.stat(name), *options)
        finally:
            assert time.monotonic() - started < timeout_s

    return inspected

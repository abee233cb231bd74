"""Registering a file that lies in S3: few rounds, few bytes, and all of them of one version of the file."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest

from storage.errors import FileChanged, NotStored, StoreAway
from storage.hdf5 import chunk_index
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.register import Options, register
from storage.ingest.sandbox.sandbox import sandbox
from storage.objectstore import ObjectStore
from tests.archive import Archive
from tests.s3 import S3Server, rounds
from tests.storage.hdf5.many_chunks import rows_of, write

URL, OPTIONS = "s3://recordings/many.h5", PlainOptions((20000.0, "Hz"))
N_CHUNKS = 4000


@pytest.fixture(scope="module")
def content():
    """A file whose index lies among its chunks."""
    return write((2 * N_CHUNKS,), (2,), maxshape=(None,), nbytes=1000, compression="gzip")


@pytest.fixture
def store(s3):
    return ObjectStore("s3://recordings")


@pytest.fixture
def found_with(s3, store):
    """Inspect a file in S3, which something happens to when its index begins to be built."""

    def found_with(content, happens=lambda: None):
        s3.put("recordings/many.h5", content)
        told = []

        def progress(*now):
            if not told:
                happens()
            told.append(now)

        stat = store.stat(URL)
        s3.clear()
        return sandbox().inspect(store, URL, stat, OPTIONS, progress), told

    return found_with


def test_the_index_is_that_of_the_local_file(content, found_with):
    found, _ = found_with(content)
    assert found.refusals == []
    assert found.datasets["/signal"].chunks.tolist() == rows_of(content)


def test_it_takes_three_rounds_and_every_range_has_the_pin(s3, store, found_with):
    content = write((3400,), (2,), maxshape=(None,), nbytes=8000, compression="gzip")
    s3.delay_s = 0.2
    try:
        found_with(content)
    finally:
        s3.delay_s = 0
    assert 20 < len(s3.requests) <= 32  # as many as are under way at once, so that rounds can be seen
    assert rounds(s3.requests) <= 3
    assert {(r.method, r.if_match, r.status) for r in s3.requests} == {("GET", store.stat(URL).pin, 206)}
    assert sum(r.nbytes for r in s3.requests) < 0.03 * len(content)


def test_a_file_that_is_replaced_in_the_middle_is_changed_and_never_a_mixture(s3, content, found_with):
    other = bytes(reversed(content))
    with pytest.raises(FileChanged, match=r"many\.h5"):
        found_with(content, lambda: s3.put("recordings/many.h5", other))


def test_a_file_that_is_removed_in_the_middle_is_not_stored(s3, content, found_with):
    with pytest.raises(NotStored, match=r"many\.h5"):
        found_with(content, lambda: s3.delete("recordings/many.h5"))


def test_a_store_that_goes_away_in_the_middle_is_away(s3, content, monkeypatch):
    server = S3Server()
    server.put("recordings/many.h5", content)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    store = ObjectStore("s3://recordings")
    with pytest.raises(StoreAway, match="does not answer"):
        sandbox().inspect(store, URL, store.stat(URL), OPTIONS, lambda *_: server.stop())


def test_what_goes_wrong_in_the_store_is_told_as_such_when_registering(s3, content, monkeypatch, tmp_path):
    server = S3Server()
    server.put("recordings/many.h5", content)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    services = Archive(tmp_path).services
    with pytest.raises(StoreAway, match="does not answer"):
        register(services.store, services.engine, URL, Options(plain=OPTIONS), lambda *_: server.stop())


def test_progress_tells_how_many_of_the_chunks_of_which_dataset_are_indexed(found_with):
    n_chunks = 2 * chunk_index.PLACED_TOGETHER + 1000
    _, told = found_with(write((2 * n_chunks,), (2,), nbytes=8, compression="gzip"))
    assert {path for path, _, _ in told} == {"/signal"} and {whole for _, _, whole in told} == {n_chunks}
    n_indexed = [done for _, done, _ in told]
    assert n_indexed[0] == 0 and n_indexed[-1] == n_chunks and n_indexed == sorted(n_indexed)
    assert len(set(n_indexed)) > 2


def test_sparse_and_two_dimensional_files(found_with):
    written = set(np.random.default_rng(1).integers(0, 8000, 3000).tolist())
    for creation in ({}, {"libver": "latest", "maxshape": (None, None)}):
        content = write((4000, 8), (2, 2), written=written, nbytes=300, compression="gzip", **creation)
        found, _ = found_with(content)
        assert found.datasets["/signal"].chunks.tolist() == rows_of(content)


def test_a_file_in_memory_is_read_by_ranges_too(content):
    store = ObjectStore("memory://many")
    store.put("many.h5", content)
    url = "memory://many/many.h5"
    found = sandbox().inspect(store, url, store.stat(url), OPTIONS)
    assert found.datasets["/signal"].chunks.tolist() == rows_of(content)


@pytest.mark.parametrize("values", ["noise", "zeros"])
def test_edge_chunks_cost_no_round_each(store, s3, values):
    """Those that a filter leaves their length are looked at, to see whether it was applied to them."""
    samples = np.zeros((12_000, 40), "<i2")
    if values == "noise":
        samples[...] = np.random.default_rng(1).integers(-999, 999, samples.shape)
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("signal", data=samples, chunks=(50, 32), shuffle=True)
    s3.put("recordings/edges.h5", memory.getvalue())
    url = "s3://recordings/edges.h5"
    stat = store.stat(url)
    s3.clear()
    found = sandbox().inspect(store, url, stat, OPTIONS)
    assert not found.datasets["/signal"].chunks["filter_mask"].any()
    assert len(s3.requests) <= {"noise": 8, "zeros": 24}[values]  # of 240 chunks of the edge

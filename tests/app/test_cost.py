"""What an answer costs over S3, from the request to the service on: counted in GETs, bytes and rounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from app.job_commands import one_worker
from storage.cache import Cache
from tests.archive import Archive
from tests.s3 import rounds

GAP_NBYTES = 64 * 1024
N_SAMPLES = 200_000
SAMPLES = np.random.default_rng(3).integers(-900, 900, N_SAMPLES).astype(np.int16)
TIMES = np.cumsum(np.random.default_rng(4).exponential(0.01, N_SAMPLES))


@pytest.fixture(scope="module")
def archive(tmp_path_factory, s3):
    """Recordings, sidecars and all, in S3."""
    archive = Archive(tmp_path_factory.mktemp("cloud"), EPHYSTORE_STORE_URL="s3://recordings/store")
    path = archive.folder / "made.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["neurodata_type"] = "NWBFile"
        for name in ("chunked", "contiguous", "uneven"):
            group = file.create_group(name)
            group.attrs["neurodata_type"] = "TimeSeries"
            packing = {} if name == "contiguous" else {"chunks": (4000,), "compression": "gzip", "shuffle": True}
            group.create_dataset("data", data=SAMPLES, **packing)
            if name == "uneven":
                group.create_dataset("timestamps", data=TIMES, **packing)
            else:
                group["starting_time"] = 0.0
                group["starting_time"].attrs["rate"] = 1000.0
    s3.put("recordings/made.nwb", path.read_bytes())
    assert archive.register("s3://recordings/made.nwb").refusals == []
    with one_worker(archive.services) as worker:
        worker.drain()  # the order of long times
    return archive


@pytest.fixture
def fields(archive):
    """The fields of each signal by name."""
    lists = [
        archive.get(f"/electrophysiology/{name}/").json["selected"] for name in ("analogsignal", "irsaanalogsignal")
    ]
    return {one["fields"]["name"]: one["fields"] for found in lists for one in found}


@pytest.fixture(autouse=True)
def cold(archive, fields, s3):
    """Empty caches, and a server that remembers nothing yet."""
    datasets = archive.services.reader.datasets
    object.__setattr__(datasets.indices, "cache", Cache(1 << 26, lambda rows: rows.nbytes))
    object.__setattr__(datasets, "chunk_cache", Cache(1 << 28, lambda samples: samples.nbytes))
    s3.clear()
    yield
    s3.delay_s = 0


def stored_nbytes(archive, name, first, last):
    """Return the bytes of chunks ``first`` to ``last`` of a dataset."""
    with h5py.File(archive.folder / "made.nwb") as file:
        dataset = file[f"{name}/data"].id
        return sum(dataset.get_chunk_info(chunk).size for chunk in range(first, last + 1))


def test_an_object_with_a_regular_axis_asks_nothing_of_the_store(archive, fields, s3):
    archive.fields(f"/electrophysiology/analogsignal/{fields['chunked']['id']}?start_time=10&duration=5&downsample=20")
    archive.get("/electrophysiology/analogsignal/?start_time=10&duration=5")
    archive.client.head(fields["chunked"]["signal"]["data"])
    assert s3.requests == []


@pytest.mark.parametrize(("start", "stop"), [(100, 101), (3000, 3900), (3000, 9000), (0, 40_000)])
def test_with_a_loaded_index_a_slice_costs_one_get(archive, fields, s3, start, stop):
    link = fields["chunked"]["signal"]["data"]
    archive.get(f"{link}?start_index=199999")
    s3.clear()
    assert archive.values(f"{link}?start_index={start}&end_index={stop}") == SAMPLES[start:stop].tolist()
    (get,) = s3.requests
    assert get.method == "GET" and get.range and get.if_match
    assert get.nbytes <= stored_nbytes(archive, "chunked", start // 4000, (stop - 1) // 4000) + GAP_NBYTES


def test_with_empty_caches_a_slice_of_a_short_index_costs_one_get(archive, fields, s3):
    archive.values(f"{fields['chunked']['signal']['data']}?start_time=50&duration=2")
    (get,) = s3.requests
    assert get.method == "GET" and get.path == "/recordings/made.nwb"


def test_with_empty_caches_and_a_long_index_a_slice_costs_two_rounds(archive, fields, s3):
    archive.forget_short_indices()
    s3.delay_s = 0.05
    archive.values(f"{fields['chunked']['signal']['data']}?start_time=50&duration=2")
    assert rounds(s3.requests) == len(s3.requests) == 2
    assert {get.method for get in s3.requests} == {"GET"}


def test_a_contiguous_array_costs_one_get_and_the_exact_bytes(archive, fields, s3):
    link = fields["contiguous"]["signal"]["data"]
    assert archive.values(f"{link}?start_index=1000&end_index=1750") == SAMPLES[1000:1750].tolist()
    (get,) = s3.requests
    assert get.nbytes == 750 * SAMPLES.itemsize


@pytest.mark.parametrize("kind", ["object", "datafile"])
def test_a_time_window_on_an_irregular_axis_costs_three_rounds(archive, fields, s3, kind):
    address = f"/electrophysiology/irsaanalogsignal/{fields['uneven']['id']}"
    window = "start_time=700&end_time=701"
    first, last = np.searchsorted(TIMES, [700, 701])
    s3.delay_s = 0.05
    if kind == "object":
        link = archive.fields(f"{address}?{window}")["signal"]["data"]
        assert link.endswith(f"?start_index={first}&end_index={last}")
    else:
        assert archive.values(f"{fields['uneven']['signal']['data']}?{window}") == SAMPLES[first:last].tolist()
    assert rounds(s3.requests) <= 3
    assert {get.method for get in s3.requests} == {"GET"} and len(s3.requests) <= 5
    assert sum(get.nbytes for get in s3.requests) < 3 * GAP_NBYTES


def test_sixteen_callers_of_one_chunk_cause_one_get(archive, fields, s3):
    link = fields["chunked"]["signal"]["data"]
    archive.get(f"{link}?start_index=199999")
    s3.clear()
    s3.delay_s = 0.2
    clients = [archive.app.test_client() for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        asked = f"{link}?start_index=8000&end_index=8100&format=json"
        answers = list(pool.map(lambda client: client.get(asked).json, clients))
    assert answers == [SAMPLES[8000:8100].tolist()] * 16
    assert [get.path for get in s3.requests if "/sidecars/" not in get.path] == ["/recordings/made.nwb"]


def test_a_second_look_costs_nothing(archive, fields, s3):
    link = f"{fields['chunked']['signal']['data']}?start_index=100&end_index=200"
    first = archive.get(link)
    s3.clear()
    assert archive.get(link).data == first.data
    assert archive.get(link, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert s3.requests == []


def test_a_file_replaced_in_the_store_is_409_and_never_mixed(archive, fields, s3):
    link = fields["chunked"]["signal"]["data"]
    archive.get(f"{link}?start_index=0&end_index=10")
    content = (archive.folder / "made.nwb").read_bytes()
    try:
        s3.put("recordings/made.nwb", bytes(255 - byte for byte in content))
        archive.error(f"{link}?start_index=3990&end_index=4010", 409)
        archive.error(f"{fields['contiguous']['signal']['data']}?end_index=5", 409)
        s3.put("recordings/made.nwb", content[:1000])
        archive.error(f"{link}?start_index=100000&end_index=100010", 409)
        s3.delete("recordings/made.nwb")
        document = archive.error(f"{link}?start_index=50000&end_index=50010", 404)
        assert "made.nwb" in document["message"]
    finally:
        s3.put("recordings/made.nwb", content)
    assert archive.values(f"{link}?start_index=3990&end_index=4010") == SAMPLES[3990:4010].tolist()

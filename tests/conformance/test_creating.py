"""G-Node Data API: an array is uploaded, validated, and then linked by the object that it belongs to."""

from __future__ import annotations

import io
from datetime import timedelta

import h5py
import numpy as np
import pytest

from storage.jobs.steps import steps
from storage.jobs.worker import Worker
from tests.archive import Archive
from tests.people import logged_in

SAMPLES = (np.arange(4000) % 250).astype(np.float32)
TIMES = np.sort(np.random.default_rng(7).uniform(0, 200, 300))


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def anne(archive):
    return logged_in(archive, "anne")


@pytest.fixture
def work(archive):
    """Do all jobs that wait, as a worker does them."""

    def work():
        found = archive.services
        lease = timedelta(seconds=60)
        with Worker(found.engine, steps(found.store, found.engine), lease=lease, bulk_places=1) as worker:
            return worker.drain()

    return work


def hdf5(values, name="array", units=None, **creation):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        dataset = file.create_dataset(name, data=values, **creation)
        if units is not None:
            dataset.attrs["units"] = units
    return content.getvalue()


def upload(client, content, name="signal.h5"):
    """Upload a file; return the permalink of its datafile."""
    answer = client.post("/datafiles/", data={"raw_file": (io.BytesIO(content), name)})
    assert answer.status_code == 201, answer.text
    (entry,) = answer.json["selected"]
    assert entry["fields"]["state"] == "uploaded" and entry["fields"]["progress"] == 0
    return entry["permalink"]


def info(client, permalink):
    (entry,) = client.get(f"{permalink}/info/").json["selected"]
    return entry["fields"]


def create(client, type_name, fields):
    answer = client.post(f"/electrophysiology/{type_name}/", json=fields)
    assert answer.status_code == 201, answer.text
    (entry,) = answer.json["selected"]
    return entry["permalink"]


def test_upload_check_create_and_read_a_slice(anne, work):
    permalink = upload(anne, hdf5(SAMPLES, chunks=(1000,), compression="gzip", shuffle=True))
    early = anne.get(f"{permalink}?format=json")
    assert (early.status_code, early.json["message_type"]) == (409, "not_ready")
    assert f"{permalink}/info/" in early.json["message"]
    assert work() == 1
    told = info(anne, permalink)
    assert (told["state"], told["reason"], told["progress"], told["type"]) == ("ready", None, 1, 5)
    assert (told["shape"], told["dtype"], told["name"]) == ([4000], "float32", "signal.h5")
    fields = {
        "name": "LFP FIX Signal-10",
        "signal": {"data": permalink, "units": "mv"},
        "t_start": {"data": 0, "units": "ms"},
        "sampling_rate": {"data": 20000, "units": "hz"},
    }
    signal = create(anne, "analogsignal", fields)
    sliced = anne.get(f"{signal}/?start_time=50&duration=100&downsample=20").json["selected"][0]["fields"]
    assert sliced["signal"]["data"] == f"{permalink}?start_index=1000&end_index=3001&downsample=20"
    assert sliced["signal"]["units"] == "mv" and sliced["t_start"] == {"units": "ms", "data": 50}
    answered = anne.get(f"{signal}/?start_time=50&duration=100").json["selected"][0]["fields"]["signal"]["data"]
    with h5py.File(io.BytesIO(anne.get(answered).data)) as file:
        (dataset,) = file.values()
        assert dataset.name == f"/{told['guid']}"
        np.testing.assert_array_equal(dataset[()], SAMPLES[1000:3001])


def test_sorted_times_can_be_linked_and_others_not(anne, work):
    good, bad = upload(anne, hdf5(TIMES), "times.h5"), upload(anne, hdf5(TIMES[::-1]), "falling.h5")
    work()
    train = {
        "name": "a unit",
        "t_start": {"data": 0, "units": "s"},
        "t_stop": {"data": 200, "units": "s"},
        "times": {"data": good, "units": "s"},
    }
    permalink = create(anne, "spiketrain", train)
    link = anne.get(f"{permalink}/?start_time=50&end_time=100").json["selected"][0]["fields"]["times"]["data"]
    assert anne.get(f"{link}&format=json").json == TIMES[(TIMES >= 50) & (TIMES <= 100)].tolist()
    refused = anne.post("/electrophysiology/spiketrain/", json={**train, "times": {"data": bad, "units": "s"}})
    assert refused.status_code == 400 and "times" in refused.json["details"]
    assert "sorted" in refused.json["message"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no HDF5 at all", "not an HDF5 file"),
        (hdf5(np.zeros(3, np.complex64)), "complex"),
        (hdf5(TIMES)[:2000], ""),
    ],
)
def test_what_is_no_array_is_refused_with_a_reason_and_can_be_downloaded(anne, work, content, reason):
    permalink = upload(anne, content)
    work()
    told = info(anne, permalink)
    assert told["state"] == "refused" and told["reason"] and reason in told["reason"]
    assert (told["shape"], told["dtype"], told["nbytes"]) == (None, None, len(content))
    answer = anne.get(f"{permalink}?format=json")
    assert answer.status_code == 409 and told["reason"] in answer.json["message"]
    assert anne.get(f"{permalink}/download/").data == content
    linked = {"name": "x", "signal": permalink, "t_start": "0 s", "sampling_rate": "1 Hz"}
    refused = anne.post("/electrophysiology/analogsignal/", json=linked)
    assert refused.status_code == 400 and "signal" in refused.json["details"]


def test_two_arrays_in_one_file_are_refused(anne, work):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["a"], file["b"] = [1.0], [2.0]
    permalink = upload(anne, content.getvalue())
    work()
    assert "2 entries" in info(anne, permalink)["reason"]


def test_an_uploaded_array_is_private_until_its_owner_lets_others_read(archive, anne, work):
    permalink = upload(anne, hdf5(SAMPLES))
    work()
    bob = logged_in(archive, "bob")
    assert archive.client.get(permalink).status_code == 401
    assert bob.get(permalink).status_code == 403 and bob.get(f"{permalink}/info/").status_code == 403
    public = {
        "name": "x",
        "safety_level": 1,
        "signal": {"data": permalink, "units": "mV"},
        "t_start": {"data": 0, "units": "s"},
        "sampling_rate": {"data": 1, "units": "kHz"},
    }
    assert bob.post("/electrophysiology/analogsignal/", json=public).status_code == 400
    create(anne, "analogsignal", public)
    assert bob.get(permalink).status_code == 200 and archive.client.get(permalink).status_code == 200


def test_the_hash_of_a_file_in_parts_is_told_and_an_announced_one_must_be_right(anne, work):
    content = hdf5(SAMPLES)
    told = []
    for sha256 in (None, "0" * 64):
        asked = {"name": "parts.h5", "nbytes": len(content)} | ({} if sha256 is None else {"sha256": sha256})
        (begun,) = anne.post("/datafiles/uploads/", json=asked).json["selected"]
        fields = begun["fields"]
        (part,) = fields["parts"]
        assert anne.put(part["link"], data=content).status_code in (200, 201, 204)
        answer = anne.post(fields["complete"], json={"parts": [{"number": 1, "nbytes": len(content)}]})
        assert answer.status_code == 201, answer.text
        work()
        told.append(info(anne, answer.json["selected"][0]["permalink"]))
    assert told[0]["state"] == "ready" and len(told[0]["sha256"]) == 64
    assert told[1]["state"] == "refused" and "was announced" in told[1]["reason"]

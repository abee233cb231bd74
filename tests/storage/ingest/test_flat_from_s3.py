"""Flat recordings in S3: few requests, only ranges of what is asked, and nothing written."""

from __future__ import annotations

import numpy as np
import pytest

from storage.ingest import file_sets
from storage.ingest.places import files_at
from tests.archive import Archive
from tests.storage.ingest.flat_files import write_imec, write_open_ephys


@pytest.fixture
def archive(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(file_sets, "STILL_S", 0.0)  # what a test stores was stored just now
    return Archive(tmp_path / "service")


def upload(s3, folder):
    """Put all files below a folder into S3; return where."""
    prefix = f"recordings/{folder.parent.name}"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            s3.put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())
    s3.clear()
    return f"s3://{prefix}"


def links(archive):
    found = archive.get("/electrophysiology/analogsignalarray/").json["selected"]
    return {one["fields"]["name"]: one["fields"]["signal"]["data"] for one in found}


def test_a_pair_of_spikeglx(archive, s3, tmp_path):
    _, samples = write_imec(tmp_path / "r", n_samples=200_000)
    prefix = upload(s3, tmp_path / "r")
    (url,) = files_at(archive.services.store, prefix)
    assert url == f"{prefix}/run_g0_t0.imec0.ap.meta"
    s3.clear()
    assert archive.register(url).state == "registered"
    assert {request.method for request in s3.requests} <= {"GET", "HEAD"}
    assert sum(request.nbytes for request in s3.requests if request.method == "GET") < 10_000
    assert all(".meta" in request.path for request in s3.requests if request.method == "GET")
    s3.clear()
    link = links(archive)["imec0.ap SY"]
    assert archive.values(f"{link}?start_index=150000&end_index=150010") == samples[150_000:150_010, 6:].tolist()
    (request,) = s3.requests
    assert (request.method, request.nbytes) == ("GET", 10 * 7 * 2) and request.if_match
    s3.clear()
    assert archive.register(url).state == "unchanged"
    assert {request.method for request in s3.requests} == {"HEAD"}


def test_a_folder_of_open_ephys(archive, s3, tmp_path):
    numbers = np.arange(100_000)
    numbers[70_001:] += 500
    oebin, samples = write_open_ephys(tmp_path / "r", n_samples=100_000, numbers=numbers)
    prefix = upload(s3, tmp_path / "r")
    (url,) = files_at(archive.services.store, prefix)
    s3.clear()
    outcome = archive.register(url)
    assert (outcome.state, outcome.refusals) == ("registered", [])
    assert {request.method for request in s3.requests} <= {"GET", "HEAD"}
    fetched = [request for request in s3.requests if request.method == "GET" and not request.query]
    assert sum(request.nbytes for request in fetched) < 0.05 * (samples.nbytes + numbers.nbytes)
    assert not any(request.path.endswith("continuous.dat") for request in fetched)
    found = archive.get("/electrophysiology/analogsignalarray/").json["selected"]
    assert [one["fields"]["signal"]["shape"][0] for one in found] == [70_001, 29_999] * 3
    link = found[1]["fields"]["signal"]["data"]
    assert archive.values(f"{link}?start_index=5&end_index=9&scaled=0") == samples[70_006:70_010, :3].tolist()
    assert oebin.exists()


def test_what_was_stored_just_now_waits(archive, s3, tmp_path, monkeypatch):
    monkeypatch.setattr(file_sets, "STILL_S", 60.0)
    write_imec(tmp_path / "r")
    prefix = upload(s3, tmp_path / "r")
    (url,) = files_at(archive.services.store, prefix)
    assert archive.register(url).state == "waiting"

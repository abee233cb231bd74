"""``POST /datafiles/<id>/import/``: objects of uploaded files, for their owner."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from sqlalchemy import select

from storage.catalog import queue
from storage.catalog.files import StoredFile
from storage.catalog.jobs import Job, add_registers
from storage.catalog.queue import Lease
from storage.catalog.uploads import Leftover
from storage.jobs.steps import steps
from storage.jobs.worker import Worker
from storage.uploads.tidy import find_stray
from tests.archive import Archive
from tests.people import logged_in
from tests.storage.ingest.vendor.files import brainvision, edf


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def anne(archive):
    return logged_in(archive, "anne")


def upload(client, content, name):
    answer = client.post("/datafiles/", data={"raw_file": (io.BytesIO(content), name)})
    assert answer.status_code == 201, answer.text
    return answer.json["selected"][0]["permalink"]


def work(archive, quota_nbytes=10**12):
    found = archive.services
    done = steps(found.store, found.engine, quota_nbytes=quota_nbytes)
    with Worker(found.engine, done, lease=timedelta(seconds=60), bulk_places=1) as worker:
        return worker.drain()


def info(client, permalink):
    return client.get(f"{permalink}/info/").json["selected"][0]["fields"]


def imported(archive, client, permalink, **more):
    answer = client.post(f"{permalink}/import/", **more)
    assert answer.status_code == 202, answer.text
    assert answer.json["message_type"] == "import_asked"
    fields = answer.json["selected"][0]["fields"]
    assert fields["import"]["state"] == "queued" and fields["progress"] == 0 and fields["block"] is None
    assert work(archive) == 1
    return info(client, permalink)


def nwb():
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.6.0")
        group = file.create_group("acquisition/lfp")
        group.attrs["neurodata_type"] = "TimeSeries"
        group.create_dataset("data", data=np.arange(100.0)).attrs["unit"] = "V"
        group["starting_time"] = 0.0
        group["starting_time"].attrs["rate"] = 10.0
    return content.getvalue()


def test_an_edf_becomes_objects_of_its_owner(archive, anne):
    permalink = upload(anne, edf([("EEG", "uV", np.arange(1000) % 300 - 100, 100)]), "night.edf")
    assert work(archive) == 1
    told = info(anne, permalink)
    assert told["state"] == "refused" and told["format"] == "EDF" and told["import"] is None and told["block"] is None
    assert told["reason"] == "it is an EDF file; its arrays are served once it is imported"
    told = imported(archive, anne, permalink)
    assert told["import"] == {"state": "imported", "reason": None, "left_out": []} and told["progress"] == 1
    block = archive.fields(told["block"], anne)
    assert block["name"] == "night" and block["safety_level"] == 3 and block["annotations"]["imported_from"] == "EDF"
    segment = archive.fields(block["segment_set"][0], anne)
    signal = archive.fields(segment["analogsignal_set"][0], anne)
    answer = anne.get(f"{signal['signal']['data']}?format=json")
    np.testing.assert_allclose(answer.json, np.arange(1000) % 300 - 100, rtol=1e-6)
    assert archive.get(told["block"]).status_code == 401
    assert logged_in(archive, "bob").get(told["block"]).status_code == 403
    assert anne.get(f"{permalink}/download/").data[:8] == b"0       "  # the file stays


def test_asking_again_does_nothing_while_it_is_under_way_and_when_it_is_done(archive, anne):
    permalink = upload(anne, edf([("EEG", "uV", np.arange(100), 100)]), "a.edf")
    work(archive)
    first = anne.post(f"{permalink}/import/")
    again = anne.post(f"{permalink}/import")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json["message_type"] == "import_under_way" and again.headers["Location"] == f"{permalink}/info/"
    assert work(archive) == 1
    done = anne.post(f"{permalink}/import/")
    assert done.status_code == 200 and done.json["message_type"] == "import_imported"
    assert done.json["selected"][0]["fields"]["block"] is not None
    assert work(archive) == 0
    assert anne.get("/electrophysiology/block/").json["objects_total"] == 1


def test_a_block_that_was_deleted_can_be_imported_again(archive, anne):
    permalink = upload(anne, edf([("EEG", "uV", np.arange(100), 100)]), "a.edf")
    work(archive)
    block = imported(archive, anne, permalink)["block"]
    assert anne.delete(f"{block}/").status_code == 200
    assert info(anne, permalink)["block"] is None
    assert anne.post(f"{permalink}/import/").status_code == 202 and work(archive) == 1
    assert info(anne, permalink)["block"] == block
    assert anne.get("/electrophysiology/analogsignal/").json["objects_total"] == 1
    assert find_stray(archive.services.store, archive.services.engine)[0] == []


def test_an_uploaded_nwb_stays_as_it_is_and_becomes_objects(archive, anne):
    content = nwb()
    permalink = upload(anne, content, "session.nwb")
    work(archive)
    assert info(anne, permalink)["format"] == "NWB"
    told = imported(archive, anne, permalink)
    block = archive.fields(told["block"], anne)
    assert block["name"] == "session" and block["safety_level"] == 3
    (signal,) = anne.get("/electrophysiology/analogsignal/").json["selected"]
    assert anne.get(f"{signal['fields']['signal']['data']}?format=json&end_index=3").json == [0, 1, 2]
    with archive.services.session() as session:
        assert len(session.scalars(select(StoredFile)).all()) == 1
    assert info(anne, permalink)["state"] == "refused" and anne.get(f"{permalink}/download/").data == content
    assert anne.get("/datafiles/").json["objects_total"] == 2  # the file itself, and the array in it
    assert anne.delete(f"{permalink}/").status_code == 200  # its bytes stay, because the objects need them
    assert anne.get(f"{signal['fields']['signal']['data']}?format=json&end_index=3").json == [0, 1, 2]


def test_several_files_of_one_recording_are_named_together(archive, anne):
    files = brainvision(np.arange(600).reshape(200, 3))
    links = {name: upload(anne, content, name) for name, content in files.items()}
    assert work(archive) == 3
    told = {name: info(anne, link) for name, link in links.items()}
    assert told["rec.vhdr"]["format"] == "BrainVision" and told["rec.eeg"]["format"] is None
    assert "import its .vhdr file with it" in told["rec.vmrk"]["reason"]
    refused = imported(archive, anne, links["rec.vhdr"])
    assert refused["import"]["state"] == "refused" and refused["block"] is None
    assert refused["import"]["reason"] == "its file 'rec.eeg' is not with it: import them together"
    others = [links["rec.eeg"], int(links["rec.vmrk"].rpartition("/")[2])]
    done = imported(archive, anne, links["rec.vhdr"], json={"with": others})
    assert archive.fields(done["block"], anne)["name"] == "rec"
    (signal,) = anne.get("/electrophysiology/analogsignalarray/").json["selected"]
    values = anne.get(f"{signal['fields']['signal']['data']}?format=json").json
    np.testing.assert_array_equal(values, np.arange(600).reshape(200, 3) * 0.5)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([999], "/datafiles/999 is no datafile of yours"),
        (["theirs"], "is no datafile of yours"),
        (["itself"], "stands twice"),
        ("text", "Not a valid list"),
        ([1.5], "neither the id nor the permalink"),
        (["/datafiles/1?start_index=3"], "names a part of an array"),
        ([10**30], "is no datafile"),
    ],
)
def test_files_that_cannot_be_with_it_are_named(archive, anne, others, reason):
    header = upload(anne, brainvision(np.zeros((9, 1)))["rec.vhdr"], "rec.vhdr")
    theirs = upload(logged_in(archive, "bob"), b"abc", "rec.eeg")
    work(archive)
    given = {"theirs": theirs, "itself": header}
    told = [given.get(one, one) for one in others] if isinstance(others, list) else others
    answer = anne.post(f"{header}/import/", json={"with": told})
    assert answer.status_code == 400 and "with" in answer.json["details"] and reason in answer.json["message"]
    assert work(archive) == 0


def test_who_may_and_what_cannot_be_imported(archive, anne):
    one_array = io.BytesIO()
    with h5py.File(one_array, "w") as file:
        file["array"] = np.arange(9.0)
    array = upload(anne, one_array.getvalue(), "a.h5")
    assert anne.post(f"{array}/import/").json["message_type"] == "not_ready"
    rubbish = upload(anne, b"\x80\x04\x95 pickle or whatever", "neo.pkl")
    night = upload(anne, edf([("EEG", "uV", np.arange(100), 100)]), "a.edf")
    work(archive)
    for link, reason in ((array, "is one array"), (rubbish, "cannot be imported: it is not an HDF5 file")):
        answer = anne.post(f"{link}/import/")
        assert answer.status_code == 409 and answer.json["message_type"] == "not_importable"
        assert reason in answer.json["message"]
    assert archive.client.post(f"{night}/import/").status_code == 401
    assert logged_in(archive, "bob").post(f"{night}/import/").status_code == 403
    assert anne.post("/datafiles/999/import/").status_code == 404
    assert anne.post(f"{night}/import/", data="x", content_type="text/plain").status_code == 415
    assert anne.get(f"{night}/import/").status_code == 405


def test_a_damaged_file_is_refused_and_leaves_nothing(archive, anne):
    content = edf([("EEG", "uV", np.arange(1000), 100)])
    permalink = upload(anne, content[:-100], "cut.edf")
    work(archive)
    told = imported(archive, anne, permalink)
    assert told["import"]["state"] == "refused" and "cut off" in told["import"]["reason"]
    assert told["block"] is None and told["state"] == "refused"
    assert len(archive.services.store.find_all("datafiles")) == 1


def test_what_is_written_counts_against_the_quota(archive):
    content = edf([("EEG", "uV", np.random.default_rng(1).integers(-9000, 9000, 5000), 100)])
    anne = logged_in(archive, "anne", quota_nbytes=len(content) + 5000)
    permalink = upload(anne, content, "a.edf")
    work(archive)
    told = imported(archive, anne, permalink)
    assert told["import"]["state"] == "refused" and "over your quota" in told["import"]["reason"]
    assert anne.get("/electrophysiology/block/").json["objects_total"] == 0
    assert len(archive.services.store.find_all("datafiles")) == 1
    rich = logged_in(archive, "rich", quota_nbytes=10**6)
    permalink = upload(rich, content, "a.edf")
    work(archive)
    assert imported(archive, rich, permalink)["block"] is not None
    with archive.services.session() as session:
        owned = session.scalars(select(StoredFile).where(StoredFile.uploader_id.is_not(None))).all()
    assert sum(one.imported_from is not None for one in owned) == 1


def test_a_datafile_that_is_deleted_meanwhile_gets_no_objects(archive, anne):
    permalink = upload(anne, edf([("EEG", "uV", np.arange(100), 100)]), "a.edf")
    work(archive)
    assert anne.post(f"{permalink}/import/").status_code == 202
    found = archive.services
    done = steps(found.store, found.engine)

    def then_delete(held):
        outcome = done["import"](held)
        assert anne.delete(f"{permalink}/").status_code == 200
        return outcome

    with Worker(found.engine, {"import": then_delete}, lease=timedelta(seconds=60), bulk_places=1) as worker:
        assert worker.drain() == 1
    with archive.services.session() as session:
        job = session.scalars(select(Job).order_by(Job.id.desc())).first()
        leftovers = set(session.scalars(select(Leftover.key)))
    assert "deleted" in job.message and anne.get("/electrophysiology/block/").json["objects_total"] == 0
    stored = found.store.find_all("datafiles") | found.store.find_all("sidecars")
    assert stored == leftovers and find_stray(found.store, found.engine)[0] == []


def test_a_cancelled_import_can_be_asked_for_again(archive, anne):
    permalink = upload(anne, edf([("EEG", "uV", np.arange(100), 100)]), "a.edf")
    work(archive)
    anne.post(f"{permalink}/import/")
    with archive.services.session() as session:
        job_id = session.scalars(select(Job.id).order_by(Job.id.desc())).first()
    assert archive.app.test_cli_runner().invoke(args=["jobs", "cancel", str(job_id)]).exit_code == 0
    assert info(anne, permalink)["import"]["state"] == "cancelled"
    assert info(anne, permalink)["state"] == "refused" and info(anne, permalink)["format"] == "EDF"
    assert anne.post(f"{permalink}/import/").status_code == 202 and work(archive) == 1
    assert info(anne, permalink)["block"] is not None


def test_an_import_comes_before_many_files_and_leaves_a_place_for_checks(archive, anne):
    permalink = upload(anne, edf([("EEG", "uV", np.arange(100), 100)]), "a.edf")
    work(archive)
    with archive.services.transaction() as session:
        add_registers(session, ["file:///a.nwb"], {}, "batch")
    anne.post(f"{permalink}/import/")
    engine, lease = archive.services.engine, Lease("me", timedelta(seconds=60))
    assert queue.claim(engine, lease, bulk=False) is None
    upload(anne, b"abc", "b.h5")
    assert queue.claim(engine, lease, bulk=False).kind == "check"
    assert [queue.claim(engine, lease).kind for _ in range(2)] == ["import", "register"]


def test_without_neo_it_is_said_what_to_install(archive, anne, monkeypatch, tmp_path):
    monkeypatch.setattr("storage.ingest.vendor.readers.NEEDED", ("neo_that_nobody_has",))
    permalink = upload(anne, edf([("EEG", "uV", np.arange(100), 100)]), "a.edf")
    work(archive)
    told = imported(archive, anne, permalink)
    assert told["import"]["state"] == "refused" and "-r requirements-worker.txt" in told["import"]["reason"]
    (tmp_path / "a.edf").write_bytes(edf([("EEG", "uV", np.arange(100), 100)]))
    result = archive.app.test_cli_runner().invoke(args=["import", str(tmp_path / "a.edf")])
    assert result.exit_code == 1 and "-r requirements-worker.txt" in result.output


def test_web_processes_load_no_reader():
    import subprocess
    import sys

    code = "import wsgi, sys; print({'neo', 'quantities', 'igor2'} & {*sys.modules})"
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"

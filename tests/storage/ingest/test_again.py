"""Registering again: what is new, changed, moved, missing or back; and unregistering."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.job_commands import one_worker
from storage.catalog.files import StoredFile
from storage.catalog.jobs import Job
from storage.catalog.uploads import Leftover
from storage.ingest.inspect import identity_of
from storage.ingest.places import recordings_at, url_of
from storage.ingest.unregister import registered_at, unregister
from storage.ingest.vanished import mark_missing
from storage.jobs.again import register_again
from tests.archive import Archive
from tests.storage.ingest.test_register import write_nwb

SIGNAL = "/electrophysiology/irsaanalogsignal/1"


@pytest.fixture
def archive(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)
    (tmp_path / "lab").mkdir()
    return archive


def write(path, identifier="one of a kind", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nwb(path, **more)
    with h5py.File(path, "r+") as file:
        file["identifier"] = identifier
    return path


def mark(archive, place):
    """Look through a place as ``flask register`` does."""
    services = archive.services
    there = recordings_at(services.store, str(place))
    listed = {*there.others, *(one.name for one in there.files)}
    return mark_missing(services.store, services.engine, there.url, listed)


def work(archive):
    with one_worker(archive.services) as worker:
        return worker.drain()


class TestMoved:
    def test_permalinks_shares_and_edits_survive(self, archive, tmp_path):
        archive.add_user("anne")
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path, owner="anne", safety_level=1)
        anne = archive.logged_in("anne")
        anne.post(f"{SIGNAL}/", json={"name": "mine", "safety_level": 2})
        before = anne.get(SIGNAL).json["selected"][0]["fields"]
        path.rename(tmp_path / "lab" / "b.nwb")
        outcome = archive.register(tmp_path / "lab" / "b.nwb")
        assert outcome.state == "moved" and outcome.counts["irsaanalogsignal"] == 2
        assert anne.get(SIGNAL).json["selected"][0]["fields"] == before
        assert anne.get(before["signal"]["data"] + "?format=json").json == list(range(10))
        assert archive.get("/electrophysiology/block/").json["objects_total"] == 1
        assert archive.fields("/electrophysiology/block/1")["name"] == "b"

    def test_a_file_of_somebody_else_is_not_taken_from_them(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path, owner="anne")
        path.rename(tmp_path / "lab" / "b.nwb")
        assert archive.register(tmp_path / "lab" / "b.nwb", owner="bob").state == "registered"
        (tmp_path / "lab" / "b.nwb").rename(tmp_path / "lab" / "c.nwb")
        assert archive.register(tmp_path / "lab" / "c.nwb", owner="bob").state == "moved"

    def test_a_copy_is_another_file(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path)
        shutil.copy(path, tmp_path / "lab" / "b.nwb")
        assert archive.register(tmp_path / "lab" / "b.nwb").state == "registered"
        assert archive.get("/electrophysiology/block/").json["objects_total"] == 2

    def test_of_two_that_are_gone_the_one_of_the_same_length_was_moved(self, archive, tmp_path):
        one, other = write(tmp_path / "lab/a.nwb"), write(tmp_path / "lab/b.nwb", series=("a", "b", "c"))
        archive.register(one)
        archive.register(other)
        other.rename(tmp_path / "lab/c.nwb")
        one.unlink()
        assert archive.register(tmp_path / "lab/c.nwb").state == "moved"
        with Session(archive.services.engine) as session:
            names = {file.id: file.name.rpartition("/")[2] for file in session.scalars(select(StoredFile))}
        assert names == {1: "a.nwb", 2: "c.nwb"}

    def test_where_it_cannot_be_told_which_was_moved_the_file_is_new(self, archive, tmp_path):
        for name in "ab":
            archive.register(write(tmp_path / f"lab/{name}.nwb"))
        for name in "ab":
            (tmp_path / f"lab/{name}.nwb").unlink()
        assert archive.register(write(tmp_path / "lab/c.nwb")).state == "registered"

    def test_files_that_call_themselves_nothing_or_too_much_are_new(self, archive, tmp_path):
        for identifier in (" ", "x" * 300):
            path = write(tmp_path / "lab/a.nwb", identifier)
            archive.register(path)
            path.rename(tmp_path / "lab/b.nwb")
            assert archive.register(tmp_path / "lab/b.nwb").state in ("registered", "updated")

    def test_nix_has_an_id_for_it_and_plain_hdf5_has_none(self):
        with h5py.File.in_memory() as file:
            file.attrs["id"] = "2f3b7f0a-6a56-4a31-9f2c-0b4d3d3f4a10"
            assert identity_of(file) is None
            file.attrs["format"] = "nix"
            assert identity_of(file) == "nix 2f3b7f0a-6a56-4a31-9f2c-0b4d3d3f4a10"


class TestMissing:
    def test_what_is_gone_says_so_and_comes_back_with_the_file(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        write(tmp_path / "lab" / "kept.nwb", "another")
        for file in sorted((tmp_path / "lab").iterdir()):
            archive.register(file)
        before = archive.fields(SIGNAL)
        path.rename(tmp_path / "aside.nwb")
        assert mark(archive, tmp_path / "lab") == [url_of(str(path))]
        error = archive.error(before["signal"]["data"], 404)
        assert error["message_type"] == "missing" and "a.nwb is not where it was registered, since" in error["message"]
        info = archive.fields(f"{before['signal']['data']}/info/")
        assert info["state"] == "missing" and info["shape"] == [10] and "a.nwb" in info["reason"]
        assert archive.fields(SIGNAL)["signal"] == before["signal"]
        assert archive.error(f"{SIGNAL}?start_time=0&end_time=1", 404)["message_type"] == "missing"
        assert mark(archive, tmp_path / "lab") == [url_of(str(path))]
        (tmp_path / "aside.nwb").rename(path)
        assert archive.register(path).state == "updated" and mark(archive, tmp_path / "lab") == []
        assert archive.fields(SIGNAL)["signal"]["data"] == before["signal"]["data"]
        assert archive.values(before["signal"]["data"]) == list(range(10))

    def test_who_asks_for_one_that_is_back_has_it_registered_again(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path)
        link = archive.fields(SIGNAL)["signal"]["data"]
        path.rename(tmp_path / "aside.nwb")
        mark(archive, tmp_path / "lab")
        assert "again" not in archive.error(link, 404)["message"] and work(archive) == 0
        (tmp_path / "aside.nwb").rename(path)
        for _ in range(3):
            assert "it is being registered again" in archive.error(link, 404)["message"]
        assert work(archive) == 1
        assert archive.values(link) == list(range(10))

    def test_hidden_files_and_files_beside_are_not_missed(self, archive, tmp_path):
        for name in ("lab/.hidden.nwb", "lab2/a.nwb", "LAB/b.nwb"):
            archive.register(write(tmp_path / name, name))
        write(tmp_path / "lab/there.nwb", "there")
        assert mark(archive, tmp_path / "lab") == []

    def test_a_store_that_does_not_answer_loses_nothing(self, archive, tmp_path, s3, monkeypatch):
        s3.put("recordings/gone/a.nwb", write(tmp_path / "lab" / "a.nwb").read_bytes())
        archive.register("s3://recordings/gone/a.nwb")
        services = archive.services
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        other = Archive(tmp_path / "other").services
        with pytest.raises(Exception, match="does not answer"):
            mark_missing(other.store, services.engine, "s3://recordings/gone", set())
        assert archive.values(archive.fields(SIGNAL)["signal"]["data"]) == list(range(10))


class TestChanged:
    def test_who_reads_a_changed_file_has_it_registered_again_once(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path)
        link = archive.fields(SIGNAL)["signal"]["data"]
        with h5py.File(path, "r+") as file:
            file["processing/deep/er/a/data"][...] = np.arange(10) * 2
        for _ in range(3):
            error = archive.error(link, 409)
            assert error["message_type"] == "file_changed" and "it is being registered again" in error["message"]
        assert work(archive) == 1
        assert archive.values(link) == list(range(0, 20, 2))

    def test_one_that_cannot_be_registered_any_more_is_not_tried_all_the_time(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path)
        link = archive.fields(SIGNAL)["signal"]["data"]
        path.write_bytes(b"no HDF5 any more")
        archive.error(link, 409)
        assert work(archive) == 1
        assert "again" not in archive.error(link, 409)["message"] and work(archive) == 0

    def test_what_is_no_registered_file_is_not_registered(self, archive):
        for name in ("datafiles/aa/b.h5", "file:///never/registered.nwb"):
            assert not register_again(archive.services.engine, name)
        assert work(archive) == 0


class TestUnregister:
    def test_all_of_a_file_is_archived_its_sidecars_go_and_it_stays_as_it_is(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path)
        content, url = path.read_bytes(), url_of(str(path))
        link = archive.fields(SIGNAL)["signal"]["data"]
        services = archive.services
        assert registered_at(services.engine, url_of(str(tmp_path / "lab"))) == [url]
        assert unregister(services.engine, url) == {
            "block": 1, "segment": 1, "unit": 3, "irsaanalogsignal": 2, "spiketrain": 3,
        }  # fmt: skip
        archive.error(link, 404)
        for type_name in ("block", "spiketrain", "unit"):
            assert archive.get(f"/electrophysiology/{type_name}/").json["objects_total"] == 0
        assert archive.get("/datafiles/").json["objects_total"] == 0
        with Session(services.engine) as session:
            assert set(session.scalars(select(Leftover.key))) == services.store.find_all("sidecars")
        assert path.read_bytes() == content and registered_at(services.engine, url) == []
        assert unregister(services.engine, url) == {} and mark(archive, tmp_path / "lab") == []

    def test_registering_brings_it_back_under_the_same_permalinks(self, archive, tmp_path):
        archive.add_user("anne")
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path, owner="anne")
        anne = archive.logged_in("anne")
        anne.post(f"{SIGNAL}/", json={"name": "mine"})
        link = archive.fields(SIGNAL)["signal"]["data"]
        unregister(archive.services.engine, url_of(str(path)))
        assert archive.register(path).state == "updated"
        assert archive.values(link) == list(range(10)) and archive.fields(SIGNAL)["name"] == "mine"

    def test_what_waits_to_be_registered_is_given_up(self, archive, tmp_path):
        path = write(tmp_path / "lab" / "a.nwb")
        archive.register(path)
        with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
            session.add(Job(kind="register", subject=url_of(str(path)), options={}))
        unregister(archive.services.engine, url_of(str(path)))
        assert work(archive) == 0

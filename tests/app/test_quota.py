"""How much a user may store, and how room is made again."""

from __future__ import annotations

import io
import threading
from contextlib import suppress
from dataclasses import replace

import h5py
import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.catalog.base import User, moment
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.jobs import CANCELLED, Job
from storage.catalog.models import AnalogSignal
from storage.catalog.uploads import Leftover, Upload
from storage.errors import QuotaExceeded
from storage.uploads import under_way
from storage.uploads.abandoned import SECOND_LOOK, remove_abandoned
from tests.archive import Archive
from tests.people import logged_in

CONTENT = bytes(range(256)) * 5000
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
HEAD = b'--XX\r\nContent-Disposition: form-data; name="raw_file"; filename="a"\r\n\r\n'
TAIL = b"\r\n--XX--\r\n"


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def bob(archive):
    return logged_in(archive, "bob")


def send(client, content=CONTENT, name="a.h5", field="raw_file", **more):
    return client.post("/datafiles/", data={field: (io.BytesIO(content), name)}, **more)


def limit(archive, **limits):
    settings = archive.services.settings
    archive.services.settings = replace(settings, limits=replace(settings.limits, **limits))


def stored(archive):
    """Every file in the store, hidden ones too."""
    return [path for path in (archive.folder / "data" / "store").rglob("*") if path.is_file()]


def rows(archive, model):
    with Session(archive.services.engine) as session:
        return session.scalar(select(func.count()).select_from(model))


def require_nothing(archive):
    assert stored(archive) == []
    assert [rows(archive, model) for model in (Upload, StoredFile, Datafile, Job)] == [0, 0, 0, 0]


def refused(answer, status, word):
    assert answer.status_code == status, answer.text
    assert answer.json["selected"] == [] and answer.json["message_type"] == word
    return answer.json


class TestQuota:
    def test_exactly_the_quota_fits(self, archive):
        carol = logged_in(archive, "carol", quota_nbytes=len(CONTENT))
        assert send(carol).status_code == 201
        told = refused(send(carol, b"x"), 413, "quota_exceeded")
        assert told["details"]["nbytes"] == {"used": len(CONTENT), "asked": 1, "limit": len(CONTENT)}

    def test_deleting_makes_room(self, archive):
        carol = logged_in(archive, "carol", quota_nbytes=len(CONTENT))
        place = send(carol).headers["Location"]
        assert carol.delete(place).status_code == 200
        with archive.services.session() as session:
            (job,) = session.query(Job)
            assert (job.state, job.message) == ("cancelled", "the datafile was deleted")
        assert send(carol).status_code == 201

    def test_others_do_not_count(self, archive, bob):
        limit(archive, quota_nbytes=len(CONTENT))
        assert send(bob).status_code == 201
        assert send(logged_in(archive, "carol")).status_code == 201

    def test_twenty_at_once_do_not_exceed_it(self, archive):
        carol = logged_in(archive, "carol", quota_nbytes=5 * len(CONTENT))
        cookie = carol.get_cookie("sessionid").value
        statuses = []

        def one():
            client = archive.app.test_client()
            client.set_cookie("sessionid", cookie)
            statuses.append(send(client).status_code)

        threads = [threading.Thread(target=one) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses.count(201) == 5, statuses
        assert set(statuses) <= {201, 413, 503}
        assert len(stored(archive)) == 5 and rows(archive, Upload) == 0

    def test_reserving_at_once_does_not_exceed_it(self, archive):
        logged_in(archive, "carol", quota_nbytes=1000)
        engine, limits = archive.services.engine, archive.services.settings.limits
        made = []

        def one():
            with suppress(QuotaExceeded):
                made.append(under_way.reserve(engine, limits, owner_id=1, name="a", nbytes=100, lasts=SECOND_LOOK))

        threads = [threading.Thread(target=one) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 10


class TestDeleting:
    def test_the_bytes_go_an_hour_later(self, archive, bob):
        place = send(bob).headers["Location"]
        assert bob.delete(place).json["message"] == "a.h5 is deleted."
        refused(bob.get(f"{place}/info/"), 404, "not_found")
        refused(bob.delete(place), 404, "not_found")
        store, engine = archive.services.store, archive.services.engine
        assert remove_abandoned(store, engine) == 0 and len(stored(archive)) == 1
        assert remove_abandoned(store, engine, moment() + SECOND_LOOK) == 1
        assert stored(archive) == [] and rows(archive, Leftover) == 0
        with Session(engine) as session:
            assert session.scalars(select(Job.state)).all() == [CANCELLED]

    def test_only_its_owner_may(self, archive, bob):
        place = send(bob).headers["Location"]
        refused(archive.client.delete(place), 401, "login_needed")
        refused(logged_in(archive, "eve").delete(place), 403, "forbidden")
        assert bob.get(f"{place}/info/").status_code == 200

    def used(self, archive, client, owner_id):
        sent = send(client).json["selected"][0]
        with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
            form = {"sampling_rate": 1.0, "sampling_rate_units": "Hz", "t_start": 0.0, "t_start_units": "s"}
            datafile = session.get(Datafile, sent["fields"]["id"])
            session.add(AnalogSignal(name="s", signal=datafile, owner_id=owner_id(session, datafile), **form))
        return sent

    def test_what_only_objects_of_others_use_can_go(self, archive, bob):
        logged_in(archive, "eve")
        eve = select(User.id).where(User.username == "eve")
        sent = self.used(archive, bob, lambda session, datafile: session.scalar(eve))
        assert bob.delete(sent["permalink"]).status_code == 200

    def test_what_an_object_uses_stays(self, archive, bob):
        sent = self.used(archive, bob, lambda session, datafile: datafile.owner_id)
        told = refused(bob.delete(sent["permalink"]), 409, "still_used")
        assert "/electrophysiology/analogsignal/1" in told["message"]

    def test_a_registered_file_is_never_removed(self, archive, bob):
        path = archive.folder / "registered.h5"
        with h5py.File(path, "w") as file:
            file["array"] = np.arange(5)
        archive.register(path, sampling_rate=(1, "Hz"), t_start=(0, "s"), units="mV")
        with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
            for signal in session.scalars(select(AnalogSignal)).unique():
                signal.current_state = 20
            (datafile,) = session.scalars(select(Datafile))
            datafile.owner_id = session.scalar(select(User.id).where(User.username == "bob"))
        assert bob.delete("/datafiles/1").status_code == 200
        remove_abandoned(archive.services.store, archive.services.engine, moment() + SECOND_LOOK)
        assert path.exists()

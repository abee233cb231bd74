"""The check of an upload, when other things happen meanwhile."""

from __future__ import annotations

import io
from datetime import timedelta

import h5py
import numpy as np
import pytest
from sqlalchemy import select

from storage.catalog.base import ARCHIVED
from storage.catalog.files import UPLOADED, Datafile
from storage.catalog.jobs import CHECK, Job
from storage.catalog.uploads import Leftover
from storage.jobs.steps import steps
from storage.jobs.worker import Worker
from storage.uploads.tidy import find_stray
from tests.archive import Archive
from tests.people import logged_in


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def anne(archive):
    return logged_in(archive, "anne")


def upload(client):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["times"] = np.arange(1000.0)
    answer = client.post("/datafiles/", data={"raw_file": (io.BytesIO(content.getvalue()), "times.h5")})
    return answer.json["selected"][0]["permalink"]


def work(archive, before_the_end=lambda: None):
    """Do what waits, and something else between a check and the transaction that ends it."""
    found = archive.services
    done = steps(found.store, found.engine)

    def check(held):
        outcome = done[CHECK](held)
        before_the_end()
        return outcome

    with Worker(found.engine, {CHECK: check}, lease=timedelta(seconds=60), bulk_places=1) as worker:
        return worker.drain()


def test_a_datafile_that_is_deleted_meanwhile_stays_so_and_its_sidecar_will_go(archive, anne):
    permalink = upload(anne)
    assert work(archive, lambda: anne.delete(f"{permalink}/")) == 1
    with archive.services.session() as session:
        (datafile,) = session.scalars(select(Datafile))
        (job,) = session.scalars(select(Job))
        leftovers = set(session.scalars(select(Leftover.key)))
    assert datafile.current_state == ARCHIVED and datafile.sidecar is None
    assert job.state == "done" and "deleted" in job.message
    stored = archive.services.store.find_all("sidecars") | archive.services.store.find_all("datafiles")
    assert len(stored) == 2 and stored == leftovers
    assert find_stray(archive.services.store, archive.services.engine)[0] == []


def test_a_check_whose_job_was_cancelled_writes_nothing(archive, anne):
    permalink = upload(anne)
    run = archive.app.test_cli_runner().invoke
    assert work(archive, lambda: run(args=["jobs", "cancel", "1"])) == 1
    told = anne.get(f"{permalink}/info/").json["selected"][0]["fields"]
    assert told["state"] == "refused" and "cancelled" in told["reason"]
    assert run(args=["jobs", "retry", "1"]).exit_code == 0
    assert anne.get(f"{permalink}/info/").json["selected"][0]["fields"]["state"] == UPLOADED
    assert work(archive) == 1
    assert anne.get(f"{permalink}/info/").json["selected"][0]["fields"]["state"] == "ready"

"""A recording that is not whole yet is registered by its job once it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.catalog import queue
from storage.catalog.base import PUBLIC, moment
from storage.catalog.jobs import DONE, QUEUED, Job, add_registers
from storage.ingest.places import url_of
from storage.ingest.register import Options
from storage.jobs.steps import steps
from storage.jobs.worker import Worker
from tests.archive import Archive
from tests.storage.ingest.flat_files import settled, write_imec


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "service")


@pytest.fixture
def work(archive):
    """Do the jobs that can be done now; return the one job, and after how long it may be taken again."""
    delays = []

    def work(**changes):
        engine = archive.services.engine
        if changes:
            with engine.begin() as connection:
                connection.execute(update(Job).values(changes))
        doing = steps(archive.services.store, engine)
        with Worker(engine, doing, lease=timedelta(seconds=30), bulk_places=1, later=delays.append) as worker:
            worker.drain()
        with Session(engine) as session:
            return session.scalar(select(Job)), delays

    return work


def test_it_waits_without_being_given_up(archive, tmp_path, work):
    meta, _ = write_imec(tmp_path / "r", fileSizeBytes=15_000)
    with Session(archive.services.engine) as session, session.begin():
        add_registers(session, [url_of(str(meta))], Options(safety_level=PUBLIC).as_json(), "batch")
    job, delays = work()
    assert (job.state, job.attempts) == (QUEUED, 0) and "it is not whole" in job.message
    assert delays == [timedelta(minutes=1)] and job.run_after > moment() + timedelta(seconds=50)
    for _ in range(queue.MAX_ATTEMPTS + 2):
        job, _ = work(run_after=moment() - timedelta(seconds=1), date_created=moment() - timedelta(hours=3))
        assert (job.state, job.attempts) == (QUEUED, 0)
    assert delays[-1] == queue.LONGEST_DELAY
    meta.write_text(meta.read_text().replace("fileSizeBytes=15000", "fileSizeBytes=14000"))
    settled(tmp_path / "r")
    job, _ = work(run_after=moment() - timedelta(seconds=1))
    assert (job.state, job.message) == (DONE, "registered")
    assert archive.get("/electrophysiology/block/").json["objects_total"] == 1

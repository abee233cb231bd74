"""What is unregistered or given up while it is registered stays as it was said to be."""

from __future__ import annotations

from datetime import timedelta

import h5py
import numpy as np
import pytest
from sqlalchemy import select

from storage.catalog import queue
from storage.catalog.jobs import Job, add_registers
from storage.ingest.places import url_of
from storage.ingest.register import Options, register
from storage.ingest.unregister import unregister
from storage.jobs.steps import steps
from storage.jobs.worker import Worker
from storage.progress import Stopped
from storage.uploads.tidy import find_stray
from tests.archive import Archive

BLOCKS = "/electrophysiology/block/"


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


def write(path, first=0.0):
    """Write an NWB file whose chunks are counted while it is looked into."""
    with h5py.File(path, "w") as file:
        file.attrs["neurodata_type"], file.attrs["nwb_version"] = "NWBFile", "2.6.0"
        group = file.create_group("acquisition/a")
        group.attrs["neurodata_type"] = "TimeSeries"
        group.create_dataset("data", data=np.arange(1000.0) + first, chunks=(100,)).attrs["unit"] = "V"
        group["starting_time"] = 0.0
        group["starting_time"].attrs["rate"] = 10.0
    return path


def work(archive, path, meanwhile):
    """Do the job that registers a file, and something else as soon as it was looked into."""
    services, url = archive.services, url_of(str(path))
    with services.transaction() as session:
        add_registers(session, [url], Options(safety_level=1).as_json(), "batch")
    done = []

    def then(_url, _path, n_indexed, _n_chunks):
        if n_indexed and not done:
            done.append(meanwhile(url))

    doing = steps(services.store, services.engine, then)
    with Worker(services.engine, doing, lease=timedelta(seconds=60), bulk_places=1) as worker:
        assert worker.drain() == 1
    with services.session() as session:
        assert session.scalars(select(Job.state)).all() == ["cancelled"]
    return done[0]


def test_who_unregisters_a_file_that_is_registered_just_now_is_obeyed(archive, tmp_path):
    path = write(tmp_path / "a.nwb")
    archive.register(path)
    write(path, first=5.0)
    counts = work(archive, path, lambda url: unregister(archive.services.engine, url))
    assert counts["block"] == 1 and archive.get(BLOCKS).json["objects_total"] == 0
    assert find_stray(archive.services.store, archive.services.engine)[0] == []
    assert archive.register(path).state == "updated" and archive.get(BLOCKS).json["objects_total"] == 1


def test_a_job_that_is_cancelled_while_it_runs_writes_nothing(archive, tmp_path):
    path = write(tmp_path / "a.nwb")

    def cancel(_url):
        with archive.services.transaction() as session:
            queue.cancel(session, queue.get(session, [1]))

    work(archive, path, cancel)
    assert archive.get(BLOCKS).json["objects_total"] == 0


@pytest.mark.parametrize("level", [1, 2])
def test_nothing_of_what_is_not_wanted_is_changed(archive, tmp_path, level):
    path = write(tmp_path / "a.nwb")
    archive.register(path)
    before = archive.get(BLOCKS).data
    if level == 1:
        write(path, first=5.0)

    def refuse(session):
        raise Stopped("it was given up")

    services = archive.services
    with pytest.raises(Stopped):
        register(services.store, services.engine, url_of(str(path)), Options(None, level), require_wanted=refuse)
    assert archive.get(BLOCKS).data == before

"""Two commands that are given the same files at once: each does its part, and none says that it failed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from storage.catalog import queue
from storage.catalog.jobs import Job
from storage.catalog.queue import Lease
from tests.archive import Archive
from tests.storage.ingest.test_register import write_nwb

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


def wait_for_another_batch(archive, before):
    deadline = time.monotonic() + 60
    while True:
        with archive.services.session() as session:
            (batch,) = set(session.scalars(select(Job.batch)))
        if batch != before:
            return batch
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("n_files", [1, 3])
def test_who_loses_all_its_files_to_another_says_so_and_has_not_failed(archive, tmp_path, n_files):
    (tmp_path / "lab").mkdir()
    for number in range(n_files):
        write_nwb(tmp_path / "lab" / f"{number}.nwb")

    def begin(*more):
        told = {
            "EPHYSTORE_DATA": str(archive.settings.data),
            "EPHYSTORE_DATABASE_URL": archive.settings.database_url,
        }
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "register", *more, str(tmp_path / "lab")]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **told}, **streams)

    assert begin("--queue").wait(60) == 0
    engine, leases = archive.services.engine, []
    for _ in range(n_files):  # a worker that does them just now
        job = queue.claim(engine, Lease("other", timedelta(seconds=60)))
        leases.append(Lease(job.worker, timedelta(seconds=60)))
    first = begin()
    batch = wait_for_another_batch(archive, job.batch)
    second = begin()
    wait_for_another_batch(archive, batch)
    lost, _ = first.communicate(timeout=60)
    queue.release(engine, leases)
    done, _ = second.communicate(timeout=60)
    files = "1 file" if n_files == 1 else "3 files"
    assert first.returncode == 0 and f"elsewhere  {files}: another command, which was given them as well" in lost, lost
    assert "later" not in lost and "registered " not in lost
    assert second.returncode == 0 and done.count("registered  ") == (1 if n_files == 1 else 4), done
    assert "elsewhere" not in done

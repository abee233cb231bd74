"""Checks of long times that were left behind: whoever registers the files again sees to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.job_commands import one_worker
from storage.catalog.files import CHECKING_ORDER, Datafile
from storage.catalog.jobs import ORDER, Job
from tests.app.test_buckets import HEARING
from tests.archive import Archive
from tests.storage.jobs.test_order import write

ROOT = Path(__file__).resolve().parents[2]
N_FILES = 12


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def run(archive):
    return lambda *line: archive.app.test_cli_runner().invoke(args=list(map(str, line)))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lab").mkdir()
    for number in range(N_FILES):
        write(tmp_path / "lab" / f"{number}.nwb")
    return tmp_path / "lab"


def checks(archive, *states):
    """Return the ids of jobs that check times, those in some states."""
    with archive.services.session() as session:
        wanted = (Job.kind == ORDER, Job.state.in_(states)) if states else (Job.kind == ORDER,)
        return list(session.scalars(select(Job.id).where(*wanted)))


def n_unchecked(archive):
    with archive.services.session() as session:
        return session.scalar(select(func.count()).where(Datafile.state == CHECKING_ORDER))


def stop(archive, folder, how):
    """Register a folder in a process of its own, and stop that once it has checks to do; return what it said."""
    told = {
        "EPHYSTORE_DATA": str(archive.settings.data),
        "EPHYSTORE_DATABASE_URL": archive.settings.database_url,
        "EPHYSTORE_LEASE_S": "1",
    }
    command = [sys.executable, "-c", HEARING, sys.executable, "-m", "flask", "--app", "wsgi", "register", str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **told}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 60
    while len(checks(archive)) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    return process.communicate(timeout=20)[0].decode()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_of_what_was_registered_before_it_was_stopped_all_times_are_checked(archive, run, folder, how):
    said = stop(archive, folder, how)
    n_left = n_unchecked(archive)
    assert n_left and checks(archive, "cancelled") == []
    if how == signal.SIGINT:
        assert f"with {n_left} checks whether times are sorted, unless 'flask worker' does them before" in said
    again = run("register", folder)
    assert again.exit_code == 0, again.output
    assert n_unchecked(archive) == 0 and len(checks(archive)) == len(checks(archive, "done")) == N_FILES


@pytest.mark.parametrize("few", [100, 0])
def test_a_check_that_was_given_up_is_done_when_its_file_is_registered_again(archive, run, tmp_path, monkeypatch, few):
    monkeypatch.setattr("storage.ingest.survey.FEW", few)
    path = write(tmp_path / "long.nwb")
    assert run("register", "--queue", path).exit_code == 0
    with one_worker(archive.services) as worker:
        worker.do_next()
    (id_,) = checks(archive, "queued")
    assert run("jobs", "cancel", id_).exit_code == 0 and n_unchecked(archive) == 1
    again = run("register", path)
    assert again.exit_code == 0, again.output
    assert n_unchecked(archive) == 0 and len(checks(archive, "done")) == 1


def test_one_that_is_paused_stays_paused(archive, run, tmp_path):
    path = write(tmp_path / "long.nwb")
    archive.register(path)
    (id_,) = checks(archive)
    assert run("jobs", "pause", id_).exit_code == 0
    assert "unchanged  long.nwb" in run("register", path).output and checks(archive, "paused") == [id_]


def test_an_import_of_several_leaves_checks_to_workers_that_may_be_done_before_it_ends(archive, run, folder):
    ended = threading.Event()

    def work():
        with one_worker(archive.services) as worker:
            while not ended.wait(0.01):
                worker.do_next()

    other = threading.Thread(target=work)
    other.start()
    try:
        done = run("import", *sorted(folder.iterdir()))
    finally:
        ended.set()
        other.join()
    assert done.exit_code == 0 and done.output.count("registered") == N_FILES, (done.output, done.exception)

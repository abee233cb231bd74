"""``flask worker`` and ``flask jobs`` as an operator uses them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.jobs import Job
from tests.archive import Archive

ROOT = Path(__file__).resolve().parents[2]
REGISTER = "register --queue --safety-level 1 --sampling-rate '20 kHz'"


@pytest.fixture
def archive(tmp_path):
    archive = Archive(tmp_path)
    (tmp_path / "recordings").mkdir()
    for number in range(3):
        with h5py.File(tmp_path / "recordings" / f"{number}.h5", "w") as file:
            file["x"] = np.arange(number + 5, dtype=np.float32)
    return archive


@pytest.fixture
def run(archive):
    """Run one ``flask`` command; returns its exit code and what it printed."""

    def run(line):
        result = archive.app.test_cli_runner().invoke(args=shlex.split(line))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return run


@contextmanager
def worker(archive, *arguments, **more):
    """Run ``flask worker`` as a process of its own."""
    environment = {**os.environ, "EPHYSTORE_DATA": str(archive.settings.data), "EPHYSTORE_LEASE_S": "1"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker", *arguments]
    with open(archive.folder / "worker.log", "ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, **more)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def states(archive):
    with Session(archive.services.engine) as session:
        return [job.state for job in session.scalars(select(Job).order_by(Job.id))]


def wait_for(claim, seconds=20):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_does_what_was_queued_before_and_after_its_start_until_a_signal(archive, run, number):
    assert run(f"{REGISTER} '{archive.folder}/recordings/0.h5'") == (
        0,
        "queued 1 files; 'flask jobs list' tells how far it is\n",
    )
    with worker(archive) as process:
        wait_for(lambda: states(archive) == ["done"])
        run(f"{REGISTER} '{archive.folder}/recordings'")
        began_s = time.monotonic()
        wait_for(lambda: states(archive) == ["done"] * 4)
        assert time.monotonic() - began_s < 10, "it was woken, not found by the sweep of a minute"
        process.send_signal(number)
        assert process.wait(10) == 0
    assert len(archive.get("/electrophysiology/analogsignal/").json["selected"]) == 3
    assert "Traceback" not in (archive.folder / "worker.log").read_text()


def test_a_worker_ends_with_its_parent_and_leaves_nothing_running(archive):
    with worker(archive, "--with-parent", stdin=subprocess.PIPE) as process:
        wait_for(lambda: psutil.Process(process.pid).num_threads() > 3)
        children = psutil.Process(process.pid).children(recursive=True)
        process.stdin.close()
        assert process.wait(10) in (0, -signal.SIGTERM)
        assert psutil.wait_procs(children, timeout=5)[1] == []


def test_jobs_can_be_seen_and_steered(archive, run):
    run(f"{REGISTER} '{archive.folder}/recordings'")
    code, said = run("jobs list")
    assert code == 0 and said.splitlines()[-1] == "3 jobs"
    assert said.splitlines()[0].split()[:3] == ["3", "queued", "register"]
    assert run("jobs pause 1 2")[1].splitlines()[0].startswith("job 1: paused  file://")
    assert run("jobs cancel 2 3")[0] == 0
    assert states(archive) == ["paused", "cancelled", "cancelled"]
    assert "stays cancelled" in run("jobs pause 3")[1]
    assert run("jobs list --state paused")[1].splitlines()[-1] == "1 jobs"
    assert run("jobs list --limit 1")[1].splitlines()[-1] == "1 of 3 jobs"
    run("jobs retry 1 3")
    assert states(archive) == ["queued", "cancelled", "queued"]
    code, said = run("jobs cancel 1 9")
    assert code == 1 and "there is no job 9; nothing was changed" in said
    assert states(archive) == ["queued", "cancelled", "queued"]
    assert run("jobs list --state odd")[0] == 2 and run("jobs cancel -1")[0] == 2


def test_registering_does_its_own_jobs_and_shows_those_that_a_worker_did(archive, run):
    line = REGISTER.replace("--queue ", "")
    with worker(archive):
        code, said = run(f"{line} '{archive.folder}/recordings'")
    *files, all_of_them = said.splitlines()
    assert code == 0 and sorted(line.split()[1] for line in files) == ["0.h5:", "1.h5:", "2.h5:"]
    assert all_of_them == "registered  3 files: 3 analogsignal"
    assert states(archive) == ["done"] * 3


def test_a_store_that_is_away_is_left_to_a_later_attempt(archive, run, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
        session.add(Job(kind="register", subject="s3://away/a.nwb", options={}))
    with worker(archive):
        wait_for(lambda: "attempt" in run("jobs list")[1], 40)
    assert "does not answer" in run("jobs list")[1]

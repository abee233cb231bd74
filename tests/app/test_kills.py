"""Nothing is lost, done twice or left behind, whenever a process is killed."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
import requests
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.jobs import Job
from storage.catalog.uploads import Upload
from storage.uploads.abandoned import remove_abandoned
from storage.uploads.tidy import PREFIXES, find_stray
from tests.app.test_serving import Service
from tests.archive import PASSWORD, Archive
from tests.storage.ingest.vendor.files import edf

ROOT = Path(__file__).resolve().parents[2]
N_FILES, N_KILLS, N_IMPORTS = 20, 50, 6
LEASE_S = 1
"""Of killed workers in these tests."""


def times_file(seed, n_values=1_500_000):
    """Return a file of sorted times: its check reads all of them, and so takes a while."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["times"] = np.cumsum(np.random.default_rng(seed).random(n_values))
    return content.getvalue()


def environment(archive):
    """Of a worker that makes no overviews: what is counted are checks and imports."""
    return {
        **os.environ,
        "EPHYSTORE_OVERVIEWS": "0",
        "EPHYSTORE_DATA": str(archive.settings.data),
        "EPHYSTORE_LEASE_S": str(LEASE_S),
    }


def worker(archive):
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
    log = open(archive.folder / "worker.log", "ab")  # noqa: SIM115 - the process keeps it open
    with log:
        return subprocess.Popen(command, cwd=ROOT, env=environment(archive), stdout=log, stderr=log)


def note_ends(archive):
    """Make the catalog itself count how often each job is ended and each datafile becomes ready."""
    with archive.services.engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("CREATE TABLE ended (what TEXT, id INTEGER)"))
        for table, column, value in (("job", "state", "done"), ("datafile", "state", "ready")):
            connection.execute(
                text(
                    f"CREATE TRIGGER {table}_ends AFTER UPDATE OF {column} ON {table} WHEN new.{column} = '{value}' "
                    f"BEGIN INSERT INTO ended VALUES ('{table}', new.id); END"
                )
            )


def ends(archive):
    with archive.services.engine.connect() as connection:
        return Counter(map(tuple, connection.execute(text("SELECT what, id FROM ended"))))


def states(archive, model):
    with Session(archive.services.engine) as session:
        return dict(session.execute(select(model.id, model.state)).all())


def known(archive):
    """The keys that datafiles refer to."""
    with Session(archive.services.engine) as session:
        return set(session.scalars(select(StoredFile.name))) | set(session.scalars(select(Datafile.sidecar)))


def stored(archive):
    """The keys of which any byte is stored."""
    return set().union(*(archive.services.store.find_all(prefix) for prefix in PREFIXES))


def upload(client, number):
    answer = client.post("/datafiles/", data={"raw_file": (io.BytesIO(times_file(number)), f"{number}.h5")})
    assert answer.status_code == 201, answer.text


def wait_until_done(archive, seconds=60):
    process = worker(archive)
    try:
        deadline = time.monotonic() + seconds
        while set(states(archive, Job).values()) != {"done"}:
            assert time.monotonic() < deadline and process.poll() is None, states(archive, Job)
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.timeout(600)
def test_killed_workers_lose_nothing_and_do_nothing_twice(tmp_path):
    archive = Archive(tmp_path)
    archive.add_user("anne")
    client = archive.logged_in("anne")
    note_ends(archive)
    moments = random.Random(4)
    n_uploaded = interrupted = 0
    for _ in range(N_KILLS):
        if set(states(archive, Job).values()) <= {"done"}:
            for number in range(n_uploaded, n_uploaded + N_FILES):
                upload(client, number)
            n_uploaded += N_FILES
        process = worker(archive)
        deadline = time.monotonic() + 20
        while not (running := "running" in states(archive, Job).values()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert running
        time.sleep(moments.uniform(0, 0.6))
        process.kill()
        process.wait(10)
        interrupted += "running" in states(archive, Job).values()
    wait_until_done(archive)
    assert interrupted > N_KILLS / 2, "most kills hit a job under way"
    assert n_uploaded >= N_FILES
    assert set(states(archive, Datafile).values()) == {"ready"}
    assert ends(archive) == {(what, id_): 1 for what in ("job", "datafile") for id_ in range(1, n_uploaded + 1)}
    services = archive.services
    assert find_stray(services.store, services.engine)[0] == []
    remove_abandoned(services.store, services.engine, moment() + timedelta(hours=2))
    assert stored(archive) == known(archive), "what killed checks wrote goes when its time is over"
    for id_ in (1, N_FILES):
        with h5py.File(io.BytesIO(times_file(id_ - 1))) as file:
            answered = client.get(f"/datafiles/{id_}?start_index=1000&end_index=1003&format=json").json
            assert answered == file["times"][1000:1003].tolist()


@pytest.mark.timeout(300)
def test_killed_imports_are_done_once_and_leave_no_samples(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    archive = Archive(tmp_path)
    archive.add_user("anne")
    client = archive.logged_in("anne")
    note_ends(archive)
    samples = np.random.default_rng(2).integers(-30_000, 30_000, 2_000_000)
    for number in range(N_IMPORTS):
        content = edf([("EEG", "uV", samples + number, 100_000)])
        answer = client.post("/datafiles/", data={"raw_file": (io.BytesIO(content), f"{number}.edf")})
        assert answer.status_code == 201, answer.text
    wait_until_done(archive)
    for number in range(1, N_IMPORTS + 1):
        assert client.post(f"/datafiles/{number}/import/").status_code == 202
    moments, interrupted = random.Random(4), 0
    while interrupted < N_IMPORTS and "queued" in states(archive, Job).values():
        process = worker(archive)
        while "running" not in states(archive, Job).values() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 1.5))
        process.kill()
        process.wait(10)
        interrupted += "running" in states(archive, Job).values()
    assert interrupted >= 3, "kills hit imports under way"
    wait_until_done(archive)
    assert {number for (what, _), number in ends(archive).items() if what == "job"} == {1}
    blocks = client.get("/electrophysiology/block/").json
    assert blocks["objects_total"] == N_IMPORTS
    signals = client.get("/electrophysiology/analogsignal/").json["selected"]
    firsts = sorted(client.get(f"{one['fields']['signal']['data']}?format=json&end_index=1").json[0] for one in signals)
    assert firsts == [samples[0] + number for number in range(N_IMPORTS)]
    services = archive.services
    assert find_stray(services.store, services.engine)[0] == []
    remove_abandoned(services.store, services.engine, moment() + timedelta(hours=2))
    assert stored(archive) == known(archive) - {None}
    assert list((tmp_path / "temporary").iterdir()) == []


class Sender:
    """Somebody who sends files to the service, each again until it is answered."""

    def __init__(self, service):
        self.service = service
        self.n_broken = 0
        login = {"username": "anne", "password": PASSWORD}
        answer = requests.post(f"{service.url}/account/authenticate/", data=login, timeout=20)
        self.cookies = answer.cookies

    def send(self, number):
        """Return the id of the datafile."""
        while True:
            sent = {"raw_file": (f"{number}.h5", times_file(number))}
            try:
                answer = requests.post(f"{self.service.url}/datafiles/", files=sent, cookies=self.cookies, timeout=30)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                self.n_broken += 1
                continue
            assert answer.status_code == 201, answer.text
            return answer.json()["selected"][0]["fields"]["id"]


def test_killed_web_processes_lose_nothing_and_leave_nothing(tmp_path):
    archive = Archive(tmp_path)
    archive.add_user("anne")
    service = Service(archive, tmp_path / "gunicorn.log", EPHYSTORE_LEASE_S=str(LEASE_S))
    try:
        sender = Sender(service)
        moments = random.Random(4)
        with ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(sender.send, number) for number in range(N_KILLS)]
            while not all(one.done() for one in sent):
                time.sleep(moments.uniform(0.1, 0.4))
                for process in moments.sample(service.workers, min(1, len(service.workers))):
                    process.kill()
            ids = [one.result() for one in sent]
    finally:
        service.stop()
    assert sender.n_broken >= 10, "kills hit requests under way"
    assert len(set(ids)) == N_KILLS
    time.sleep(LEASE_S)
    wait_until_done(archive)
    assert set(states(archive, Datafile).values()) == {"ready"}
    with Session(archive.services.engine) as session:
        assert session.scalars(select(Upload.id)).all() == []
    assert find_stray(archive.services.store, archive.services.engine)[0] == []
    assert stored(archive) == known(archive), "not even what may be removed later"

"""Uploads over real sockets to gunicorn: what hangs up, what is killed, what is long."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.database import connect
from storage.catalog.files import Datafile
from storage.catalog.migrate import migrate
from storage.catalog.uploads import Leftover, Upload
from storage.objectstore import ObjectStore
from storage.uploads.abandoned import SECOND_LOOK, remove_abandoned
from tests.people import session_of

ROOT = Path(__file__).resolve().parents[2]
HEAD = b'--XX\r\nContent-Disposition: form-data; name="raw_file"; filename="a.h5"\r\n\r\n'
TAIL = b"\r\n--XX--\r\n"
PIECE = os.urandom(1 << 20)
LEASE_S = 2


class Served:
    """A service of one process, its store and its catalog."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.folder, self.store = folder, ObjectStore(store_url)
        self.engine = connect(f"sqlite:///{folder}/catalog.sqlite")
        migrate(self.engine)
        self.cookie = session_of(self.engine, "bob")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        variables = {"EPHYSTORE_DATA": str(folder), "EPHYSTORE_STORE_URL": store_url, "EPHYSTORE_WORKERS": "1"}
        self.environment = os.environ | variables | {"EPHYSTORE_LEASE_S": str(LEASE_S), "EPHYSTORE_THREADS": "8"}

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", f"127.0.0.1:{self.port}"]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, "wsgi:app"], cwd=ROOT, env=self.environment, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                requests.get(f"{self.url}/health", timeout=10)
                return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError("gunicorn does not answer")

    def kill(self) -> None:
        """End the service as a loss of power would."""
        workers = psutil.Process(self.process.pid).children(recursive=True)
        for one in (self.process, *workers):
            os.kill(one.pid, signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(workers)

    @property
    def worker(self) -> psutil.Process:
        (found,) = psutil.Process(self.process.pid).children()
        return found

    def begin(self, n_pieces: int, *headers: str) -> socket.socket:
        """Begin to send a file; nothing of its content yet."""
        caller = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        length = len(HEAD) + n_pieces * len(PIECE) + len(TAIL)
        lines = [
            "POST /datafiles/ HTTP/1.1",
            "Host: here",
            f"Cookie: sessionid={self.cookie}",
            "Content-Type: multipart/form-data; boundary=XX",
            *(headers or (f"Content-Length: {length}",)),
        ]
        caller.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return caller

    def files(self) -> list[Path]:
        """Every file in the store, hidden ones too; of a store that is a folder."""
        return [path for path in Path(self.store.root_url.removeprefix("file://")).rglob("*") if path.is_file()]

    def rows(self, model) -> int:
        with Session(self.engine) as session:
            return session.scalar(select(func.count()).select_from(model))

    def wait_for(self, claim) -> None:
        deadline = time.monotonic() + 20
        while not claim():
            assert time.monotonic() < deadline, "it does not happen"
            time.sleep(0.05)


@contextmanager
def serving(folder: Path, store_url: str):
    served = Served(folder, store_url)
    served.start()
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.process.terminate()
            served.process.wait(40)


@pytest.fixture
def served(tmp_path):
    with serving(tmp_path, f"file://{tmp_path}/store") as found:
        yield found


def status(caller: socket.socket) -> int:
    return int(caller.recv(65536).split()[1])


def test_a_caller_who_hangs_up_leaves_nothing(served):
    for n_sent in (0, 1, 5):
        with served.begin(10) as caller:
            caller.sendall(HEAD + PIECE * n_sent)
            if n_sent:
                served.wait_for(lambda: served.rows(Upload) == 1)
        served.wait_for(lambda: served.rows(Upload) == 0 and not served.files())
    assert served.rows(Datafile) == 0


def test_a_chunked_body_is_taken_and_one_that_breaks_off_is_not(served):
    def chunks(*contents):
        return b"".join(b"%x\r\n%s\r\n" % (len(content), content) for content in contents)

    with served.begin(0, "Transfer-Encoding: chunked") as caller:
        caller.sendall(chunks(HEAD, PIECE, PIECE[:5], TAIL) + b"0\r\n\r\n")
        assert status(caller) == 201
    assert [path.stat().st_size for path in served.files()] == [len(PIECE) + 5]
    with served.begin(0, "Transfer-Encoding: chunked") as caller:
        caller.sendall(chunks(HEAD, PIECE))
        served.wait_for(lambda: served.rows(Upload) == 1)
    served.wait_for(lambda: served.rows(Upload) == 0 and len(served.files()) == 1)
    assert served.rows(Datafile) == 1


def test_a_killed_service_shows_no_half_and_keeps_no_byte(served):
    callers = [served.begin(10) for _ in range(3)]
    for caller in callers:
        caller.sendall(HEAD + PIECE * 3)
    login = {"sessionid": served.cookie}
    told = {"name": "b.h5", "nbytes": 12 << 20, "part_nbytes": 6 << 20}
    upload = requests.post(f"{served.url}/datafiles/uploads/", json=told, cookies=login, timeout=20).json()
    links = [part["link"] for part in upload["selected"][0]["fields"]["parts"]]
    assert requests.put(served.url + links[0], data=PIECE * 6, cookies=login, timeout=20).status_code == 200
    served.wait_for(lambda: served.rows(Upload) == 4 and len(served.files()) == 5)
    served.kill()
    for caller in callers:
        caller.close()
    assert not [path for path in served.files() if not path.name.startswith(".")]
    served.start()
    assert requests.get(f"{served.url}/datafiles/", cookies=login, timeout=20).json()["objects_total"] == 0
    time.sleep(LEASE_S)
    remove_abandoned(served.store, served.engine)
    assert served.rows(Upload) == 1 and len(served.files()) == 2, "the one by parts may go on for a day"
    place = served.url + upload["selected"][0]["permalink"]
    fields = requests.get(place, cookies=login, timeout=20).json()["selected"][0]["fields"]
    assert [part["arrived"] for part in fields["parts"]] == [True, False]
    assert requests.put(served.url + links[1], data=PIECE * 6, cookies=login, timeout=20).status_code == 200
    parts = {"parts": [{"number": number, "nbytes": 6 << 20} for number in (1, 2)]}
    assert requests.post(f"{place}/complete", json=parts, cookies=login, timeout=20).status_code == 201
    (path,) = served.files()
    assert path.read_bytes() == PIECE * 12
    remove_abandoned(served.store, served.engine, moment() + SECOND_LOOK + timedelta(minutes=1))
    assert served.rows(Leftover) == 0 and served.files() == [path]


def test_an_upload_that_takes_longer_than_its_lease_is_kept(served):
    with served.begin(2) as caller:
        caller.sendall(HEAD + PIECE)
        served.wait_for(lambda: served.rows(Upload) == 1)
        for _ in range(3):
            time.sleep(LEASE_S / 2)
            assert remove_abandoned(served.store, served.engine) == 0
        caller.sendall(PIECE + TAIL)
        assert status(caller) == 201
    assert served.rows(Datafile) == 1


def test_a_caller_whose_file_is_refused_hears_why(served):
    nobody = requests.post(f"{served.url}/datafiles/", files={"raw_file": ("a", PIECE * 100)}, timeout=60)
    assert nobody.status_code == 401
    login = {"sessionid": served.cookie}
    other = requests.post(f"{served.url}/datafiles/", data=PIECE * 100, cookies=login, timeout=60)
    assert other.status_code == 415
    assert served.rows(Upload) == 0 and not served.files()


def test_uploads_leave_threads_for_short_answers(served):
    callers = [served.begin(2) for _ in range(4)]
    for caller in callers:
        caller.sendall(HEAD + PIECE)
    served.wait_for(lambda: served.rows(Upload) == 4)
    login = {"sessionid": served.cookie}
    one_more = requests.post(f"{served.url}/datafiles/", files={"raw_file": ("a", PIECE)}, cookies=login, timeout=20)
    assert one_more.status_code == 503 and one_more.headers["Retry-After"]
    assert requests.get(f"{served.url}/datafiles/", cookies=login, timeout=20).status_code == 200
    for caller in callers:
        caller.sendall(PIECE + TAIL)
        assert status(caller) == 201
        caller.close()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_long_upload_takes_little_memory(request, tmp_path, kind):
    url = f"file://{tmp_path}/store"
    if kind == "s3":
        request.getfixturevalue("s3")
        url = f"s3://recordings/{tmp_path.name}"
    with serving(tmp_path, url) as served:
        highest = []
        for n_pieces in (20, 250 if kind == "folder" else 120):
            with served.begin(n_pieces) as caller:
                caller.sendall(HEAD)
                for _ in range(n_pieces):
                    caller.sendall(PIECE)
                caller.sendall(TAIL)
                assert status(caller) == 201
            status_of = Path(f"/proc/{served.worker.pid}/status").read_text()
            highest.append(int(status_of.partition("VmHWM:")[2].split()[0]) * 1024)
        assert highest[1] - highest[0] < 24 << 20
        assert served.store.list(served.store.root_url)


def test_s3_that_goes_away_in_the_middle_is_503_and_leaves_nothing(tmp_path, s3, monkeypatch):
    from tests.s3 import S3Server

    server = S3Server()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    with serving(tmp_path, f"s3://recordings/{tmp_path.name}") as served:
        with served.begin(40) as caller:
            caller.sendall(HEAD + PIECE * 20)
            served.wait_for(lambda: any(one.method == "PUT" for one in server.requests))
            server.stop()
            caller.sendall(PIECE * 20 + TAIL)
            assert status(caller) == 503
        assert served.rows(Datafile) == served.rows(Upload) == 0 and served.rows(Leftover) == 1
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
        remove_abandoned(ObjectStore(served.store.root_url), served.engine, moment() + SECOND_LOOK)
        assert served.rows(Leftover) == 0
    found = s3.client.list_multipart_uploads(Bucket="recordings", Prefix=f"{tmp_path.name}/")
    assert "Uploads" not in found
    assert s3.client.list_objects_v2(Bucket="recordings", Prefix=f"{tmp_path.name}/")["KeyCount"] == 0

"""Callers who send half of a request, or drip it, hold no thread for long."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest

from storage.catalog.base import PUBLIC
from storage.catalog.models import Block
from tests.app.test_serving import Service
from tests.archive import Archive

N_THREADS = 4
HEAD = b"POST /account/authenticate/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
UNFINISHED = {
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "a file of nobody": b"POST /datafiles/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 50000000\r\n\r\n--x",
    "a body that nobody wanted": b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("archive"))
    archive.add("small", np.arange(100.0))
    with archive.services.transaction() as session:
        long = {"told": "x" * 60_000}
        session.add_all(Block(name="long", safety_level=PUBLIC, annotations=long) for _ in range(100))
    service = Service(archive, archive.folder / "log", EPHYSTORE_WORKERS="1", EPHYSTORE_THREADS=str(N_THREADS))
    yield service
    service.stop()


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_who_sends_half_a_request_holds_a_thread_for_seconds_only(service, sent):
    port = int(service.url.rpartition(":")[2])
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(N_THREADS)]
    ended = threading.Event()

    def drip():
        while not ended.wait(1):
            for connection in connections:
                try:
                    connection.send(b" ")
                except OSError:
                    continue

    dripping = threading.Thread(target=drip)
    try:
        for connection in connections:
            connection.sendall(sent)
        dripping.start()
        time.sleep(1)
        began_s = time.monotonic()
        assert service.get("/health").status_code == 200
        assert time.monotonic() - began_s < 15
    finally:
        ended.set()
        dripping.join()
        for connection in connections:
            connection.close()
    assert service.get("/datafiles/1?format=json").json() == list(range(100))


def test_who_does_not_read_a_long_list_keeps_no_short_answer_from_others(service):
    connections = []
    try:
        for _ in range(2 * N_THREADS):
            connections.append(socket.socket())
            connections[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connections[-1].connect(("127.0.0.1", int(service.url.rpartition(":")[2])))
            connections[-1].sendall(b"GET /electrophysiology/block/?max_results=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1)
        for _ in range(5):
            began_s = time.monotonic()
            assert service.get("/health").status_code == 200
            assert time.monotonic() - began_s < 8
    finally:
        for connection in connections:
            connection.close()

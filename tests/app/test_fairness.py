"""Long answers, read slowly or not at all, leave room for short ones."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from flask import Response

from app.long_answers import Busy, LongAnswers
from tests.app.test_serving import Service, write_sparse
from tests.archive import Archive

N_THREADS = 6


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("fair"), EPHYSTORE_THREADS=str(N_THREADS))
    archive.add("small", np.arange(5000, dtype=np.float32), chunks=(1000,), compression="gzip")
    write_sparse(archive.folder / "long.h5", 64 << 20)
    archive.register(archive.folder / "long.h5", sampling_rate=(30000.0, "Hz"))
    return archive


@pytest.fixture
def links(archive):
    found = archive.get("/electrophysiology/analogsignal/").json["selected"]
    return {one["fields"]["name"]: one["fields"]["signal"]["data"] for one in found}


@pytest.fixture
def service(archive, tmp_path):
    service = Service(archive, tmp_path / "gunicorn.log", EPHYSTORE_WORKERS="1", EPHYSTORE_THREADS=str(N_THREADS))
    yield service
    service.stop()


def begin(service, target):
    """Ask for something and read no more than the beginning of the answer; return the connection and the status."""
    host, port = service.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return connection, int(connection.recv(12).split()[1])


@pytest.mark.parametrize("kind", ["array", "text", "download"])
def test_callers_who_do_not_read_leave_threads_for_short_answers(service, links, kind):
    more = {"array": "", "text": "?format=json", "download": "/download"}
    target = links["long"] + more[kind]
    with ThreadPoolExecutor(N_THREADS + 2) as callers:  # one waits a while, the others are told at once
        begun = list(callers.map(lambda _: begin(service, target), range(N_THREADS + 2)))
    assert sorted(status for _, status in begun) == [200] * (N_THREADS // 2) + [503] * (N_THREADS // 2 + 2)
    assert service.get(links["small"] + "?format=json").json()[:3] == [0, 1, 2]
    refused = service.get(target)
    assert refused.status_code == 503 and refused.json()["message_type"] == "busy"
    assert int(refused.headers["Retry-After"]) > 0 and "long answers" in refused.json()["message"]
    for connection, _ in begun:
        connection.close()
    for _ in range(100):  # the service notices when it next writes
        again, status = begin(service, target)
        again.close()
        if status == 200:
            return
        time.sleep(0.1)
    raise AssertionError("a place is not left when its caller goes")


def test_asking_for_the_head_takes_no_place(service, links):
    for _ in range(2 * N_THREADS):
        connection, status = begin(service, links["small"])
        connection.close()
        assert status == 200


def test_answers_that_are_read_leave_their_places(archive, links):
    for _ in range(2 * N_THREADS):
        assert archive.client.head(links["long"]).status_code == 200
        answer = archive.get(f"{links['long']}?end_index=2000000")
        assert answer.status_code == 200 and len(answer.data) > 8_000_000


def test_a_place_is_left_once_whatever_becomes_of_the_answer():
    answers = LongAnswers(1, 0, patience_s=0)
    for begins in (True, False):
        response = answers.place().hold_for(lambda: Response(iter([b"a", b"b"])))
        with pytest.raises(Busy, match="1 long answers"):
            answers.place()
        if begins:
            assert next(iter(response.response)) == b"a"
        response.close()
        response.close()

    def fail():
        raise OSError("the store is away")

    with pytest.raises(OSError, match="away"):
        answers.place().hold_for(fail)
    answers.place()
    with pytest.raises(Busy):
        answers.place()


def test_a_long_answer_waits_a_while_for_a_place():
    answers = LongAnswers(1, 1, patience_s=20)
    response = answers.place().hold_for(lambda: Response(iter([b"a"])))
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(answers.place)
        time.sleep(0.1)
        assert not waiting.done()
        with pytest.raises(Busy):  # as somebody waits already
            answers.place()
        response.close()
        assert waiting.result(20)


def test_what_is_refused_reads_nothing_before(archive, links, monkeypatch):
    places = [archive.services.long_answers.place() for _ in range(N_THREADS // 2)]
    monkeypatch.setattr(archive.services.long_answers, "_patience_s", 0)
    monkeypatch.setattr(archive.services.store, "get_ranges", lambda *asked, **more: pytest.fail("it reads"))
    assert archive.error(links["long"], 503)["message_type"] == "busy"
    for place in places:
        place.hold_for(lambda: Response(b"")).close()


def test_little_of_much_is_short(archive):
    archive.add("wide", np.zeros((40_000, 384), np.int16), chunks=(10_000, 1), compression="gzip")
    link = archive.fields("/electrophysiology/analogsignalarray/?name=wide")["signal"]["data"]
    places = [archive.services.long_answers.place() for _ in range(N_THREADS // 2)]
    for asked in ("end_index=6000&channels=7", "downsample=2&method=stride&channels=7", "end_index=200"):
        assert archive.get(f"{link}?{asked}").status_code == 200, asked
    for place in places:
        place.hold_for(lambda: Response(b"")).close()

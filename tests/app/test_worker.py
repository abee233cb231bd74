import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("a secret of the service")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
MALFORMED = {
    "no target": (b"GET\r\n\r\n", 400),
    "bare number as version": (b"GET / 1.1\r\n\r\n", 400),
    "unknown version": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "letters beyond ASCII": ("GET /électro HTTP/1.1\r\n\r\n".encode(), 400),
    "odd method": (b"g@t / HTTP/1.1\r\n\r\n", 400),
    "header without a colon": (b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "length in words": (b"POST / HTTP/1.1\r\nContent-Length: two\r\n\r\n", 400),
    "unknown coding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: zip\r\n\r\n", 501),
    "unknown expectation": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n", 417),
    "10,000 parameters": (b"GET /?" + b"a=1&" * 10_000 + b" HTTP/1.1\r\n\r\n", 414),
    "200 headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    "markup": (b"<script>alert(1)</script>\r\n\r\n", 400),
    "bytes of another protocol": (bytes(range(128, 256)) + b"\r\n\r\n", 400),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "trivial.py").write_text(APPLICATION)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-c", ROOT / "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}", "--pythonpath", folder]
    with (folder / "log").open("w") as log:
        gunicorn = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "trivial:app"],
            cwd=ROOT,
            stderr=log,
            env=os.environ | {"EPHYSTORE_WORKERS": "1", "EPHYSTORE_THREADS": "2"},
        )
    try:
        wait_until_served(port, gunicorn)
        yield port
    finally:
        gunicorn.send_signal(signal.SIGTERM)
        gunicorn.wait(20)


def wait_until_served(port, gunicorn):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and gunicorn.poll() is None:
        try:
            return asked(port, b"GET / HTTP/1.0\r\n\r\n")
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("gunicorn does not answer")


def asked(port, request):
    """Return status, headers and body of the answer; it ends when the service closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(request)
        answer = b"".join(iter(lambda: caller.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(status_line.split()[1]), headers, body


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_request_is_answered_with_the_document_of_an_error(served, case):
    request, expected = MALFORMED[case]
    status, headers, body = asked(served, request)
    document = json.loads(body)
    assert status == expected
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    assert 0 < len(document.pop("message")) < 300
    assert document == {
        "logged_in_as": None,
        "objects_selected": 0,
        "selected": [],
        "selected_range": [],
        "message_type": "bad_request",
        "details": {},
    }


def test_failure_of_the_application_is_500_and_keeps_its_words_to_itself(served):
    status, _, body = asked(served, b"GET /broken HTTP/1.1\r\n\r\n")
    assert status == 500
    assert json.loads(body)["message_type"] == "internal_error"
    assert b"secret" not in body


def test_the_longest_request_line_is_served(served):
    target = b"/?" + b"a" * (8190 - len(b"GET /? HTTP/1.1"))
    status, _, body = asked(served, b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert (status, body) == (200, b"ok")


def test_a_caller_that_leaves_does_not_stop_the_service(served):
    for request in (b"", b"GET / HT", b"GET\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", served)) as caller:
            caller.sendall(request)
    assert asked(served, b"GET / HTTP/1.0\r\n\r\n")[0] == 200


@pytest.mark.parametrize("value", ["0", "-1", "many", "²", "1000000"])
def test_bad_number_of_workers_is_one_sentence(value):
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--check-config", "wsgi:app"]
    env = os.environ | {"EPHYSTORE_WORKERS": value}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"EPHYSTORE_WORKERS={value!r} is not a whole number from 1 to 128"

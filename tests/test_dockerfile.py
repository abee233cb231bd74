"""What can be known of the image without building it."""

import http.server
import json
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]
IGNORED = (ROOT / ".dockerignore").read_text().split("\n")


def last(name):
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name][-1]


def test_every_copied_file_exists_and_is_sent_to_the_builder():
    copied = [shlex.split(rest) for instruction, rest in INSTRUCTIONS if instruction == "COPY"]
    sources = [source for words in copied if "--from=build" not in words for source in words[:-1]]
    assert {"wsgi.py", "app", "requirements.txt"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if f"!{source}" not in IGNORED] == []


def test_every_package_that_the_service_imports_is_copied():
    copied = " ".join(rest for instruction, rest in INSTRUCTIONS if instruction == "COPY").split()
    assert {"app", "schemas", "storage", "migrations"} <= set(copied)


def test_the_service_is_not_root_and_has_a_fixed_number():
    number, group = last("USER").split(":")
    assert int(number) == int(group) > 0
    assert f"--uid {number} " in last("RUN")


def test_the_service_is_stopped_and_found_as_documented():
    assert last("STOPSIGNAL") == "SIGTERM"
    assert last("EXPOSE") == "8000"
    assert "EPHYSTORE_DATA=/data" in last("ENV").split()
    assert last("VOLUME") == "/data"
    shell, option, command = json.loads(last("CMD"))
    assert (shell, option) == ("sh", "-c")
    assert re.fullmatch(r"flask --app wsgi init && exec gunicorn .*--bind 0\.0\.0\.0:8000 wsgi:app", command)


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(self.server.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (500, False)])
def test_the_health_check_tells_healthy_from_not(status, healthy, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    _, _, code = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        server.status = status
        server.timeout = 10
        threading.Thread(target=server.handle_request, daemon=True).start()
        code = code.replace(":8000/", f":{server.server_port}/")
        checked = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (checked.returncode == 0) is healthy

"""Hostile files, sent to the service as it runs: each is refused with a reason or read right, without harm."""

from __future__ import annotations

import io
import pickle
import struct
import time
import zlib

import h5py
import numpy as np
import pytest
import requests
from sqlalchemy.orm import Session

from storage.catalog.files import Datafile
from tests.app.test_kills import wait_until_done
from tests.app.test_serving import Service
from tests.archive import Archive
from tests.people import session_of

CANARY = b"canary 5f3a9c71"
MEBIBYTE = 1 << 20


def written(write, **creation):
    content = io.BytesIO()
    with h5py.File(content, "w", **creation) as file:
        write(file)
    return content.getvalue()


def external_samples(secret):
    return written(lambda file: file.create_dataset("a", (15,), "u1", external=[(str(secret / "raw"), 0, 15)]))


def external_link(secret):
    return written(lambda file: file.__setitem__("a", h5py.ExternalLink(str(secret / "other.h5"), "/a")))


def virtual(secret):
    layout = h5py.VirtualLayout((15,), "u1")
    layout[:] = h5py.VirtualSource(str(secret / "other.h5"), "a", (15,))
    return written(lambda file: file.create_virtual_dataset("a", layout))


def virtual_cycle(_):
    layout = h5py.VirtualLayout((15,), "u1")
    layout[:] = h5py.VirtualSource(".", "a", (15,))
    return written(lambda file: file.create_virtual_dataset("a", layout))


def huge_chunk(_):
    def write(file):
        dataset = file.create_dataset("a", (1 << 28,), "f8", chunks=(1 << 28,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(100_000)))

    content = written(write)
    assert len(content) < 9000
    return content


def petabytes(_):
    return written(lambda file: file.create_dataset("a", (1 << 48,), "f8", chunks=(1 << 20,)))


def lying_offset(_):
    def write(file):
        file.create_dataset("a", data=np.arange(4000.0), chunks=(1000,))

    content = bytearray(written(write))
    with h5py.File(io.BytesIO(content)) as file:
        offset = file["a"].id.get_chunk_info(1).byte_offset
    place = content.index(struct.pack("<Q", offset))
    struct.pack_into("<Q", content, place, 1 << 62)
    return bytes(content)


def nested(_):
    def write(file):
        group = file
        for _ in range(3000):
            group = group.create_group("g")
        group["a"] = [1.0]

    return written(write)


def billion_paths(_):
    def write(file):
        group = file
        for _ in range(30):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner

    return written(write)


def pickled(_):
    return pickle.dumps({"a": CANARY.decode()[::-1]})


def truncated(_):
    return written(lambda file: file.create_dataset("a", data=np.arange(4000.0)))[:-100]


REFUSED = {
    external_samples: "in another file",
    external_link: "a link to another file",
    virtual: "a virtual dataset",
    virtual_cycle: "a virtual dataset",
    huge_chunk: "chunk",
    petabytes: "chunks",
    lying_offset: "beyond the end of the file",
    nested: "a group, not an array",
    billion_paths: "2 entries",
    pickled: "not an HDF5 file",
    truncated: "truncated file",
}
NAMES = ["../../../etc/passwd", "a\nb.h5", "x" * 5000, "\u202eexe.h5", "Größe µV.h5", "con\x07trol.h5"]
GOOD = np.arange(1000, dtype=np.float32)


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secret")
    (folder / "raw").write_bytes(CANARY)
    with h5py.File(folder / "other.h5", "w") as file:
        file["a"] = np.frombuffer(CANARY, "u1")
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return Archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def service(archive):
    service = Service(archive, archive.folder / "gunicorn.log", EPHYSTORE_WORKERS="1")
    yield service
    service.stop()


def test_hostile_files_do_nothing(archive, service, secret):
    cookies = {"sessionid": session_of(archive.services.engine, "anne")}
    answers = []

    def send(content, name):
        answer = requests.post(
            f"{service.url}/datafiles/", files={"raw_file": (name, content)}, cookies=cookies, timeout=30
        )
        answers.append(answer.content)
        assert answer.status_code == 201, answer.text
        return answer.json()["selected"][0]["permalink"]

    def get(address):
        answer = requests.get(service.url + address, cookies=cookies, timeout=30)
        answers.append(answer.content)
        return answer

    good = written(lambda file: file.create_dataset("a", data=GOOD))
    first = send(good, "first.h5")
    hostile = {make.__name__: send(make(secret), f"{make.__name__}.h5") for make in REFUSED}
    named = [send(good, name) for name in NAMES]
    (process,) = service.workers
    before = process.memory_info().rss
    began_s = time.monotonic()
    wait_until_done(archive)
    assert time.monotonic() - began_s < 60
    for make, reason in REFUSED.items():
        name, permalink = make.__name__, hostile[make.__name__]
        told = get(f"{permalink}/info/").json()["selected"][0]["fields"]
        assert told["state"] == "refused" and reason in told["reason"], name
        for asked in ("", "?format=json&end_index=10", "?downsample=10", "?explain=1"):
            assert get(permalink + asked).status_code == 409, name
    for permalink in (first, *named):
        told = get(f"{permalink}/info/").json()["selected"][0]["fields"]
        assert told["state"] == "ready" and "/" not in told["name"] and told["name"].isprintable()
        assert get(f"{permalink}?format=json").json() == GOOD.tolist()
        assert "\n" not in get(f"{permalink}/download/").headers["Content-Disposition"]
    assert process.is_running() and process.memory_info().rss < before + 50 * MEBIBYTE
    logs = [(archive.folder / name).read_bytes() for name in ("gunicorn.log", "worker.log")]
    stored = [path.read_bytes() for path in (archive.folder / "data").rglob("*") if path.is_file()]
    for content in (*answers, *logs, *stored):
        assert CANARY not in content and str(list(CANARY))[1:-1].encode() not in content.replace(b",", b", ")
    assert b"Traceback" not in logs[0] + logs[1]
    with Session(archive.services.engine) as session:
        assert session.query(Datafile).count() == 1 + len(REFUSED) + len(NAMES)

"""The service as it runs: gunicorn with its processes, over a real socket."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import requests

from tests.archive import Archive
from tests.s3 import S3Server

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 1 << 20
BIG_NBYTES = 2 << 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Service:
    """gunicorn as ``dev.py run`` starts it, ended by ``stop()``."""

    def __init__(self, archive, log, **variables):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        environment = {**os.environ, "EPHYSTORE_DATA": str(archive.settings.data), **variables}
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "gunicorn.conf.py",
            "--bind",
            f"127.0.0.1:{port}",
            "wsgi:app",
        ]
        with open(log, "w") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        for _ in range(200):
            try:
                if requests.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        self.stop()
        raise AssertionError(Path(log).read_text())

    @property
    def workers(self):
        return psutil.Process(self.process.pid).children()

    def get(self, address, **more):
        return requests.get(self.url + address, timeout=60, **more)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def write_sparse(path, n_samples):
    """Write a contiguous array of zeros that takes no room on the disk."""
    with h5py.File(path, "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((n_samples,))
        h5py.h5d.create(file.id, b"zeros", h5py.h5t.NATIVE_FLOAT, space, creation)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("served"))
    archive.add("small", np.arange(5000, dtype=np.float32), chunks=(1000,), compression="gzip")
    for name, n_samples in (("big", BIG_NBYTES // 4), ("breaking", 32 * MEBIBYTE)):
        write_sparse(archive.folder / f"{name}.h5", n_samples)
        archive.register(archive.folder / f"{name}.h5", sampling_rate=(30000.0, "Hz"))
    packed = np.zeros(64 * MEBIBYTE, np.int16)
    archive.add("packed", packed, chunks=(MEBIBYTE,), compression="gzip", compression_opts=1)
    return archive


@pytest.fixture(scope="module")
def service(archive):
    service = Service(archive, archive.folder / "gunicorn.log")
    yield service
    service.stop()


@pytest.fixture(scope="module")
def links(archive):
    found = archive.get("/electrophysiology/analogsignal/").json["selected"]
    return {one["fields"]["name"]: one["fields"]["signal"]["data"] for one in found}


def peak_nbytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(("name", "nbytes"), [("big", BIG_NBYTES), ("packed", 128 * MEBIBYTE)])
def test_a_long_hdf5_answer_raises_peak_memory_by_less_than_64_mb(service, links, name, nbytes):
    for _ in range(8):
        service.get(links["small"])  # every process has served before
    before = {worker.pid: peak_nbytes(worker) for worker in service.workers}
    n_bytes = 0
    with service.get(links[name], stream=True) as answer:
        assert answer.status_code == 200
        for part in answer.iter_content(4 * MEBIBYTE):
            n_bytes += len(part)
    assert n_bytes == int(answer.headers["Content-Length"]) > nbytes
    rises = [peak_nbytes(worker) - before[worker.pid] for worker in service.workers]
    assert max(rises) < 64 * MEBIBYTE, rises


def test_a_failure_in_mid_stream_breaks_the_connection(service, archive, links):
    with service.get(links["breaking"], stream=True) as answer:
        assert answer.status_code == 200
        answer.raw.read(MEBIBYTE)
        os.truncate(archive.folder / "breaking.h5", 4096)
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
            for _ in answer.iter_content(4 * MEBIBYTE):
                pass
    assert service.get(links["breaking"]).status_code == 409
    assert service.get(links["small"]).status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("start_time=1e7000000", 400),
        ("start_time=NaN", 400),
        ("start_index=-1", 400),
        ("start_time=1e30", 400),
        ("start_time=1_000", 400),
        ("start_time=１２", 400),
        ("start_time=%EF%BC%91", 400),
        ("start_time=%FF%FE", 400),
        ("&".join("a=1" for _ in range(2000)), 400),
        ("&".join(f"parameter_{number}=1" for number in range(10_000)), 414),
    ],
)
def test_bad_input_is_told_within_a_second_and_the_service_goes_on(service, links, query, status):
    began = time.perf_counter()
    answer = service.get(f"{links['small']}?{query}")
    assert time.perf_counter() - began < 1
    assert answer.status_code == status, answer.text[:300]
    document = json.loads(answer.text)
    assert document["selected"] == [] and document["message"] and "Traceback" not in answer.text
    assert service.get(links["small"]).status_code == 200


def test_a_killed_process_is_replaced(service, links):
    victim = service.workers[0]
    victim.kill()
    victim.wait(10)
    for _ in range(100):
        if len(service.workers) == 2:
            break
        time.sleep(0.1)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: service.get(links["small"]).status_code, range(32)))
    assert set(statuses) == {200}


def test_a_store_that_is_away_is_503_and_the_service_goes_on(s3, tmp_path):
    """Files in S3, whose server stops."""
    own = S3Server()
    own.create_bucket("away")
    variables = {"AWS_ENDPOINT_URL": own.url}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", own.url)
        archive = Archive(tmp_path)
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["x"] = np.arange(1000.0)
        own.put("away/x.h5", (tmp_path / "x.h5").read_bytes())
        assert archive.register("s3://away/x.h5", sampling_rate=(1.0, "Hz")).state == "registered"
        near = archive.add("near", np.arange(10.0))
    service = Service(archive, tmp_path / "gunicorn.log", **variables)
    try:
        link = archive.fields("/electrophysiology/analogsignal/1")["signal"]["data"]
        assert service.get(link + "?format=json").json() == list(range(1000))
        own.stop()
        began = time.perf_counter()
        answer = service.get(link + "?end_index=5")
        assert time.perf_counter() - began < 10
        assert answer.status_code == 503 and answer.json()["message_type"] == "store_away"
        assert int(answer.headers["Retry-After"]) > 0 and "x.h5" in answer.json()["message"]
        assert service.get(near["signal"]["data"] + "?format=json").json() == list(range(10))
    finally:
        service.stop()


def test_callers_of_huge_chunks_share_the_memory_of_few(archive, tmp_path):
    n_rows, n_chunks = 1 << 25, 12
    path = archive.folder / "huge_chunks.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", (n_chunks * n_rows,), "f4", chunks=(n_rows,), compression="gzip")
        packed = zlib.compress(bytes(4 * n_rows), 1)
        for number in range(n_chunks):
            dataset.id.write_direct_chunk((number * n_rows,), packed)
    archive.register(path, sampling_rate=(30000.0, "Hz"))
    (one,) = archive.get("/electrophysiology/analogsignal/?name=huge_chunks").json["selected"]
    link = one["fields"]["signal"]["data"]
    service = Service(archive, tmp_path / "gunicorn.log", EPHYSTORE_WORKERS="1", EPHYSTORE_CHUNK_CACHE_MB="16")
    try:
        (process,) = service.workers
        with ThreadPoolExecutor(n_chunks) as pool:
            asked = [f"{link}?start_index={number * n_rows}&samples_count=3" for number in range(n_chunks)]
            answers = list(pool.map(lambda address: service.get(f"{address}&format=json"), asked))
        assert {answer.status_code for answer in answers} <= {200, 503}
        told = [answer.json() for answer in answers if answer.status_code == 200]
        assert len(told) >= 2 and told == [[0, 0, 0]] * len(told)
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1]) // 1024
        assert peak < 1200, "of 12 chunks of 128 MB"
    finally:
        service.stop()

"""``flask register`` over a bucket: once, by however many workers, and nothing is written into it."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.catalog.base import Base
from storage.catalog.files import StoredFile
from storage.catalog.jobs import Job
from tests.archive import Archive
from tests.s3 import KEYS
from tests.storage.ingest.test_register import write_nwb

ROOT = Path(__file__).resolve().parents[2]
N_FILES = int(os.environ.get("EPHYSTORE_TEST_FILES", "16"))
"""Of a bucket; 1000 take minutes."""


SECRET = "which-nobody-may-ever-see"


@pytest.fixture
def bucket(s3, tmp_path, request):
    """A bucket of small NWB files, of which the last are the newest."""
    name = f"bucket-{abs(hash(request.node.nodeid)) % 10**8}"
    s3.create_bucket(name)
    for number in range(N_FILES):
        path = write_nwb(tmp_path / "one.nwb")
        with h5py.File(path, "r+") as file:
            file["identifier"] = f"{name} {number}"
        s3.put(f"{name}/lab/{number:04}.nwb", path.read_bytes())
    s3.clear()
    return name


@pytest.fixture
def archive(s3, bucket, tmp_path, database_url):
    (tmp_path / "stores.toml").write_text(
        f'[lab]\nurl = "s3://{bucket}/lab"\nendpoint = "{s3.url}"\nregion = "us-east-1"\n'
        f'access_key_id = "{KEYS["aws_access_key_id"]}"\nsecret_access_key = "{SECRET}"\n'
    )
    variables = {"EPHYSTORE_DATABASE_URL": database_url, "EPHYSTORE_STORES": str(tmp_path / "stores.toml")}
    return Archive(tmp_path, **variables)


@pytest.fixture
def run(archive):
    """Run one ``flask`` command; returns its exit code and what it printed."""

    def run(line):
        result = archive.app.test_cli_runner().invoke(args=shlex.split(line))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return run


HEARING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes a command hear interrupts, which whoever runs the tests in the background has let nobody hear."""


def process(archive, *arguments, lease_s=60, **more):
    """Run a ``flask`` command as a process of its own."""
    settings = archive.settings
    environment = {
        **os.environ,
        "EPHYSTORE_DATA": str(settings.data),
        "EPHYSTORE_DATABASE_URL": settings.database_url,
        "EPHYSTORE_STORES": str(archive.folder / "stores.toml"),
        "EPHYSTORE_LEASE_S": str(lease_s),
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-c", HEARING, *command], cwd=ROOT, env=environment, **streams, **more)


def gets(s3, bucket):
    """How often each range of each file was fetched."""
    return Counter((r.path, r.range) for r in s3.requests if r.method == "GET" and r.path.startswith(f"/{bucket}/lab/"))


def n_registered(archive):
    with Session(archive.services.engine) as session:
        return session.scalar(select(func.count()).select_from(StoredFile))


def told_by_catalog(archive):
    with archive.services.engine.connect() as connection:
        return "\n".join(str(row) for table in Base.metadata.sorted_tables for row in connection.execute(select(table)))


def n_jobs(archive):
    with Session(archive.services.engine) as session:
        return Counter(session.scalars(select(Job.state)))


def assert_not_written(s3, bucket):
    assert {r.method for r in s3.requests if r.path.startswith(f"/{bucket}")} <= {"GET", "HEAD"}


def test_one_command_registers_a_bucket_and_the_same_again_changes_nothing(archive, run, s3, bucket):
    code, said = run("register --safety-level 1 lab:")
    assert code == 0
    assert f"registered  {N_FILES:,} files: {N_FILES:,} block" in said.splitlines()[-1]
    assert archive.get("/electrophysiology/block/").json["objects_total"] == N_FILES
    link = archive.fields("/electrophysiology/irsaanalogsignal/1")["signal"]["data"]
    assert archive.values(link) == list(range(10))
    once = gets(s3, bucket)
    assert set(once.values()) == {1} and len({path for path, _ in once}) == N_FILES
    before = archive.get("/electrophysiology/spiketrain/?max_results=1000").data
    s3.clear()
    code, said = run("register lab:")
    assert code == 0 and said.splitlines()[-1].startswith(f" unchanged  {N_FILES:,} files")
    assert archive.get("/electrophysiology/spiketrain/?max_results=1000").data == before
    assert not gets(s3, bucket)
    assert_not_written(s3, bucket)
    assert SECRET not in said and SECRET not in told_by_catalog(archive)


def test_the_newest_files_come_first(archive, run, s3, bucket):
    time.sleep(1)
    s3.put(f"{bucket}/lab/0000.nwb", s3.client.get_object(Bucket=bucket, Key="lab/0000.nwb")["Body"].read())
    assert run("register --queue lab:")[0] == 0
    with Session(archive.services.engine) as session:
        subjects = session.scalars(select(Job.subject).order_by(Job.id)).all()
    assert subjects[0] == "lab:0000.nwb" and len(subjects) == N_FILES


def test_two_workers_do_nothing_twice_and_hold_nothing_that_the_other_waits_for(archive, run, s3, bucket):
    assert run("register --queue --safety-level 1 lab:")[0] == 0
    workers = [process(archive, "worker") for _ in range(2)]
    try:
        deadline = time.monotonic() + 60 + N_FILES
        while n_jobs(archive) != {"done": N_FILES}:
            assert time.monotonic() < deadline, n_jobs(archive)
            time.sleep(0.1)
    finally:
        for one in workers:
            one.send_signal(signal.SIGTERM)
        said = [one.communicate(timeout=20)[0].decode() for one in workers]
    done = [log.count(": done in ") for log in said]
    assert sum(done) == N_FILES and min(done) > 0, done
    fetched = gets(s3, bucket)
    assert set(fetched.values()) == {1} and len({path for path, _ in fetched}) == N_FILES
    heads = Counter(r.path for r in s3.requests if r.method == "HEAD" and r.path.startswith(f"/{bucket}/lab/"))
    assert set(heads.values()) == {2}  # before and after it was read
    assert not any(word in log for log in said for word in ("locked", "deadlock", "Traceback"))
    assert_not_written(s3, bucket)


def test_killed_and_started_again_it_goes_on(archive, run, s3, bucket):
    s3.delay_s = 0.05
    try:
        killed = process(archive, "register", "--safety-level", "1", "lab:", lease_s=1)
        deadline = time.monotonic() + 60
        while not 3 <= n_registered(archive) < N_FILES - 3:
            assert time.monotonic() < deadline and killed.poll() is None
            time.sleep(0.01)
        killed.kill()
        killed.wait(10)
    finally:
        s3.delay_s = 0.0
    n_before = n_registered(archive)
    assert 0 < n_before < N_FILES
    before = gets(s3, bucket)
    s3.clear()
    code, said = run("register --safety-level 1 lab:")
    assert code == 0, said
    assert n_registered(archive) == N_FILES and n_jobs(archive)["queued"] == n_jobs(archive)["running"] == 0
    again = {path for path, _ in gets(s3, bucket)} & {path for path, _ in before}
    assert len(again) <= archive.settings.job_threads  # what was under way when it was killed
    assert n_jobs(archive)["done"] <= N_FILES + n_before  # those that waited were taken over, not queued again
    assert_not_written(s3, bucket)


def test_interrupted_it_tells_what_is_left_and_the_same_command_goes_on(archive, run, s3, bucket):
    s3.delay_s = 0.05
    try:
        stopped = process(archive, "register", "lab:")
        deadline = time.monotonic() + 60
        while not 3 <= n_registered(archive) < N_FILES - 3:
            assert time.monotonic() < deadline and stopped.poll() is None
            time.sleep(0.01)
        stopped.send_signal(signal.SIGINT)
        said = stopped.communicate(timeout=20)[0].decode()
    finally:
        s3.delay_s = 0.0
    assert stopped.returncode == 1 and "Traceback" not in said
    assert f"of {N_FILES} files were not looked into; the same command goes on with them" in said
    assert n_jobs(archive)["queued"] == n_jobs(archive)["running"] == 0
    assert run("register lab:")[0] == 0 and n_registered(archive) == N_FILES


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(archive, run, s3, bucket):
    s3.put(f"{bucket}/lab/odd.nwb", b"no HDF5")
    s3.put(f"{bucket}/lab/a.zarr/0.0", b"x")
    code, said = run("register --dry-run lab:")
    assert code == 0
    assert "left out  lab:a.zarr: is one recording of many files" in said
    assert f"new  {N_FILES:,} files: {N_FILES:,} block, {N_FILES:,} segment" in said
    assert "refuse  1 file" in said and "odd.nwb: it is not an HDF5 file" in said
    assert "kB in the service's own store" in said and "time  about" in said
    assert n_registered(archive) == 0 and n_jobs(archive) == {} and not archive.services.store.find_all("sidecars")
    assert_not_written(s3, bucket)
    run("register lab:")
    stored = archive.services.store.find_all("sidecars")
    nbytes = sum(archive.services.store.stat(key).nbytes for key in stored)
    (told,) = (line.split() for line in said.splitlines() if "sidecars" in line)
    assert float(told[1]) * {"kB": 1e3, "MB": 1e6}[told[2]] == pytest.approx(nbytes, rel=0.01)


def test_what_was_refused_is_grouped_by_reason_and_counted(archive, run, s3, bucket, tmp_path):
    for number in range(3):
        s3.put(f"{bucket}/lab/odd{number}.nwb", b"no HDF5")
    path = write_nwb(
        tmp_path / "x.nwb", unsorted=True, spikes=((0.5, 0.2), (0.3, float("nan"), float("nan")), (np.nan,))
    )
    s3.put(f"{bucket}/lab/unsorted.nwb", path.read_bytes())
    code, said = run("register lab:")
    last = said.splitlines()[-6:]
    assert code == 0 and last[0].startswith(f"registered  {N_FILES + 1:,} files: ") and "refused  3 files" in last[1]
    assert "left out  3 × in 3 files, such as odd" in said and ": it is not an HDF5 file" in said
    assert "left out  2 × in 1 file, such as unsorted.nwb /processing/deep/er/a: its times are not sorted" in said
    assert "left out  2 × in 1 file, such as unsorted.nwb /units[1]: 2 of its times are not numbers" in said


def test_missing_and_moved_files_are_told_and_unregistering_takes_all_away(archive, run, s3, bucket):
    run("register --safety-level 1 lab:")
    content = s3.client.get_object(Bucket=bucket, Key="lab/0001.nwb")["Body"].read()
    for key in ("0000", "0001"):
        s3.delete(f"{bucket}/lab/{key}.nwb")
    s3.put(f"{bucket}/lab/moved.nwb", content)
    code, said = run("register lab:")
    assert code == 0 and "moved  moved.nwb" in said
    assert said.splitlines()[-1] == "   missing  1 file, served again once they are back or found elsewhere: 0000.nwb"
    code, said = run("unregister lab:0002.nwb lab:none/")
    assert code == 0 and "archived  0002.nwb: 1 block" in said and "lab:none/: nothing there is registered" in said
    assert run("unregister lab:")[0] == 0
    assert archive.get("/electrophysiology/block/").json["objects_total"] == 0
    code, said = run("unregister lab:")
    assert code == 1 and "nothing is registered there" in said


def test_an_empty_or_unknown_place_is_told(archive, run, s3, bucket):
    for place, reason in (
        ("lab:none/", "holds no file"),
        ("nosuch:x", "there is no store named nosuch; EPHYSTORE_STORES has lab"),
    ):
        code, said = run(f"register {place}")
        assert code == 1 and reason in said and "nothing could be registered" in said


def test_a_file_of_many_chunks_costs_little_of_its_bytes(s3, archive, bucket):
    """20,000 chunks: what registering fetches does not grow with their length, so short ones stand for long ones."""
    memory = io.BytesIO()
    n_times = 1_000_000
    with h5py.File(memory, "w") as file:
        file.attrs["neurodata_type"], file.attrs["nwb_version"] = "NWBFile", "2.6.0"
        group = file.create_group("acquisition/probe")
        group.attrs["neurodata_type"] = "ElectricalSeries"
        data = group.create_dataset("data", (20_000 * 50, 16), "<i2", chunks=(50, 16), compression="gzip")
        random = np.random.default_rng(1)
        for number in range(20_000):
            data.id.write_direct_chunk((50 * number, 0), random.bytes(1000))
        data.attrs["unit"] = "volts"
        group.create_dataset("timestamps", data=np.arange(n_times) / 30000, chunks=(8192,), compression="gzip")
    s3.put(f"{bucket}/lab/many.nwb", memory.getvalue())
    s3.clear()
    found = archive.register("lab:many.nwb")
    assert found.counts["irsaanalogsignal"] == 1 and found.refusals == []
    nbytes = sum(r.nbytes for r in s3.requests if r.path == f"/{bucket}/lab/many.nwb" and r.method == "GET")
    assert nbytes < 0.01 * 10**9
    assert_not_written(s3, bucket)

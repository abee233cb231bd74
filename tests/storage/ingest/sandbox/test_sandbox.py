"""The sandbox as a whole: it ends with its parent, comes back after a crash, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from storage.errors import FileChanged, NotStored, Refused, SandboxAway
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox, sandbox
from storage.objectstore import ObjectStore
from tests.storage.ingest.sandbox.hostile import PROGRAM

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def store(tmp_path):
    for number in range(16):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["signal"] = np.arange(10.0) + number
    return ObjectStore(f"file://{tmp_path}")


@pytest.fixture
def own():
    """A sandbox that is not shared."""
    found = Sandbox()
    found.start()
    yield found
    found.close()


def first_value(found_by, store, number):
    key = f"{number}.h5"
    found = found_by.check(store, key, store.stat(key))
    return float(found.blocks["/signal"][0, 0])


def children_of(pid):
    """Processes whose parent this is, with those that have ended and were not asked for yet."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            said = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(said[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def descriptors_of(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(true, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_sixteen_threads_at_once(own, store):
    with ThreadPoolExecutor(16) as threads:
        values = list(threads.map(lambda number: first_value(own, store, number % 16), range(64)))
    assert values == [float(number % 16) for number in range(64)]


def test_nothing_is_left_after_five_hundred_files(own, store):
    first_value(own, store, 0)
    until(lambda: children_of(own.server.pid) == [])
    before = descriptors_of("self"), descriptors_of(own.server.pid), threading.active_count()
    for number in range(500):
        first_value(own, store, number % 16)
    until(lambda: children_of(own.server.pid) == [])
    assert (descriptors_of("self"), descriptors_of(own.server.pid), threading.active_count()) == before


def test_the_next_file_is_parsed_after_the_server_was_killed(own, store):
    first_value(own, store, 0)
    for _ in range(3):
        pid = own.server.pid
        os.kill(pid, signal.SIGKILL)
        assert first_value(own, store, 3) == 3.0
        assert own.server.pid != pid
        assert not is_running(pid)


def test_a_file_is_parsed_though_the_server_is_killed_in_the_middle(own, tmp_path, store):
    with h5py.File(tmp_path / "chunked.h5", "w") as file:
        file.create_dataset("signal", data=np.arange(100.0), chunks=(7,))
    pids = []

    def kill(*_):
        if len(pids) < 1:
            pids.append(own.server.pid)
            running = children_of(own.server.pid)
            os.kill(own.server.pid, signal.SIGKILL)
            until(lambda: not any(map(is_running, running)))

    found = own.check(store, "chunked.h5", store.stat("chunked.h5"), kill)
    assert found.arrays["/signal"].n_samples == 100 and len(pids) == 1


def test_a_server_that_never_starts_is_no_fault_of_the_file(store, capfd):
    broken = Sandbox(program=("storage.ingest.sandbox.server", "no_such_function"))
    with pytest.raises(SandboxAway, match="try again later"):
        broken.check(store, "1.h5", store.stat("1.h5"))
    broken.close()
    assert "no_such_function" in capfd.readouterr().err


def test_a_process_that_is_killed_refuses_its_file_only(tmp_path, store):
    hostile = Sandbox(program=PROGRAM)
    (tmp_path / "hang").write_text("")
    with ThreadPoolExecutor() as threads:
        hanging = threads.submit(hostile.inspect, store, "hang", store.stat("hang"))
        until(lambda: hostile.server.pid and children_of(hostile.server.pid))
        time.sleep(0.2)
        (child,) = children_of(hostile.server.pid)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(Refused, match="SIGKILL"):
            hanging.result()
    hostile.close()


def test_closing_ends_processes_that_hang(tmp_path, store):
    hostile = Sandbox(Limits(wall_s=1), program=PROGRAM)
    (tmp_path / "spin").write_text("")
    started = time.monotonic()
    with pytest.raises(Refused, match="takes longer than 1 s"):
        hostile.inspect(store, "spin", store.stat("spin"))
    assert time.monotonic() - started < 5
    until(lambda: children_of(hostile.server.pid) == [])  # though nobody asked for another file
    pid = hostile.server.pid
    hostile.close()
    assert not is_running(pid)


PARENT = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from storage.ingest.sandbox.sandbox import Sandbox
from storage.objectstore import ObjectStore
sandbox, store = Sandbox(program=("tests.storage.ingest.sandbox.hostile", "main")), ObjectStore("file://" + sys.argv[2])
for name in ("hang", "spin"):
    threading.Thread(target=sandbox.inspect, args=(store, name, store.stat(name)), daemon=True).start()
sandbox.start()
{fork}
print(sandbox.server.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("fork", ["", "os.fork() or (time.sleep(60), os._exit(0))"])
def test_nothing_is_left_of_a_parent_that_was_killed(tmp_path, fork):
    """Not even where another process was forked from it, as servers and test runners do."""
    for name in ("hang", "spin"):
        (tmp_path / name).write_text("")
    command = [sys.executable, "-c", PARENT.format(fork=fork), str(ROOT), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        server = int(parent.stdout.readline())
        until(lambda: len(children_of(server)) == 2)
        processes = [server, *children_of(server)]
        os.kill(parent.pid, signal.SIGKILL)
        until(lambda: not any(map(is_running, processes)))
        if fork:
            os.killpg(parent.pid, signal.SIGKILL)


def test_a_forked_process_has_a_server_of_its_own(own, store):
    first_value(own, store, 1)
    pid = own.server.pid
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if first_value(own, store, 2) == 2.0 and own.server.pid != pid else 2
            own.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert first_value(own, store, 5) == 5.0 and own.server.pid == pid


def test_what_goes_wrong_in_the_store_is_told_as_such(own, store, tmp_path):
    with pytest.raises(NotStored):
        own.check(store, "none.h5", store.stat("1.h5"))
    stat = store.stat("1.h5")
    os.truncate(tmp_path / "1.h5", 100)
    with pytest.raises(FileChanged):
        own.check(store, "1.h5", stat)
    memory = ObjectStore("memory://sandboxed")
    memory.put("a.h5", (tmp_path / "2.h5").read_bytes())
    stat = memory.stat("a.h5")
    memory.put("a.h5", (tmp_path / "3.h5").read_bytes() + b"more")
    with pytest.raises(FileChanged):
        own.check(memory, "a.h5", stat)


def test_what_progress_raises_reaches_the_caller(own, store, tmp_path):
    with h5py.File(tmp_path / "chunked.h5", "w") as file:
        file.create_dataset("signal", data=np.arange(100.0), chunks=(7,))

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        own.check(store, "chunked.h5", store.stat("chunked.h5"), stop)
    until(lambda: children_of(own.server.pid) == [])


def test_an_empty_file_is_refused(own, store, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(Refused, match="not an HDF5 file"):
        own.check(store, "empty", store.stat("empty"))


def test_the_process_has_one_for_all():
    assert sandbox() is sandbox()


def test_the_server_has_one_thread_and_no_secrets(store, monkeypatch):
    monkeypatch.setenv("EPHYSTORE_DATABASE_URL", "postgresql+psycopg://me:canary@host/name")
    own = Sandbox()
    first_value(own, store, 0)
    server = Path(f"/proc/{own.server.pid}")
    assert len(list((server / "task").iterdir())) == 1
    assert b"canary" not in (server / "environ").read_bytes() and b"EPHYSTORE" not in (server / "environ").read_bytes()
    own.close()

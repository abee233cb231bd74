"""Each wall by itself, seen from inside: what goes through without it, and what it stops with all others down."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from storage.errors import Refused, SandboxAway
from storage.ingest.sandbox import seccomp, walls
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from storage.objectstore import ObjectStore
from tests.storage.ingest.sandbox.hostile import PROGRAM

LIMITS = Limits(cpu_s=1, wall_s=20, output_nbytes=4 << 20, more_fetched_nbytes=1 << 20)
IS_ROOT = os.geteuid() == 0

STOPPED_BY = {
    "open": ["landlock", "limits", "kernel_calls", "audit"],
    "write": ["landlock", "limits", "kernel_calls", "audit"],
    "list": ["landlock", "limits", "kernel_calls", "audit"],
    "connect": ["landlock", "limits", "kernel_calls", "audit"],
    "connect_within_the_machine": ["limits", "kernel_calls", "audit"],
    "execute": ["landlock", "limits", "kernel_calls", "audit"],
    "fork": ["nobody+limits", "kernel_calls", "audit"],
    "start_thread": ["nobody+limits", "kernel_calls"],  # of which Python before 3.12 tells no audit hook
    "trace": ["kernel_calls", "audit"],
    "read_the_memory_of_the_server": ["nobody", "kernel_calls", "audit"],
    "signal_the_server": ["nobody", "landlock", "kernel_calls", "audit"],
    "allocate": ["limits"],
    "make_memory_executable": ["kernel_calls", "audit"],
    "raise_a_limit": ["nobody+limits", "kernel_calls", "audit"],
    "load_a_module": ["landlock", "limits", "kernel_calls", "audit"],
}
NEEDS_ROOT = {"nobody"}
"""Walls that stand only where the service runs as root, and is not root in its processes."""


@pytest.fixture(scope="module")
def sandboxes():
    """Sandboxes whose processes are hostile, by the walls that they have."""
    made = {}

    def sandbox(*raised):
        if raised not in made:
            made[raised] = Sandbox(LIMITS, raised=raised, program=PROGRAM)
        return made[raised]

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_SECRET_ACCESS_KEY", "canary")
        yield sandbox
    for one in made.values():
        one.close()


@pytest.fixture
def attempt(sandboxes, tmp_path):
    """Let a process try something behind these walls; return what it says of that."""

    def attempt(name, argument, *raised):
        (tmp_path / name).write_text(str(argument))
        store = ObjectStore(f"file://{tmp_path}")
        with pytest.raises(Refused) as told:
            sandboxes(*raised).inspect(store, name, store.stat(name))
        return str(told.value)

    return attempt


@pytest.fixture
def argument(tmp_path):
    """What each attempt is aimed at, and whether it was reached there."""
    tmp_path.chmod(0o777)
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "secret").chmod(0o666)
    reached = []
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "socket"))
        (tmp_path / "socket").chmod(0o777)
        local.listen()

        def answer():
            while True:
                try:
                    end, _ = tcp.accept()
                except OSError:
                    return
                with end:
                    reached.append("connect")
                    end.sendall(b"canary")

        threading.Thread(target=answer, daemon=True).start()
        yield {
            "open": tmp_path / "secret",
            "list": tmp_path / "secret",
            "write": tmp_path / "written",
            "execute": tmp_path / "executed",
            "connect": tcp.getsockname()[1],
            "connect_within_the_machine": tmp_path / "socket",
            "reached": reached,
        }
        tcp.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("name", STOPPED_BY)
def test_without_walls_it_goes_through(attempt, argument, name):
    said = attempt(name, argument.get(name, ""))
    if name == "execute":
        assert argument["execute"].read_text() == "canary\n"
    else:
        assert said.startswith("done"), said


@pytest.mark.parametrize(("name", "wall"), [(name, wall) for name, some in STOPPED_BY.items() for wall in some])
def test_each_wall_stops_it_alone(attempt, argument, name, wall):
    raised = wall.split("+")
    if not IS_ROOT and not NEEDS_ROOT.isdisjoint(raised):
        raised = [one for one in raised if one not in NEEDS_ROOT]
        if not raised:
            pytest.skip("only root has rights to give up")
    said = attempt(name, argument.get(name, ""), *raised)
    # A process that is replaced by a program which cannot read its own libraries ends, and has done nothing.
    assert said.startswith("failed") or (name == "execute" and wall == "limits" and "ended" in said), said
    assert "canary" not in said and argument["reached"] == []
    assert not argument["execute"].exists() and not argument["write"].exists()


@pytest.mark.parametrize("name", STOPPED_BY)
def test_all_walls_together_stop_it(attempt, argument, name):
    assert attempt(name, argument.get(name, ""), *walls.ORDER).startswith("failed")


def test_a_process_that_spins_is_ended_by_its_limit(attempt):
    assert attempt("spin", "", "limits") == "parsing it takes more than 1 s of processor time"


def test_no_descriptor_but_the_socket_is_left(attempt):
    assert attempt("write_to_other_descriptors", "") == "done: []"


def test_no_variable_of_the_parent_is_there_and_then_none_at_all(attempt):
    assert attempt("get_the_environment", "") == "done: ['LC_ALL', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'TZ']"
    assert attempt("get_the_environment", "", "environment") == "done: []"


@pytest.mark.skipif(not IS_ROOT, reason="only root has rights to give up")
def test_root_is_nobody(attempt):
    assert attempt("be_root", "") == "done: 0"
    assert attempt("be_root", "", "nobody") == f"done: {walls.NOBODY}"


def test_the_filter_of_calls_lets_write_to_the_socket_only(tmp_path):
    """In a process by itself, because those of the sandbox have no other descriptor to begin with."""
    program = (
        "import os, socket; from storage.ingest.sandbox import walls; "
        "a, b = socket.socketpair(); c = os.dup(a.fileno()); os.dup2(b.fileno(), walls.SOCKET)\n"
        "walls.kernel_calls()\n"
        "assert os.write(walls.SOCKET, b'x') == 1\n"
        "try: os.write(c if c != walls.SOCKET else a.fileno(), b'x')\n"
        "except PermissionError: os._exit(5)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 5


def test_the_filter_ends_a_process_that_calls_as_another_kind_of_processor():
    steps = list(seccomp._steps(seccomp.MACHINES["x86_64"], 3))
    assert steps[:3] == [(0x20, 0, 0, 4), (0x15, 1, 0, 0xC000003E), (0x06, 0, 0, 0x80000000)]


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filters_of_both_kinds_of_processor_allow_calls_of_the_same_names(machine):
    known, other = seccomp.MACHINES[machine], seccomp.MACHINES["x86_64"]
    assert known.plain.keys() | {"time"} == other.plain.keys() | {"time"}
    assert (known.on_socket.keys(), known.mapping.keys()) == (other.on_socket.keys(), other.mapping.keys())
    numbers = [*known.plain.values(), *known.on_socket.values(), *known.mapping.values()]
    assert len(numbers) == len(set(numbers))


def test_missing_walls_are_told_once_and_refused_where_they_are_required(tmp_path, caplog, monkeypatch):
    (tmp_path / "be_root").write_text("")
    store = ObjectStore(f"file://{tmp_path}")
    some = [name for name in walls.ORDER if name != "landlock"]
    needy = Sandbox(LIMITS, raised=some, program=PROGRAM, required=True)
    with pytest.raises(SandboxAway, match="landlock"):
        needy.inspect(store, "be_root", store.stat("be_root"))
    needy.close()
    lacking = Sandbox(LIMITS, program=("tests.storage.ingest.sandbox.hostile", "main_without_landlock"))
    for _ in range(2):
        with pytest.raises(Refused, match="done"):
            lacking.inspect(store, "be_root", store.stat("be_root"))
    assert caplog.text.count("without some walls") == 1 and "no Landlock" in caplog.text
    lacking.required = True
    with pytest.raises(SandboxAway, match="no Landlock"):
        lacking.inspect(store, "be_root", store.stat("be_root"))
    lacking.close()

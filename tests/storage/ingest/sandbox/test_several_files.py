"""What parses a recording may read the files of it that its parent hands in, so much of each, and no other."""

from __future__ import annotations

import os

import pytest

from storage.errors import FileChanged, Refused
from storage.ingest.file_sets import Member, SetStat
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from storage.ingest.sandbox.serving import OpenedSet, Overasked
from storage.objectstore import ObjectStore
from tests.storage.ingest.sandbox.hostile import PROGRAM

FILES = {"main.meta": b"main", "read.npy": b"0123456789", "served.bin": b"secret" * 1000}


@pytest.fixture
def store(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "other").write_bytes(b"other")
    return ObjectStore(f"file://{tmp_path}")


@pytest.fixture
def members(store):
    return tuple(Member(name, name, store.stat(name), name != "served.bin") for name in FILES)


def test_ranges_of_each_come_from_its_own_version(store, members, tmp_path):
    with OpenedSet(store, members, Limits()) as files:
        assert bytes(files.beginning()) == b"main"
        assert [bytes(part) for part in files.answer([1, [[2, 3], [0, 1]]])] == [b"234", b"0"]
        (tmp_path / "read.npy").write_bytes(b"another, and longer")
    with OpenedSet(store, members, Limits()) as files, pytest.raises(FileChanged):
        files.answer([1, [[2, 3]]])


@pytest.mark.parametrize(
    "asked",
    [
        [2, [[0, 1]]],
        [3, [[0, 1]]],
        [-1, [[0, 1]]],
        [True, [[0, 1]]],
        ["other", [[0, 1]]],
        [1.0, [[0, 1]]],
        [[0, 1]],
        [1, [[0, 1]], 2],
        [1, [[0, 11]]],
        [1, [[-1, 1]]],
        [1, []],
        [1, [[0, 1]] * 5000],
        None,
        {"file": 1},
    ],
    ids=str,
)
def test_other_files_and_other_bytes_are_not_handed_out(store, members, asked):
    with OpenedSet(store, members, Limits()) as files, pytest.raises(Overasked):
        files.answer(asked)


def test_all_files_together_have_one_budget(store, members):
    limits = Limits(file_reads=0, more_fetched_nbytes=10_000, range_nbytes=4096)
    with OpenedSet(store, members, limits) as files:
        files.answer([0, [[0, 4]]])
        files.answer([1, [[0, 4]]])
        with pytest.raises(Overasked, match="more bytes"):
            files.answer([0, [[0, 4]]])


def test_what_is_only_served_does_not_count(store, members):
    with OpenedSet(store, members, Limits()) as files:
        assert files.nbytes == 14


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ask_for_a_second_file", "may not read"),
        ("ask_for_what_is_only_served", "may not read"),
        ("tell_of_a_strange_file", "does not hold together"),
        ("tell_of_no_file", "does not hold together"),
        ("tell_of_more_than_a_file_has", "does not hold together"),
        ("wait_with_a_page", "cannot be shown"),
        ("wait_for_ever", "waits for what nobody writes"),
    ],
)
def test_processes_that_try_get_their_recording_refused(store, tmp_path, name, reason):
    hostile = Sandbox(Limits(wall_s=5), program=PROGRAM)
    main = f"{name}.meta"
    (tmp_path / main).write_bytes(b"main")
    for path in (tmp_path / main, tmp_path / "served.bin"):
        os.utime(path, (1e9, 1e9))
    members = [
        Member(main, main, store.stat(main)),
        Member("served.bin", "served.bin", store.stat("served.bin"), False),
    ]
    stat = SetStat(4, "several", None, tuple(members))
    try:
        with pytest.raises(Refused, match=reason):
            hostile.inspect(store, main, stat)
    finally:
        hostile.close()

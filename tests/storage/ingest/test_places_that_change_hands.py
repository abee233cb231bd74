"""Other files in known places, known files in other places, and places that cannot be looked into."""

from __future__ import annotations

import os
import shlex
from datetime import timedelta

import h5py
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.files import StoredFile
from storage.catalog.jobs import Job
from storage.errors import NotStored, StoreAway
from storage.ingest.places import recordings_at
from storage.ingest.register import Overtaken, _renamed
from storage.ingest.unregister import registered_at, unregister
from storage.objectstore import ObjectStore
from storage.stores.folder import NOT_FOLLOWED
from tests.archive import Archive
from tests.storage.ingest.flat_files import settled, write_imec
from tests.storage.ingest.test_again import SIGNAL, mark, work, write


@pytest.fixture
def archive(tmp_path, database_url):
    (tmp_path / "lab").mkdir()
    (tmp_path / "stores.toml").write_text(f'[drive]\nurl = "file://{tmp_path}/drive"\n')
    stores = str(tmp_path / "stores.toml")
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url, EPHYSTORE_STORES=stores)


def run(archive, line):
    result = archive.app.test_cli_runner().invoke(args=shlex.split(line))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def samples(path, value):
    """Make samples of a file known again."""
    with h5py.File(path, "r+") as file:
        file["processing/deep/er/a/data"][...] = value
    return path


def values(archive):
    answer = archive.get(SIGNAL)
    link = answer.json["selected"][0]["fields"]["signal"]["data"]
    return archive.get(f"{link}?format=json")


class TestAnotherRecordingInTheSamePlace:
    @pytest.mark.parametrize("order", ["old first", "new first", "by one command"])
    def test_nothing_of_the_one_before_is_told_of_it(self, archive, tmp_path, order):
        archive.add_user("anne")
        place = samples(write(tmp_path / "lab/day.nwb", "one"), 111)
        archive.register(place, owner="anne", safety_level=3)
        anne = archive.logged_in("anne")
        anne.post(f"{SIGNAL}/", json={"name": "published", "safety_level": 1})
        assert values(archive).json == [111] * 10
        place.rename(tmp_path / "lab/old day.nwb")
        samples(write(place, "two"), 777)
        if order == "by one command":
            code, said = run(archive, f"register --owner anne '{tmp_path}/lab'")
            assert code == 0, said
        else:
            names = ["old day.nwb", "day.nwb"]
            outcomes = {
                name: archive.register(tmp_path / "lab" / name, owner="anne", safety_level=3).state
                for name in (names if order == "old first" else names[::-1])
            }
            assert outcomes == {"old day.nwb": "moved", "day.nwb": "registered"}
        assert values(archive).json == [111] * 10
        assert archive.fields(SIGNAL)["name"] == "published"
        assert archive.get("/electrophysiology/irsaanalogsignal/").json["objects_total"] == 1
        assert anne.get("/electrophysiology/irsaanalogsignal/").json["objects_total"] == 4

    def test_of_one_that_is_nowhere_it_is_told_that_it_is_missing(self, archive, tmp_path):
        place = write(tmp_path / "lab/day.nwb", "one")
        archive.register(place, safety_level=1)
        write(place, "two")
        assert archive.register(place).state == "registered"
        assert values(archive).json["message_type"] == "missing"
        assert archive.register(place).state == "unchanged"

    def test_who_reads_it_meanwhile_gets_neither(self, archive, tmp_path):
        place = write(tmp_path / "lab/day.nwb", "one")
        archive.register(place, safety_level=1)
        samples(write(place, "two", series=("a", "b", "c")), 777)
        assert values(archive).status_code == 409
        work(archive)
        assert values(archive).json["message_type"] == "missing"


class TestCopies:
    def test_what_calls_itself_the_same_but_is_another_length_is_new(self, archive, tmp_path):
        archive.add_user("anne")
        place = write(tmp_path / "lab/a.nwb")
        archive.register(place, owner="anne", safety_level=1)
        place.unlink()
        (tmp_path / "lab/other").touch()
        forged = samples(write(tmp_path / "lab/b.nwb", series=("a", "b", "c")), 777)
        assert archive.register(forged).state == "registered"
        assert values(archive).json["message_type"] in ("not_stored", "missing")
        forged.unlink()
        assert archive.register(write(tmp_path / "lab/c.nwb", series="abcd"), owner="anne").state == "moved"

    def test_what_was_unregistered_is_not_brought_back_by_a_file_elsewhere(self, archive, tmp_path):
        place = write(tmp_path / "lab/a.nwb")
        archive.register(place, safety_level=1)
        unregister(archive.services.engine, f"file://{place}")
        place.rename(tmp_path / "lab/b.nwb")
        assert archive.register(tmp_path / "lab/b.nwb", safety_level=3).state == "registered"
        assert archive.get("/electrophysiology/block/").json["objects_total"] == 0

    def test_what_was_uploaded_or_imported_was_not_moved(self, archive, tmp_path):
        """Such files go by keys, which no list of a place has."""
        place = write(tmp_path / "lab/a.nwb")
        archive.register(place)
        with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
            session.scalars(select(StoredFile)).one().name = "datafiles/aa/a.h5"
        place.rename(tmp_path / "lab/b.nwb")
        assert archive.register(tmp_path / "lab/b.nwb").state == "registered"

    def test_a_row_that_somebody_else_has_renamed_is_not_renamed_again(self, archive, tmp_path):
        archive.register(write(tmp_path / "lab/a.nwb"))
        with Session(archive.services.engine) as session:
            moved = session.scalars(select(StoredFile)).one()
            session.expunge(moved)
        with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
            session.scalars(select(StoredFile)).one().name = "file:///elsewhere.nwb"
        with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
            with pytest.raises(Overtaken):
                _renamed(session, moved, "file:///here.nwb")
            assert session.scalars(select(StoredFile.name)).one() == "file:///elsewhere.nwb"

    def test_places_that_differ_in_case_are_two(self, archive, tmp_path):
        for name in ("lab/a", "lab/A"):
            archive.register(write(tmp_path / name / "x.nwb", name))
        engine = archive.services.engine
        assert registered_at(engine, f"file://{tmp_path}/lab/a") == [f"file://{tmp_path}/lab/a/x.nwb"]

    def test_what_was_unregistered_is_not_missed(self, archive, tmp_path):
        place = write(tmp_path / "lab/a.nwb")
        (tmp_path / "lab/b.h5").touch()
        archive.register(place)
        unregister(archive.services.engine, f"file://{place}")
        place.unlink()
        assert mark(archive, tmp_path / "lab") == []


class TestWhatCannotBeLookedInto:
    @pytest.fixture
    def drive(self, archive, tmp_path):
        archive.register(write(tmp_path / "drive/night/a.nwb"), safety_level=1)
        code, said = run(archive, "register --safety-level 1 drive:")
        assert code == 0, said
        return tmp_path / "drive"

    @pytest.mark.parametrize("how", ["gone", "empty", "not configured"])
    def test_nothing_is_marked_or_moved(self, archive, tmp_path, drive, how):
        unregister(archive.services.engine, f"file://{drive}/night/a.nwb")
        drive.rename(tmp_path / "unmounted")
        if how == "empty":
            drive.mkdir()
        service = archive
        if how == "not configured":
            service = Archive(tmp_path, EPHYSTORE_DATABASE_URL=archive.settings.database_url)
        code, said = run(service, "register drive:")
        assert (code == 1 and "cannot be told" in said) or "no store named drive" in said, said
        copy = write(tmp_path / "lab/copy.nwb")
        os.truncate(copy, (tmp_path / "unmounted/night/a.nwb").stat().st_size)
        with pytest.raises(StoreAway):
            service.register(copy)
        if how == "empty":
            drive.rmdir()
        (tmp_path / "unmounted").rename(drive)
        code, said = run(archive, "register drive:")
        assert code == 0 and "unchanged" in said, said

    def test_folders_that_were_emptied_are_not_taken_for_one_that_is_away(self, tmp_path):
        store = ObjectStore(f"file://{tmp_path}/store")
        (tmp_path / "lab").mkdir()
        assert not store.is_there(f"file://{tmp_path}/lab/a.nwb")
        with pytest.raises(StoreAway, match=r"whether a\.nwb is there cannot be told: lab is empty"):
            store.is_there(f"file://{tmp_path}/lab/night/a.nwb")


class TestLeftOut:
    def test_links_that_lead_out_are_told_and_not_followed(self, archive, tmp_path):
        secret = write(tmp_path / "secret/a.nwb", "two")
        write(tmp_path / "lab/b.nwb")
        (tmp_path / "lab/link.nwb").symlink_to(secret)
        code, said = run(archive, f"register '{tmp_path}/lab'")
        assert code == 0 and f"left out  file://{tmp_path}/lab/link.nwb: {NOT_FOLLOWED}" in said, said
        assert "registered  b.nwb" in said and "registered  link.nwb" not in said
        for place in ("link.nwb", "folder/a.nwb"):
            (tmp_path / "lab/folder").unlink(missing_ok=True)
            (tmp_path / "lab/folder").symlink_to(tmp_path / "secret")
            with pytest.raises(NotStored, match="not served"):
                archive.services.store.stat(f"file://{tmp_path}/lab/{place}")

    def test_in_a_named_store_links_may_lead_within_it(self, archive, tmp_path):
        target = write(tmp_path / "drive/.annex/x1.nwb")
        (tmp_path / "drive/a.nwb").symlink_to(target)
        (tmp_path / "drive/b.nwb").symlink_to(write(tmp_path / "secret/b.nwb", "two"))
        code, said = run(archive, "register --safety-level 1 drive:")
        assert code == 0 and "registered  a.nwb" in said and "left out  drive:b.nwb: it is, or lies behind" in said, (
            said
        )
        assert values(archive).json == list(range(10))

    @pytest.mark.parametrize("place", ["{0}", "{0}/data/store", "{0}/data/store/datafiles", "all:", "own:"])
    def test_the_services_own_files_are_no_recordings(self, tmp_path, place):
        (tmp_path / "stores.toml").write_text(
            f'[all]\nurl = "file://{tmp_path}"\n[own]\nurl = "file://{tmp_path}/data/store/datafiles"\n'
        )
        archive = Archive(tmp_path, EPHYSTORE_STORES=str(tmp_path / "stores.toml"))
        store = archive.services.store
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["x"] = np.arange(10)
        store.put("datafiles/aa/private.h5", (tmp_path / "a.h5").read_bytes())
        root = store.root_url.removeprefix("file://")
        asked = place.format(tmp_path).replace(f"{tmp_path}/data/store", root)
        found = recordings_at(store, asked) if place != "own:" or root == f"{tmp_path}/data/store" else None
        if found is not None:
            assert [one.name.rpartition("/")[2].rpartition(":")[2] for one in found.files] in (["a.h5"], [])
            assert not any("private" in one.name for one in found.files)
            assert any("the service's own files" in reason for _, reason in found.left_out)

    def test_names_that_are_no_text_keep_nothing_else_from_being_registered(self, archive, tmp_path):
        write(tmp_path / "lab/a.nwb")
        odd = os.fsencode(tmp_path / "lab") + b"/\xe4.nwb"
        with open(odd, "wb") as file:
            file.write((tmp_path / "lab/a.nwb").read_bytes())
        for command in ("register --dry-run", "register"):
            code, said = run(archive, f"{command} '{tmp_path}/lab'")
            assert code == 0 and r"lab/\udce4.nwb: its name is not UTF-8; give it another" in said, said
        for command in ("register", "import", "check", "unregister"):
            result = archive.app.test_cli_runner().invoke(args=[command, os.fsdecode(odd)])
            assert result.exit_code and r"\udce4.nwb: its name is not UTF-8" in result.output, (command, result.output)
            assert result.exception is None or isinstance(result.exception, SystemExit)

    def test_names_cannot_write_on_the_terminal(self, archive, tmp_path):
        write(tmp_path / "lab/a\x1b[31mred\n.nwb")
        for line in ("register '{}'", "register --dry-run '{}'", "unregister '{}'"):
            result = archive.app.test_cli_runner().invoke(args=shlex.split(line.format(tmp_path / "lab")), color=True)
            assert result.exit_code == 0 and "\x1b[31m" not in result.output, (line, result.output)


def test_a_dry_run_tells_what_the_command_then_does(archive, tmp_path):
    for name in ("same", "changed", "moved", "gone"):
        write(tmp_path / f"lab/{name}.nwb", name)
    (tmp_path / "lab/a.abf").touch()
    (tmp_path / "lab/b.edf").touch()
    assert run(archive, f"register '{tmp_path}/lab'")[0] == 0
    write(tmp_path / "lab/changed.nwb", "changed", series=("a", "b", "c"))
    (tmp_path / "lab/moved.nwb").rename(tmp_path / "lab/elsewhere.nwb")
    (tmp_path / "lab/gone.nwb").unlink()
    write(tmp_path / "lab/new.nwb", "new")
    code, said = run(archive, f"register --dry-run '{tmp_path}/lab'")
    words = {line.split()[0]: line.split()[1] for line in said.splitlines()}
    assert code == 0 and {word: words.get(word) for word in ("new", "update", "move", "unchanged", "missing")} == {
        "new": "1", "update": "1", "move": "1", "unchanged": "1", "missing": "1",
    }, said  # fmt: skip
    assert "a.abf and 1 more: of other formats, which are imported rather than registered" in said
    code, said = run(archive, f"register '{tmp_path}/lab'")
    last = [line.split() for line in said.splitlines()[-6:]]
    assert code == 0 and {word: number for word, number, *_ in last if number.isdigit()} == {
        "registered": "1", "updated": "1", "moved": "1", "unchanged": "1", "missing": "1",
    }, said  # fmt: skip


def test_a_file_of_another_format_is_called_what_it_is(archive, tmp_path):
    (tmp_path / "lab/a.abf").write_bytes(b"ABF2" + bytes(1000))
    for command in ("check", "register"):
        code, said = run(archive, f"{command} '{tmp_path}/lab/a.abf'")
        assert code == 1 and "it is an ABF file; 'flask import' makes objects of it" in said, said


@pytest.mark.parametrize("first", ["with a name", "without one"])
def test_what_calls_itself_nothing_is_another_recording_than_what_has_a_name(archive, tmp_path, first):
    archive.add_user("anne")
    place, aside = tmp_path / "lab/day.nwb", tmp_path / "drive/aside.nwb"
    aside.parent.mkdir()
    names = ["one", " "] if first == "with a name" else [" ", "two"]
    archive.register(samples(write(place, names[0]), 111), owner="anne", safety_level=1)
    place.rename(aside)
    samples(write(place, names[1]), 777)
    code, said = run(archive, f"register --dry-run '{tmp_path}/lab'")
    assert code == 0 and "       new  1 file" in said, said
    assert archive.register(place, owner="anne", safety_level=3).state == "registered"
    assert values(archive).json["message_type"] == "missing"
    aside.replace(place)
    outcome = archive.register(place, owner="anne", safety_level=1)
    if first == "with a name":
        assert outcome.state == "moved" and archive.fields(SIGNAL)["signal"]["data"]
        assert values(archive).json == [111] * 10


def test_what_is_told_later_counts_for_files_that_wait(archive, tmp_path):
    path = write(tmp_path / "lab/a.nwb")
    for level, owner in ((1, "anne"), (3, "bob")):
        archive.add_user(owner)
        code, said = run(archive, f"register --queue --owner {owner} --safety-level {level} '{path}'")
        assert code == 0, said
    assert run(archive, f"register '{path}'")[0] == 0
    work(archive)
    assert archive.get("/electrophysiology/block/").json["objects_total"] == 0
    (block,) = archive.logged_in("bob").get("/electrophysiology/block/").json["selected"]
    assert block["fields"]["safety_level"] == 3


def test_unregistering_gives_up_what_waits_to_be_registered_for_the_first_time(archive, tmp_path):
    path = write(tmp_path / "lab/a.nwb")
    assert run(archive, f"register --queue --safety-level 1 '{path}'")[0] == 0
    code, said = run(archive, f"unregister '{tmp_path}/lab'")
    assert code == 0, said
    work(archive)
    assert archive.get("/electrophysiology/block/").json["objects_total"] == 0


def test_who_reads_a_changed_recording_of_several_files_has_all_of_it_registered_again(archive, tmp_path):
    write_imec(tmp_path / "lab")
    settled(tmp_path / "lab")
    assert run(archive, f"register --safety-level 1 '{tmp_path}/lab'")[0] == 0
    link = archive.get("/electrophysiology/analogsignalarray/").json["selected"][0]["fields"]["signal"]["data"]
    binary = tmp_path / "lab/run_g0_t0.imec0.ap.bin"
    content = bytearray(binary.read_bytes())
    content[0] ^= 1
    binary.write_bytes(content)
    settled(tmp_path / "lab", age_s=7200)
    with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
        for job in session.scalars(select(Job)):  # as if it had been long ago
            job.date_finished -= timedelta(hours=1)
    answer = archive.get(f"{link}?end_index=5&format=json")
    assert answer.status_code == 409 and "registered again" in answer.json["message"]
    work(archive)
    assert archive.get(f"{link}?end_index=5&format=json").status_code == 200

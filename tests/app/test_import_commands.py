"""``flask import``: recordings of other formats, from a terminal."""

from __future__ import annotations

import resource
import struct

import numpy as np
import pytest
from sqlalchemy import select

from storage.catalog.files import StoredFile
from storage.uploads.tidy import find_stray
from tests.app.test_import import nwb
from tests.archive import Archive
from tests.people import logged_in
from tests.storage.ingest.vendor import rigs
from tests.storage.ingest.vendor.files import brainvision, edf


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def anne(archive):
    return logged_in(archive, "anne")


def test_files_beside_are_found_and_a_second_time_changes_nothing(archive, tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    for name, content in brainvision(np.arange(20).reshape(10, 2)).items():
        (folder / name).write_bytes(content)
    run = archive.app.test_cli_runner().invoke
    result = run(args=["import", str(folder / "rec.vhdr"), "--owner", "anne", "--safety-level", "2"])
    assert result.exit_code == 0 and "imported  rec.vhdr: 1 block, 1 segment" in result.output
    (block,) = logged_in(archive, "bob").get("/electrophysiology/block/").json["selected"]
    assert block["fields"]["safety_level"] == 2
    assert "unchanged  rec.vhdr" in run(args=["import", str(folder / "rec.vhdr")]).output


def test_files_that_make_one_recording_are_one(archive, tmp_path):
    samples = np.arange(2048).reshape(1024, 2)
    written = {f"CSC{n}.ncs": rigs.ncs(f"CSC{n}", samples[:, n], number=n) for n in (0, 1)}
    written |= {name: rigs.ns5([(0, samples)]) for name in ("a.ns5", "a.ns6", "b.ns5")}
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    places = [str(tmp_path / name) for name in written]
    result = archive.app.test_cli_runner().invoke(args=["import", *places, "--safety-level", "1"])
    assert result.exit_code == 0 and "left out" not in result.output, result.output
    blocks = archive.get("/electrophysiology/block/").json["selected"]
    assert sorted(one["fields"]["name"] for one in blocks) == ["CSC0", "a", "b"]


def test_a_changed_file_keeps_its_objects(archive, anne, tmp_path):
    path = tmp_path / "a.edf"
    path.write_bytes(edf([("EEG", "uV", np.arange(100), 100)]))
    run = archive.app.test_cli_runner().invoke
    assert run(args=["import", str(path), "--owner", "anne"]).exit_code == 0
    (before,) = anne.get("/electrophysiology/analogsignal/").json["selected"]
    path.write_bytes(edf([("EEG", "uV", np.arange(200) + 5, 100)]))
    assert "imported  a.edf" in run(args=["import", str(path), "--owner", "anne"]).output
    (after,) = anne.get("/electrophysiology/analogsignal/").json["selected"]
    assert after["permalink"] == before["permalink"] and after["fields"]["signal"]["shape"] == [200]
    assert anne.get(f"{after['fields']['signal']['data']}?format=json&end_index=2").json == [5, 6]
    with archive.services.session() as session:
        assert len(session.scalars(select(StoredFile)).all()) == 1
    assert find_stray(archive.services.store, archive.services.engine)[0] == []


def test_a_full_temporary_folder_is_said(archive, tmp_path):
    samples = np.random.default_rng(3).integers(-32768, 32767, 4_000_000).astype("<i2")
    (tmp_path / "a.edf").write_bytes(edf([("EEG", "uV", samples, 100_000)]))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, most))
    try:
        result = archive.app.test_cli_runner().invoke(args=["import", str(tmp_path / "a.edf")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert result.exit_code == 1
    assert "a.edf: the worker's temporary folder has no room for it; TMPDIR names another" in result.output
    assert find_stray(archive.services.store, archive.services.engine) == ([], 0)


def test_hdf5_is_registered_in_place(archive, tmp_path):
    (tmp_path / "session.nwb").write_bytes(nwb())
    result = archive.app.test_cli_runner().invoke(args=["import", str(tmp_path / "session.nwb")])
    assert result.exit_code == 0 and "registered  session.nwb: 1 block" in result.output
    assert archive.get("/electrophysiology/block/").json["objects_total"] == 0  # private


def test_what_is_none_of_them_is_left_out(archive, tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04pickle")
    (tmp_path / "b.py").write_bytes(b"print(1)")
    (tmp_path / "c.abf").write_bytes(b"ABF2" + struct.pack("<I", 2**31) * 200)
    names = [str(tmp_path / name) for name in ("a.pkl", "b.py", "c.abf", "missing.abf")]
    result = archive.app.test_cli_runner().invoke(args=["import", *names])
    assert result.exit_code == 1 and result.output.count("of no format that is imported") == 2
    assert "refused  c.abf" in result.output and "missing.abf" in result.output


@pytest.mark.parametrize("command", ["register", "import"])
@pytest.mark.parametrize("told", [[], ["--owner", "anne"], ["--safety-level", "2"]])
def test_what_nobody_would_see_is_noted(archive, tmp_path, command, told):
    (tmp_path / "a.nwb").write_bytes(nwb())
    (tmp_path / "a.edf").write_bytes(edf([("EEG", "uV", np.arange(100), 100)]))
    file = "a.nwb" if command == "register" else "a.edf"
    said = archive.app.test_cli_runner().invoke(args=[command, str(tmp_path / file), *told])
    note = (
        "      note  they are private and nobody's, so that nobody sees them; --owner NAME or --safety-level 1 changes"
    )
    assert said.exit_code == 0 and (note in said.output) == (not told), said.output

"""Recordings of several files are checked, registered, missed and unregistered as one."""

from __future__ import annotations

import shlex

import pytest

from storage.ingest.unregister import registered_at, unregister
from tests.archive import Archive
from tests.storage.ingest.flat_files import settled, write_imec, write_open_ephys


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def folder(tmp_path):
    write_imec(tmp_path / "runs")
    return settled(tmp_path / "runs")


def run(archive, line):
    result = archive.app.test_cli_runner().invoke(args=shlex.split(line))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("place", ["", "/run_g0_t0.imec0.ap.meta", "/run_g0_t0.imec0.ap.bin"])
def test_check_tells_of_it_whichever_file_is_named(archive, folder, place):
    code, said = run(archive, f"check '{folder}{place}'")
    assert code == 0, said
    assert "30000.066421 Hz" in said and "uV" in said


def test_a_dry_run_writes_nothing(archive, folder):
    code, said = run(archive, f"register --dry-run '{folder}'")
    assert code == 0, said
    assert registered_at(archive.services.engine, f"file://{folder}") == []


def test_it_is_missed_when_its_samples_are_gone_and_is_back_with_them(archive, folder):
    assert run(archive, f"register --safety-level 1 '{folder}'")[0] == 0
    link = archive.get("/electrophysiology/analogsignalarray/").json["selected"][0]["fields"]["signal"]["data"]
    before = archive.values(f"{link}?end_index=5")
    samples = folder / "run_g0_t0.imec0.ap.bin"
    samples.rename(folder / "elsewhere")
    run(archive, f"register '{folder}'")
    assert archive.error(link, 404)["message_type"] == "missing"
    (folder / "elsewhere").rename(samples)
    code, said = run(archive, f"register '{folder}'")
    assert code == 0, said
    assert archive.values(f"{link}?end_index=5") == before


def test_it_is_unregistered_and_registered_again(archive, folder):
    assert run(archive, f"register --safety-level 1 '{folder}'")[0] == 0
    address = archive.get("/electrophysiology/analogsignalarray/").json["selected"][0]["permalink"]
    (url,) = registered_at(archive.services.engine, f"file://{folder}")
    assert unregister(archive.services.engine, url)
    assert archive.get(address).status_code == 404
    assert run(archive, f"register '{folder}'")[0] == 0
    assert archive.get(address).status_code == 200


@pytest.mark.parametrize("named", ["", "structure.oebin", "continuous/Neuropix-PXI-100.A-AP/continuous.dat"])
def test_a_store_that_is_one_recording(tmp_path, named):
    oebin, _ = write_open_ephys(tmp_path / "runs")
    settled(tmp_path / "runs")
    (tmp_path / "stores.toml").write_text(f'[lab]\nurl = "file://{oebin.parent}"\n')
    archive = Archive(tmp_path, EPHYSTORE_STORES=str(tmp_path / "stores.toml"))
    code, said = run(archive, f"register --safety-level 1 'lab:{named}'")
    assert code == 0 and "registered  structure.oebin" in said and "left out" not in said, said
    assert archive.get("/electrophysiology/analogsignalarray/").json["objects_total"] > 0


def test_what_is_still_recorded_waits(archive, folder):
    samples = folder / "run_g0_t0.imec0.ap.bin"
    whole = samples.read_bytes()
    samples.write_bytes(whole[:-8])
    code, said = run(archive, f"register --dry-run '{folder}'")
    assert code == 0 and "      wait  1 file\n" in said and "it may still be being recorded" in said, said
    code, said = run(archive, f"register '{folder}'")
    assert code == 1 and "     later  run_g0_t0.imec0.ap.meta: " in said and "Error: nothing is registered\n" in said, (
        said
    )
    samples.write_bytes(whole)
    settled(folder)
    code, said = run(archive, f"register '{folder}'")
    assert code == 0 and "registered  run_g0_t0.imec0.ap.meta" in said, said

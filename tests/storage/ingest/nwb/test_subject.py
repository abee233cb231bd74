"""What a file says of an animal or a person is told where the operator says so, and nowhere else."""

from __future__ import annotations

import h5py
import pytest
from pynwb.file import Subject

from app.job_commands import one_worker
from storage.ingest.places import url_of
from storage.ingest.register import Options, register
from storage.jobs.again import register_again
from tests.archive import Archive
from tests.storage.ingest.nwb.written import objects, session, write

SUBJECT = {"subject_id": "M12", "species": "Mus musculus", "sex": "F", "age": "P90D", "genotype": "wt"}


@pytest.fixture
def path(tmp_path):
    made = session(subject=Subject(description="a mouse", **SUBJECT))
    return write(made, tmp_path / "x.nwb")


def told(archive):
    (block,) = objects(archive, "block")
    return block["annotations"].get("subject")


def test_nothing_is_told_of_the_subject_unless_the_setting_says_so(archive, path):
    archive.register(path)
    assert told(archive) is None
    for name in ("block", "segment"):
        assert "musculus" not in archive.get(f"/electrophysiology/{name}/").text


@pytest.mark.parametrize("shown", ["0", "1"])
def test_flask_register_asks_the_setting(tmp_path, path, shown):
    archive = Archive(tmp_path, EPHYSTORE_SHOW_SUBJECT=shown)
    answer = archive.app.test_cli_runner().invoke(args=["register", "--safety-level", "1", str(path)])
    assert answer.exit_code == 0, answer.output
    found = told(archive)
    assert found == (None if shown == "0" else {**found, **SUBJECT, "description": "a mouse"})


def test_registering_again_follows_the_setting(archive, path):
    services, url = archive.services, url_of(str(path))
    for shown, state in ((False, "registered"), (True, "updated"), (True, "unchanged"), (False, "updated")):
        options = Options(safety_level=1, show_subject=shown)
        assert register(services.store, services.engine, url, options).state == state
        assert (told(archive) is not None) == shown
        assert Options.from_json(options.as_json()) == options


@pytest.mark.parametrize("shown", ["0", "1"])
def test_a_file_that_a_worker_looks_into_again_follows_the_setting_of_now(tmp_path, path, shown):
    now, url = Archive(tmp_path, EPHYSTORE_SHOW_SUBJECT=shown), url_of(str(path))
    register(now.services.store, now.services.engine, url, Options(safety_level=1, show_subject=shown == "0"))
    assert (told(now) is None) == (shown == "1")
    with h5py.File(path, "r+") as file:
        file.attrs["changed"] = 1
    assert register_again(now.services.engine, url)  # as whoever reads an array of it has it done
    with one_worker(now.services) as worker:
        assert worker.drain() == 1
    assert (told(now) is None) == (shown == "0")
    assert "unchanged" in now.app.test_cli_runner().invoke(args=["register", str(path)]).output

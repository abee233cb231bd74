"""What is answered where there is no overview: samples, or that one must wait for it, or that there will be none."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from storage.catalog.files import Datafile
from storage.catalog.jobs import Job
from storage.jobs import overview as making
from storage.jobs.overview import ask_for_missing
from tests.app.test_overviews import jobs, link_of, noise, row, work
from tests.archive import Archive


@pytest.fixture
def scarce(tmp_path, database_url):
    """A service that reads at most a megabyte of samples for points."""
    return Archive(
        tmp_path, EPHYSTORE_DATABASE_URL=database_url, EPHYSTORE_OVERVIEW_FROM_MB="1", EPHYSTORE_SAMPLES_MB="1"
    )


def test_until_there_is_one_long_stretches_wait_for_it_and_its_job_goes_first(scarce):
    for name in ("other", "rat"):
        fields = scarce.add(name, noise(2_000_000))
    ask_for_missing(scarce.services.engine, scarce.settings.overviews)
    link = link_of(fields)
    assert scarce.get(f"{link}?end_index=400000&downsample=100").status_code == 200
    answer = scarce.get(f"{link}?downsample=100")
    assert answer.status_code == 503 and answer.json["message_type"] == "overview_needed"
    assert answer.json["details"] == {"progress": 0} and int(answer.headers["Retry-After"]) > 0
    assert "ask for a shorter stretch" in answer.json["message"]
    assert [(job.subject.rpartition("/")[2], job.priority) for job in jobs(scarce)] == [("other.h5", 20), ("rat.h5", 5)]
    assert scarce.get(f"{link}?end_index=2000").status_code == 200  # samples themselves are always answered
    assert work(scarce) == 2
    assert scarce.get(f"{link}?downsample=100").status_code == 200
    assert [job.message for job in jobs(scarce)] == ["made", "made"]


def test_who_asks_first_of_all_has_it_made(scarce):
    fields = scarce.add("rat", noise(2_000_000))
    assert scarce.get(f"{link_of(fields)}?downsample=100").status_code == 503
    assert [job.priority for job in jobs(scarce)] == [5]
    assert scarce.get(f"{link_of(fields)}?downsample=100").status_code == 503
    assert len(jobs(scarce)) == 1


def test_of_what_the_settings_leave_out_long_stretches_are_too_large(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url, EPHYSTORE_OVERVIEWS="0", EPHYSTORE_SAMPLES_MB="1")
    fields = archive.add("rat", noise(2_000_000))
    assert work(archive) == 0 and row(archive).overview_state == "left_out"
    answer = archive.get(f"{link_of(fields)}?downsample=100")
    assert answer.status_code == 413 and "4,000,000 bytes" in answer.json["message"] and jobs(archive) == []


def test_what_no_overview_serves_is_too_large_and_asks_for_none(scarce, tmp_path):
    link = link_of(scarce.add("rat", noise(200_000, 40)))
    asked = f"{link}?downsample=50"
    assert scarce.get(asked).json["message_type"] == "overview_needed"
    assert work(scarce) == 1 and scarce.get(asked).status_code == 200
    for _ in range(3):
        answer = scarce.get(f"{link}?downsample=200&entry=64")
        assert answer.status_code == 413 and "no overview for this" in answer.json["message"]
    assert work(scarce) == 0


def test_another_meaning_while_it_is_made_is_another_array(scarce, tmp_path):
    scarce.add("rat", noise(2_000_000))
    found = scarce.services
    ask_for_missing(found.engine, found.settings.overviews)
    (job,) = jobs(scarce)
    outcome = making.make_overview(found.store, found.engine, found.settings.overviews, making.Held(job, None))
    scarce.register(scarce.folder / "rat.h5", sampling_rate=(20000, "Hz"), units="mV")
    with Session(found.engine.execution_options(writes=True)) as session, session.begin():
        before = session.get_one(Datafile, 1)
        guid, before.calibration = before.guid, {"gain": [-0.5], "offset": 0.0}
    scarce.register(scarce.folder / "rat.h5", sampling_rate=(20000, "Hz"), units="V")
    assert row(scarce).guid != guid and row(scarce).calibration is None
    with Session(found.engine.execution_options(writes=True)) as session, session.begin():
        own = session.get_one(Job, job.id)
        outcome(session, own)
        assert own.message.startswith("overtaken")


def test_what_was_left_out_is_made_once_the_settings_allow_it_and_somebody_asks(tmp_path, database_url):
    variables = {"EPHYSTORE_DATABASE_URL": database_url, "EPHYSTORE_SAMPLES_MB": "1"}
    archive = Archive(tmp_path, **variables, EPHYSTORE_OVERVIEWS="0")
    link = link_of(archive.add("rat", noise(4_000_000)))
    work(archive)
    assert archive.get(f"{link}?downsample=100").status_code == 413
    again = Archive(tmp_path, migrated=False, **variables)
    assert again.get(f"{link}?downsample=100").json["message_type"] == "overview_needed"
    assert work(again) == 1 and again.get(f"{link}?downsample=100").status_code == 200


def test_of_a_file_that_is_gone_no_overview_is_promised(scarce):
    fields = scarce.add("rat", noise(2_000_000))
    (scarce.folder / "rat.h5").unlink()
    for _ in range(2):
        assert scarce.get(f"{link_of(fields)}?downsample=100").status_code == 404
    assert jobs(scarce) == []

"""Who may have what imported, and what counts when it is asked again or by another."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from sqlalchemy import update

from storage.catalog.base import FRIENDLY, User
from storage.catalog.files import Datafile
from tests.app.test_import import imported, info, nwb, upload, work
from tests.archive import Archive
from tests.people import logged_in
from tests.storage.ingest.vendor.files import brainvision, edf

BLOCKS = "/electrophysiology/block/"


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def anne(archive):
    return logged_in(archive, "anne")


def night(seed=1, n_samples=100):
    samples = np.random.default_rng(seed).integers(-9000, 9000, n_samples)
    return edf([("EEG", "uV", samples, 100)])


def change(archive, permalink, **columns):
    """Change the row of a datafile."""
    with archive.services.transaction() as session:
        session.execute(update(Datafile).where(Datafile.id == int(permalink.rpartition("/")[2])).values(columns))


def test_who_may_only_read_it_cannot_import_it_and_who_may_not_does_not_learn_its_name(archive, anne):
    permalink = upload(anne, night(), "secret name.edf")
    work(archive)
    bob = logged_in(archive, "bob")
    refused = bob.post(f"{permalink}/import/")
    assert refused.status_code == 403 and "secret name" not in refused.text
    change(archive, permalink, safety_level=FRIENDLY)
    assert bob.get(f"{permalink}/info/").status_code == 200
    refused = bob.post(f"{permalink}/import/")
    assert refused.status_code == 403 and "only who uploaded secret name.edf can import it" in refused.json["message"]
    assert work(archive) == 0


def test_a_file_that_was_deleted_is_not_imported_with_others(archive, anne):
    links = {name: upload(anne, content, name) for name, content in brainvision(np.zeros((9, 1))).items()}
    work(archive)
    assert anne.delete(f"{links['rec.eeg']}/").status_code == 200
    refused = anne.post(f"{links['rec.vhdr']}/import/", json={"with": [links["rec.eeg"], links["rec.vmrk"]]})
    assert refused.status_code == 400 and f"{links['rec.eeg']} is no datafile of yours" in refused.json["message"]


def test_a_file_that_is_another_persons_by_then_is_not_imported_with_others(archive, anne):
    links = {name: upload(anne, content, name) for name, content in brainvision(np.zeros((9, 1))).items()}
    work(archive)
    logged_in(archive, "bob")
    with archive.services.session() as session:
        bob_id = session.query(User).filter_by(username="bob").one().id
    told = {"with": [links["rec.eeg"], links["rec.vmrk"]]}
    assert anne.post(f"{links['rec.vhdr']}/import/", json=told).status_code == 202
    change(archive, links["rec.eeg"], owner_id=bob_id)
    work(archive)
    told = info(anne, links["rec.vhdr"])
    assert told["import"]["state"] == "refused" and told["block"] is None


def test_nobody_is_told_of_the_subject_of_an_upload(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url, EPHYSTORE_SHOW_SUBJECT="1")
    anne = logged_in(archive, "anne")
    content = io.BytesIO(nwb())
    with h5py.File(content, "r+") as file:
        subject = file.create_group("general/subject")
        subject.attrs["neurodata_type"] = "Subject"
        subject["species"] = "Mus musculus"
    permalink = upload(anne, content.getvalue(), "a.nwb")
    work(archive)
    block = archive.fields(imported(archive, anne, permalink)["block"], anne)
    assert "musculus" not in str(block) and "subject" not in block["annotations"]


def test_the_same_file_for_another_or_with_another_level_is_imported_anew(archive, anne, tmp_path):
    (tmp_path / "a.edf").write_bytes(night())

    def run(*more):
        return archive.app.test_cli_runner().invoke(args=["import", str(tmp_path / "a.edf"), *more]).output

    assert "imported  a.edf" in run("--owner", "anne")
    bob = logged_in(archive, "bob")
    for more, seen in ((["--safety-level", "2"], 1), (["--safety-level", "3"], 0), (["--owner", "bob"], 1)):
        assert "imported  a.edf" in run(*more)
        assert bob.get(BLOCKS).json["objects_total"] == seen
    assert anne.get(BLOCKS).json["objects_total"] == 0
    assert "unchanged  a.edf" in run()


def test_what_is_replaced_makes_room_for_its_owner_alone(archive, tmp_path):
    for username, quota_nbytes in (("rich", 10**9), ("poor", 5000)):
        logged_in(archive, username, quota_nbytes)
    path = tmp_path / "a.edf"

    def run(username):
        return archive.app.test_cli_runner().invoke(args=["import", str(path), "--owner", username]).output

    path.write_bytes(night(n_samples=50_000))
    assert "imported  a.edf" in run("rich")
    assert "over your quota" in run("poor")
    path.write_bytes(night(seed=2, n_samples=50_000))
    assert "imported  a.edf" in run("rich")

"""Importing where everything is in S3: the recordings in a lab's bucket, what they become in the service's own."""

from __future__ import annotations

import numpy as np
import pytest

from storage.uploads.tidy import find_stray
from tests.app.test_import import imported, upload, work
from tests.archive import Archive
from tests.people import logged_in
from tests.s3 import KEYS
from tests.storage.ingest.vendor.files import brainvision, edf

SAMPLES = np.random.default_rng(8).integers(-30_000, 30_000, (20_000, 3)).astype("<i2")


@pytest.fixture
def lab(s3, tmp_path):
    """A lab's bucket with two recordings, one of them of three files."""
    name = f"lab-{abs(hash(str(tmp_path))) % 10**8}"
    s3.create_bucket(name)
    for key, content in brainvision(SAMPLES).items():
        s3.put(f"{name}/drive/day 1/{key}", content)
    s3.put(f"{name}/drive/ä.edf", edf([("EEG", "uV", SAMPLES[:, 0], 1000)]))
    return name


@pytest.fixture
def archive(s3, lab, tmp_path, database_url):
    (tmp_path / "stores.toml").write_text(
        f'[lab]\nurl = "s3://{lab}/drive"\nendpoint = "{s3.url}"\nregion = "us-east-1"\nread_only = true\n'
        f'access_key_id = "{KEYS["aws_access_key_id"]}"\nsecret_access_key = "which-nobody-sees"\n'
    )
    return Archive(
        tmp_path,
        EPHYSTORE_DATABASE_URL=database_url,
        EPHYSTORE_STORES=str(tmp_path / "stores.toml"),
        EPHYSTORE_STORE_URL=f"s3://recordings/{tmp_path.name}",
    )


def test_recordings_of_a_bucket_become_objects_and_nothing_is_written_into_it(archive, s3, lab):
    run = archive.app.test_cli_runner().invoke
    s3.clear()
    said = run(args=["import", "lab:day 1/rec.vhdr", "lab:ä.edf", "--safety-level", "1"])
    assert said.exit_code == 0, said.output
    (multi,) = archive.get("/electrophysiology/analogsignalarray/").json["selected"]
    assert multi["fields"]["signal"]["units"] == "uV"
    np.testing.assert_array_equal(archive.values(multi["fields"]["signal"]["data"]), SAMPLES / 2)
    (single,) = archive.get("/electrophysiology/analogsignal/").json["selected"]
    np.testing.assert_array_equal(archive.values(single["fields"]["signal"]["data"]), SAMPLES[:, 0])
    assert {r.method for r in s3.requests if r.path.startswith(f"/{lab}/")} <= {"GET", "HEAD"}
    assert find_stray(archive.services.store, archive.services.engine)[0] == []
    s3.clear()
    again = run(args=["import", "lab:day 1/rec.vhdr", "lab:ä.edf"])
    assert "unchanged  rec.vhdr" in again.output and "unchanged  ä.edf" in again.output, again.output
    assert not any(r.method in ("PUT", "POST", "DELETE") for r in s3.requests)


def test_an_upload_in_s3_is_imported_for_its_owner(archive):
    anne = logged_in(archive, "anne")
    permalink = upload(anne, edf([("EEG", "uV", SAMPLES[:, 1], 1000)]), "b.edf")
    work(archive)
    assert imported(archive, anne, permalink)["import"]["state"] == "imported"
    (signal,) = anne.get("/electrophysiology/analogsignal/").json["selected"]
    np.testing.assert_array_equal(anne.get(f"{signal['fields']['signal']['data']}?format=json").json, SAMPLES[:, 1])
    assert archive.get("/electrophysiology/analogsignal/").json["objects_total"] == 0


def test_what_is_not_there_is_named_and_leaves_nothing(archive, s3, lab):
    s3.delete(f"{lab}/drive/day 1/rec.eeg")
    run = archive.app.test_cli_runner().invoke
    said = run(args=["import", "lab:day 1/rec.vhdr"])
    assert said.exit_code == 1 and "rec.eeg" in said.output, said.output
    said = run(args=["import", "lab:nowhere.edf"])
    assert said.exit_code == 1 and "nowhere.edf" in said.output and "which-nobody-sees" not in said.output, said.output
    assert archive.get("/electrophysiology/block/").json["objects_total"] == 0
    assert find_stray(archive.services.store, archive.services.engine)[0] == []

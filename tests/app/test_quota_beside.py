"""What the service stores beside uploads counts against the quota of who sent them, however small they are."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest

from storage.catalog import quota
from storage.catalog.base import User
from storage.uploads.tidy import find_stray
from tests.app.test_import import imported, info, upload, work
from tests.archive import Archive
from tests.people import logged_in

N_ROWS = 40_000


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


def used(archive, username):
    with archive.services.session() as session:
        return quota.used_nbytes(session, session.query(User).filter_by(username=username).one().id)


def sidecar_nbytes(archive):
    store = archive.services.store
    return sum(store.stat(key).nbytes for key in store.find_all("sidecars"))


def intervals():
    """An NWB file of few bytes, of which durations, labels and sorted times are made that are many."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.6.0")
        group = file.create_group("intervals/trials")
        group.attrs["neurodata_type"] = "TimeIntervals"
        times = np.zeros(N_ROWS)
        times[0] = 1
        for name, values in (("start_time", times), ("stop_time", times + 1), ("cue_time", times)):
            group.create_dataset(name, data=values, compression="gzip", chunks=(N_ROWS,))
        group.create_dataset("id", data=np.full(N_ROWS, 10**18), compression="gzip", chunks=(N_ROWS,))
    return content.getvalue()


def unwritten():
    """One array of which no chunk was ever written."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("array", (500_000,), "<f4", chunks=(20,))
    return content.getvalue()


def test_what_is_made_of_an_upload_counts_and_what_does_not_fit_is_not_made(archive):
    content = intervals()
    rich = logged_in(archive, "rich", quota_nbytes=10**9)
    permalink = upload(rich, content, "a.nwb")
    work(archive)
    block = imported(archive, rich, permalink)["block"]
    beside = used(archive, "rich") - len(content)
    assert beside == pytest.approx(sidecar_nbytes(archive), rel=0.01) and beside > 50 * len(content)
    assert rich.delete(f"{block}/").status_code == 200
    assert imported(archive, rich, permalink)["block"] == block and used(archive, "rich") == len(content) + beside

    stored = sidecar_nbytes(archive)
    anne = logged_in(archive, "anne", quota_nbytes=2 * beside)  # of three files, not two fit with all that is made
    told = []
    for name in "abc":
        permalink = upload(anne, content, f"{name}.nwb")
        work(archive)
        told.append(imported(archive, anne, permalink)["import"])
    assert [one["state"] for one in told] == ["imported", "refused", "refused"]
    assert f"{beside} bytes more are over your quota" in told[1]["reason"]
    assert sidecar_nbytes(archive) - stored == pytest.approx(beside, rel=0.01)
    assert find_stray(archive.services.store, archive.services.engine)[0] == []
    assert anne.delete(f"{permalink}/").status_code == 200 and used(archive, "anne") == beside + 2 * len(content)


def test_the_places_of_chunks_count(archive):
    content = unwritten()
    anne = logged_in(archive, "anne", quota_nbytes=200_000)
    permalink = upload(anne, content, "a.h5")
    work(archive)
    told = info(anne, permalink)
    assert told["state"] == "refused" and "bytes more are over your quota" in told["reason"]
    assert sidecar_nbytes(archive) == 0 and used(archive, "anne") == len(content)
    rich = logged_in(archive, "rich", quota_nbytes=10**9)
    permalink = upload(rich, content, "a.h5")
    work(archive)
    assert info(rich, permalink)["state"] == "ready"
    assert used(archive, "rich") - len(content) == pytest.approx(sidecar_nbytes(archive), rel=0.01)
    assert rich.delete(f"{permalink}/").status_code == 200 and used(archive, "rich") == 0

"""What a path, folder, URL or prefix has to register, and what registering leaves alone there."""

from __future__ import annotations

import pytest

from storage.errors import NotStored
from storage.ingest.places import files_at
from storage.ingest.survey import survey
from tests.archive import Archive
from tests.storage.ingest.test_register import write_nwb


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


class TestPlaces:
    def test_a_folder_gives_the_recordings_in_it(self, archive, tmp_path):
        folder = tmp_path / "löb 1%"
        (folder / "deeper").mkdir(parents=True)
        for name in ("a.nwb", "b.H5", "deeper/c.hdf5", "notes.txt", ".hidden.h5"):
            (folder / name).touch()
        names = [url.removeprefix(f"file://{folder}/") for url in files_at(archive.services.store, str(folder))]
        assert names == ["a.nwb", "b.H5", "deeper/c.hdf5"]

    def test_a_folder_without_recordings_is_an_error(self, archive, tmp_path):
        with pytest.raises(NotStored):
            files_at(archive.services.store, str(tmp_path / "none"))
        (tmp_path / "bare").mkdir()
        with pytest.raises(NotStored, match="holds 0 files"):
            files_at(archive.services.store, str(tmp_path / "bare"))

    def test_a_zarr_store_is_refused_once_and_its_chunks_are_not_listed(self, archive, tmp_path, s3):
        for number in range(100):
            s3.put(f"recordings/session/probe.nwb.zarr/data/{number}.0", b"x")
        s3.put("recordings/session/z.nwb", write_nwb(tmp_path / "z.nwb").read_bytes())
        found = survey(archive.services.store, ["s3://recordings/session/"])
        assert [one.name for one in found.files] == ["s3://recordings/session/z.nwb"]
        (refusal,) = found.refusals
        assert refusal.path == "s3://recordings/session/probe.nwb.zarr" and "one recording" in refusal.reason
        s3.clear()
        found = survey(archive.services.store, ["s3://recordings/session/probe.nwb.zarr/"])
        assert found.refusals == [refusal] and found.files == [] and s3.requests == []

    def test_a_folder_of_a_zarr_store_alone_is_refused_with_the_reason(self, archive, tmp_path):
        (tmp_path / "bare" / "x.zarr" / "0").mkdir(parents=True)
        (tmp_path / "bare" / "x.zarr" / "0" / "a.nwb").touch()
        for place in ("bare", "bare/x.zarr", "bare/x.zarr/"):
            (refusal,) = survey(archive.services.store, [str(tmp_path / place)]).refusals
            assert refusal.path.endswith("/bare/x.zarr") and "one recording" in refusal.reason

    def test_nothing_is_written_next_to_the_file(self, archive, tmp_path):
        folder = tmp_path / "recordings"
        folder.mkdir()
        path = write_nwb(folder / "alone.nwb")
        before = path.read_bytes()
        archive.register(path)
        assert [one.name for one in folder.iterdir()] == ["alone.nwb"] and path.read_bytes() == before

    def test_an_s3_prefix(self, archive, tmp_path, s3):
        content = write_nwb(tmp_path / "cloud.nwb").read_bytes()
        for key in ("lab/day 1/ä.nwb", "lab/day 2/b.nwb", "lab/readme.md"):
            s3.put(f"recordings/{key}", content)
        urls = files_at(archive.services.store, "s3://recordings/lab/")
        assert urls == ["s3://recordings/lab/day 1/ä.nwb", "s3://recordings/lab/day 2/b.nwb"]
        for url in urls:
            assert archive.register(url).state == "registered"
            assert archive.register(url).state == "unchanged"
        fields = archive.fields("/electrophysiology/irsaanalogsignal/1")
        assert archive.values(fields["signal"]["data"]) == list(range(10))

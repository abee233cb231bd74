"""What somebody may try who means no good, or knows no better."""

from __future__ import annotations

import os
import time
import zlib

import h5py
import numpy as np
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from storage.answer import ReadRequest, prepare
from storage.catalog.arrays import stored_array
from storage.catalog.files import Datafile, ShortIndex
from storage.catalog.models import AnalogSignal
from storage.selection import Selection
from storage.timings import Timings
from tests.archive import Archive
from tests.storage.ingest.test_register import write_nwb


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.mark.parametrize("id_", [2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**18])
def test_ids_that_no_table_holds(archive, id_):
    archive.error(f"/electrophysiology/analogsignal/{id_}", 404)
    archive.error(f"/datafiles/{id_}", 404)
    for query in (f"segment={id_}", f"id__in={id_}", f"recordingchannel={id_}"):
        type_name = "unit" if query.startswith("rec") else "analogsignal"
        assert archive.get(f"/electrophysiology/{type_name}/?{query}").json["selected"] == []
    assert archive.get("/electrophysiology/block/?offset=1000000000000").json["selected"] == []


@pytest.mark.parametrize("name", ["%00", "a%00b"])
def test_names_with_nul_are_400(archive, name):
    for address in ("/electrophysiology/block/", "/datafiles/"):
        assert "name" in archive.error(f"{address}?name={name}", 400)["details"]


@pytest.mark.parametrize("name", ["ü😀", 'a"b', "a\nb", "10%#1", "a%20b"])
def test_files_of_any_name_download(archive, name):
    odd = archive.folder / f"{name}.h5"
    with h5py.File(archive.folder / "plain.h5", "w") as file:
        file["x"] = np.arange(3.0)
    (archive.folder / "plain.h5").rename(odd)
    archive.register(odd, sampling_rate=(1.0, "Hz"))
    (link,) = archive.get("/datafiles/?q=link").json["selected"]
    answer = archive.get(f"{link}/download")
    assert answer.data == odd.read_bytes()
    disposition = answer.headers["Content-Disposition"]
    assert disposition.isascii() and disposition.isprintable()


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(archive):
    signal = archive.add("pipe", np.arange(3.0))
    (archive.folder / "pipe.h5").unlink()
    os.mkfifo(archive.folder / "pipe.h5")
    began = time.perf_counter()
    archive.error(signal["signal"]["data"], 404)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("prefix", ["", "W/"])
def test_if_range_answers_a_part_only_of_the_very_same_file(archive, prefix):
    link = archive.add("range", np.arange(3.0))["signal"]["data"] + "/download"
    etag = archive.get(link).headers["ETag"]
    ranged = {"Range": "bytes=0-3"}
    expected = 206 if not prefix else 200
    assert archive.get(link, headers={**ranged, "If-Range": prefix + etag}).status_code == expected
    assert archive.get(link, headers={**ranged, "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"}).status_code == 200


@pytest.mark.parametrize("harm", ["nbytes", "byte_offset", "gone"])
def test_a_damaged_index_is_told(archive, harm):
    signal = archive.add("damaged", np.arange(4000.0), chunks=(1000,))
    archive.forget_short_indices()
    (sidecar,) = (archive.settings.data / "store" / "sidecars").rglob("*.h5")
    with h5py.File(sidecar, "r+") as file:
        rows = file["chunks"][()]
        if harm != "gone":
            rows[harm] = {"nbytes": 0, "byte_offset": 2**63 + 5}[harm]
        file["chunks"][...] = rows
    if harm == "gone":
        sidecar.write_bytes(sidecar.read_bytes()[:1000])
    document = archive.error(signal["signal"]["data"], 409)
    assert document["message_type"] == "file_damaged" and "registering its file again" in document["message"]


@pytest.mark.parametrize("packed", [b"", b"no zlib", zlib.compress(bytes(16 * 4 - 1)), zlib.compress(bytes(1 << 24))])
def test_a_damaged_index_of_the_catalog_is_told(archive, packed):
    signal = archive.add("damaged", np.arange(4000.0), chunks=(1000,))
    with archive.services.engine.execution_options(writes=True).begin() as connection:
        assert connection.execute(update(ShortIndex).values(packed=packed)).rowcount == 1
    document = archive.error(signal["signal"]["data"], 409)
    assert document["message_type"] == "file_damaged" and "registering its file again" in document["message"]


def test_a_large_array_that_was_never_written_takes_no_memory(archive):
    path = archive.folder / "holes.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (400_000_000,), "f8", chunks=(30_000_000,), fillvalue=7)
    archive.register(path, sampling_rate=(1.0, "Hz"))
    link = archive.fields("/electrophysiology/analogsignal/1")["signal"]["data"]
    reader = archive.services.reader
    assert archive.values(f"{link}?start_index=399999990") == [7] * 10
    with archive.services.session() as session:
        array = stored_array(session.get(Datafile, 1))
    first = next(reader.read(prepare(array, ReadRequest(Selection(0, array.n_samples)), Timings())))
    assert first.nbytes <= 16 << 20 and first[0] == 7


def test_times_share_the_bins_of_a_signal_of_many_channels(archive):
    n_samples, start = 20_000, 37
    times = np.arange(n_samples) / 8
    with h5py.File(write_nwb(archive.folder / "wide.nwb", spikes=(), series=()), "r+") as file:
        for name, samples in (("wide", np.repeat(times[:, None], 40, axis=1)), ("narrow", times)):
            group = file.create_group(name)
            group.attrs["neurodata_type"] = "TimeSeries"
            group["data"] = samples
            group["timestamps"] = times if name == "wide" else file["wide/timestamps"]
    archive.register(archive.folder / "wide.nwb")
    for one in archive.get(
        f"/electrophysiology/irsaanalogsignal/?start_index={start}&downsample=20&method=stride"
    ).json["selected"]:
        signal, shared = (archive.values(one["fields"][name]["data"]) for name in ("signal", "times"))
        assert [np.ravel(row)[0] for row in signal] == shared


def test_private_arrays_and_uses_close_download_and_are_not_for_shared_caches(archive):
    signal = archive.add("mixed", np.arange(3.0))
    link = signal["signal"]["data"]
    assert archive.get(link).headers["Cache-Control"] == "public, no-cache"
    with Session(archive.services.engine) as session, session.begin():
        session.execute(update(Datafile).values(safety_level=3))
    assert archive.get(link).status_code == 200  # through the public object that uses it, of the same owner
    archive.error(f"{link}/download", 401)
    with Session(archive.services.engine) as session, session.begin():
        session.execute(update(Datafile).values(safety_level=1))
        session.execute(update(AnalogSignal).values(safety_level=3, file_id=None))
    assert archive.get(link).status_code == 200
    archive.error(f"{link}/download", 401)  # a private object, though not made from the file, uses it


def test_a_catalog_without_tables_or_that_is_none_is_503(tmp_path):
    empty = Archive(tmp_path / "empty", migrated=False)
    empty.error("/electrophysiology/block/", 503)
    (tmp_path / "garbage" / "data").mkdir(parents=True)
    (tmp_path / "garbage" / "data" / "catalog.sqlite").write_bytes(b"no database" * 1000)
    garbage = Archive(tmp_path / "garbage", migrated=False)
    assert garbage.error("/health", 503)["message_type"] == "database_away"

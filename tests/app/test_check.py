"""``flask check``: what it tells is what the service then does."""

from __future__ import annotations

import json
import shlex

import h5py
import numpy as np
import pytest

from tests.archive import Archive
from tests.storage.jobs import test_order


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


@pytest.fixture
def run(tmp_path):
    """Run one ``flask`` command where there is no catalog; returns its exit code and what it printed."""
    archive = Archive(tmp_path / "nothing", migrated=False)

    def run(line):
        result = archive.app.test_cli_runner().invoke(args=shlex.split(line))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert not list(archive.settings.data.iterdir()), "it wrote something"
        return result.exit_code, result.output

    return run


def write(path, *, n_series=1, video=False):
    with h5py.File(path, "w") as file:
        file.attrs["neurodata_type"], file.attrs["nwb_version"] = "NWBFile", "2.6.0"
        for number in range(n_series):
            group = file.create_group(f"acquisition/probe{number}")
            group.attrs["neurodata_type"] = "ElectricalSeries"
            shape, chunks = (200_000, 16), (3000, 4)
            samples = np.random.default_rng(number).integers(-99, 99, shape, np.int16)
            group.create_dataset("data", data=samples, chunks=chunks, compression="gzip", shuffle=True)
            group["data"].attrs.update(unit="volts", conversion=1e-6)
            group["starting_time"] = 2.5
            group["starting_time"].attrs["rate"] = 20000.0
        if video:
            group = file.create_group("acquisition/video")
            group.attrs["neurodata_type"] = "ImageSeries"
            group["data"], group["starting_time"] = np.zeros((3, 4, 5)), 0.0
    return path


def test_a_person_reads_tree_rates_units_chunks_refusals_and_costs(run, tmp_path):
    code, said = run(f"check '{write(tmp_path / 'night 3.nwb', video=True)}'")
    assert code == 0
    lines = [line.strip() for line in said.splitlines()]
    assert lines[0].startswith("night 3.nwb  ") and lines[0].endswith(" MB")
    assert lines[1:4] == [
        "block night 3",
        "segment night 3",
        "analogsignalarray probe0  20000 Hz, 10 s from 2.5 s on",
    ]
    assert lines[4] == (
        "signal: 200,000 × 16 int16, answered as float32, volts; chunks of 3,000 × 4, shuffle + deflate"
    )
    assert lines[5].startswith("a second of one channel: ") and " of all 16: " in lines[5]
    assert any(line.startswith("/acquisition/video: it is video, 3 pictures of ") for line in lines)
    assert lines[-2].startswith("beside it the service would store ")


def test_the_costs_are_those_of_the_service(run, archive, tmp_path, s3):
    s3.put("recordings/check/a.nwb", write(tmp_path / "a.nwb").read_bytes())
    code, said = run("check --json s3://recordings/check/a.nwb")
    assert code == 0
    told = json.loads(said)
    (array,) = told["objects"][0]["children"][0]["children"][0]["arrays"]
    archive.register("s3://recordings/check/a.nwb")
    link = archive.fields("/electrophysiology/analogsignalarray/1")["signal"]["data"]
    for cost, channels in ((array["one_channel"], "&channels=0"), (array["all_channels"], "")):
        fresh = Archive(archive.folder)
        s3.clear()
        assert fresh.get(f"{link}?start_index=90000&end_index=110000{channels}").status_code == 200
        asked = [r for r in s3.requests if r.path == "/recordings/check/a.nwb"]
        assert (len(asked), sum(r.nbytes for r in asked)) == (cost["requests"], cost["nbytes"])
        explained = archive.get(f"{link}?start_index=90000&end_index=110000{channels}&explain=1").json["selected"][0]
        assert (explained["requests"], explained["nbytes_fetched"]) == (cost["requests"], cost["nbytes"])
    stored = archive.services.store.find_all("sidecars")
    assert told["sidecar_nbytes"] == sum(archive.services.store.stat(key).nbytes for key in stored)


def test_long_times_are_read_and_told_as_the_job_would_find_them(run, tmp_path):
    unsorted = test_order.TIMES.copy()
    unsorted[-5] = 0
    row = len(unsorted) - 5
    test_order.write(tmp_path / "good.nwb")
    test_order.write(tmp_path / "bad.nwb", unsorted)
    code, said = run(f"check {tmp_path}/good.nwb")
    assert code == 0 and "irsaanalogsignal a" in said and "a second: 1 request" in said and "left out" not in said
    code, said = run(f"check --json {tmp_path}/bad.nwb")
    assert json.loads(said)["refusals"] == [
        {
            "path": "/acquisition/a",
            "reason": f"its times are not sorted: number {row}, counted from 0, is earlier than number {row - 1}",
        }
    ]


def test_of_many_alike_some_are_shown(run, tmp_path):
    path = write(tmp_path / "many.nwb", n_series=11)
    assert "analogsignalarray: and 3 more (--all shows them)" in run(f"check {path}")[1]
    assert "more" not in run(f"check --all {path}")[1]


def test_plain_hdf5_is_told_the_same_way_as_when_registering(run, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(40_000.0)
    code, said = run(f"check {tmp_path}/x.h5")
    assert code == 1 and "nothing of it can be served" in said and "its sampling rate is not known" in said
    code, said = run(f"check --sampling-rate '20 kHz' --units mV {tmp_path}/x.h5")
    assert (
        code == 0 and "analogsignal x  20 kHz, 2 s from 0 s on" in said and "40,000 float64, mV; in one piece" in said
    )
    assert "a second: 1 request, 160 kB" in said


def test_what_cannot_be_served_at_all_ends_with_1(run, tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    for line in (f"check {tmp_path}/text.h5", f"check {tmp_path}/none.h5", "check nosuch:a"):
        code, said = run(line)
        assert code == 1 and "cannot be served: " in said and "Traceback" not in said
        code, said = run(line.replace("check", "check --json"))
        assert code == 1 and json.loads(said)["served"] is False and json.loads(said)["refusals"]
    write(tmp_path / "good.nwb")
    assert run(f"check {tmp_path}")[0] == 0

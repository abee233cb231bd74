"""What the numbers of an NWB series mean, and series that share what they are stored in."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from storage.ingest.sandbox.sandbox import Sandbox
from tests.archive import Archive
from tests.storage.ingest.test_register import write_nwb

NUMBERS = np.array([[-30_000, 5], [7, 11], [30_000, -1]], np.int16)


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


def write_series(path, **series):
    """Write an NWB file with regular series that share one dataset, each with what is told of it."""
    write_nwb(path, spikes=(), series=())
    with h5py.File(path, "r+") as file:
        for name, told in series.items():
            group = file.create_group(name)
            group.attrs["neurodata_type"] = "ElectricalSeries"
            first = next(iter(series))
            group["data"] = NUMBERS if name == first else file[f"{first}/data"]
            if name == first:
                group["data"].attrs.update({key: told[key] for key in ("unit", "conversion", "offset") if key in told})
            if "channel_conversion" in told:
                group["channel_conversion"] = told["channel_conversion"]
            group["starting_time"] = 0.0
            group["starting_time"].attrs["rate"] = 1000.0
    return path


def signals(archive):
    found = archive.get("/electrophysiology/analogsignalarray/").json["selected"]
    return {one["fields"]["name"]: one["fields"]["signal"] for one in found}


@pytest.mark.parametrize(
    "told",
    [
        {"conversion": 0.25},
        {"conversion": 1e-6, "offset": -0.5},
        {"conversion": -2.0, "channel_conversion": [1.0, 3.0]},
        {"channel_conversion": [0.5, -7.0], "offset": 2.0},
        {"offset": 1.0},
    ],
)
def test_value_is_data_times_conversion_times_channel_conversion_plus_offset(archive, tmp_path, told):
    archive.register(write_series(tmp_path / "x.nwb", a={"unit": "volts", **told}))
    link = signals(archive)["a"]["data"]
    gain = told.get("conversion", 1.0) * np.array(told.get("channel_conversion", [1.0, 1.0]))
    expected = (NUMBERS * gain + told.get("offset", 0.0)).astype(np.float32)
    np.testing.assert_array_equal(np.array(archive.values(link), np.float32), expected)
    np.testing.assert_array_equal(np.array(archive.values(f"{link}?channels=1"), np.float32), expected[:, [1]])
    assert archive.values(f"{link}?scaled=0") == NUMBERS.tolist()
    low, high = np.array(archive.values(f"{link}?downsample=2&method=extrema"), np.float32)
    np.testing.assert_array_equal([low, high], [expected.min(axis=0), expected.max(axis=0)])


def test_series_that_share_data_and_mean_different_things_are_different_arrays(archive, tmp_path):
    series = {"a": {"channel_conversion": [1.0, 2.0]}, "b": {"channel_conversion": [10.0, 20.0]}, "c": {}, "d": {}}
    archive.register(write_series(tmp_path / "x.nwb", **series))
    found = signals(archive)
    assert found["c"]["data"] == found["d"]["data"]
    assert len({found[name]["data"] for name in "abc"}) == 3
    for name, gain in {"a": [1, 2], "b": [10, 20], "c": [1, 1]}.items():
        assert archive.values(found[name]["data"]) == (NUMBERS * np.array(gain)).tolist()
    assert archive.register(tmp_path / "x.nwb").state == "unchanged"


@pytest.mark.parametrize(
    "gains", [[1.0], [1.0, 2.0, 3.0], [1.0, np.nan], [1 + 5j, 2], ["a", "b"], h5py.SoftLink("/nowhere")]
)
def test_channel_conversions_that_are_none_are_refused_and_leave_no_array(archive, tmp_path, gains):
    path = write_series(tmp_path / "x.nwb", a={}, b={})
    with h5py.File(path, "r+") as file:
        file["a/channel_conversion"] = gains
    (refusal,) = archive.register(path).refusals
    assert refusal.path == "/a" and "channel_conversion" in refusal.reason
    assert list(signals(archive)) == ["b"]
    assert archive.get("/datafiles/").json["objects_total"] == 1


def test_units_in_text_of_any_kind(archive, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(4.0)
        file["x"].attrs.update(units=np.bytes_(b"mV"), sampling_rate=2.0, sampling_rate_units=np.bytes_(b"kHz"))
    assert archive.register(tmp_path / "x.h5").refusals == []
    fields = archive.fields("/electrophysiology/analogsignal/1")
    assert fields["signal"]["units"] == "mV" and fields["sampling_rate"] == {"units": "kHz", "data": 2}


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 1e300])
def test_rates_that_times_cannot_be_computed_with_are_refused(archive, tmp_path, rate):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(4.0)
    assert "sampling rate" in archive.register(tmp_path / "x.h5", sampling_rate=(rate, "Hz")).refusals[0].reason


def test_a_file_that_no_one_thought_of_does_not_stop_the_next(archive, tmp_path):
    """Bits flipped all over a file: refused in parts or as a whole, never an exception."""
    content = write_nwb(tmp_path / "whole.nwb").read_bytes()
    rng = np.random.default_rng(1)
    for number in range(40):
        bent = bytearray(content)
        for place in rng.integers(8, len(bent), 3):
            bent[place] ^= 1 << rng.integers(8)
        path = tmp_path / f"bent {number}.nwb"
        path.write_bytes(bent)
        assert archive.register(path).state in ("registered", "refused")
    assert archive.register(tmp_path / "whole.nwb").state == "registered"


def test_a_file_that_changes_while_it_is_read_is_not_registered(archive, tmp_path, monkeypatch):
    path = write_nwb(tmp_path / "growing.nwb")
    inspect = Sandbox.inspect

    def while_somebody_writes(*arguments):
        found = inspect(*arguments)
        write_nwb(path, series=("a",))
        return found

    monkeypatch.setattr(Sandbox, "inspect", while_somebody_writes)
    outcome = archive.register(path)
    assert outcome.state == "refused" and "changed while it was read" in outcome.refusals[0].reason
    assert archive.get("/electrophysiology/block/").json["selected"] == []


def test_a_file_that_changes_between_two_ranges_is_told(archive, monkeypatch):
    signal = archive.add("two versions", np.arange(100.0))
    path, pread = archive.folder / "two versions.h5", os.pread

    def and_then_somebody_writes(*arguments):
        content = pread(*arguments)
        os.utime(path, (1, 1))
        return content

    monkeypatch.setattr(os, "pread", and_then_somebody_writes)
    archive.error(signal["signal"]["data"], 409)

"""The mapping files of the README, as they stand there, on the recordings that they are for."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from schemas import mapping_files
from tests.archive import Archive

ROOT = Path(__file__).parents[2]
SAMPLES = Path(os.environ.get("EPHYSTORE_SAMPLES", "nowhere"))
EXAMPLES = dict(re.findall(r"```yaml\n# (\w+)\.yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))

pytestmark = pytest.mark.skipif(not (SAMPLES / "hdf5").exists(), reason="EPHYSTORE_SAMPLES is not set")


def mapped(tmp_path, name):
    """Register a recording by an example; return the service, and the file itself."""
    archive = Archive(tmp_path)
    (path,) = (SAMPLES / "hdf5").glob(f"{name}*.h5")
    mapping = mapping_files.load(EXAMPLES[name].encode())
    outcome = archive.register(path, mapping=mapping)
    assert outcome.state == "registered" and outcome.refusals == []
    return archive, path


def values(archive, link):
    with h5py.File(io.BytesIO(archive.get(link).data)) as file:
        return next(iter(file.values()))[()]


def fields_of(archive, type_name):
    return [one["fields"] for one in archive.get(f"/electrophysiology/{type_name}/").json["selected"]]


def test_there_is_an_example_for_each_recording():
    assert sorted(EXAMPLES) == sorted(re.match("[a-z]+", path.name)[0] for path in (SAMPLES / "hdf5").iterdir())


def test_wavesurfer(tmp_path):
    archive, path = mapped(tmp_path, "wavesurfer")
    signals = fields_of(archive, "analogsignalarray")
    assert [one["name"] for one in signals] == ["analog inputs"] * 3 + ["digital inputs"] * 3
    assert [one["name"] for one in fields_of(archive, "segment")] == ["sweep 0001", "sweep 0002", "sweep 0003"]
    with h5py.File(path) as file:
        coefficients = file["header/AIScalingCoefficients"][()]
        for number, one in enumerate(signals):
            sweep = file[f"sweep_000{number % 3 + 1}"]
            assert one["t_start"] == {"units": "s", "data": sweep["timestamp"][0, 0]}
            real = values(archive, one["signal"]["data"])
            if one["name"] == "digital inputs":
                assert one["sampling_rate"] == {"units": "kHz", "data": 20}
                np.testing.assert_array_equal(real, sweep["digitalScans"][()].T)
                continue
            assert one["sampling_rate"] == {"units": "Hz", "data": 20000} and one["signal"]["units"] == "V"
            counts = sweep["analogScans"][()].astype(float)
            volts = [np.polyval(row[::-1], channel) for row, channel in zip(coefficients, counts, strict=True)]
            np.testing.assert_allclose(real, np.transpose(volts), rtol=2e-7)


def test_mcs(tmp_path):
    archive, path = mapped(tmp_path, "mcs")
    assert [one["name"] for one in fields_of(archive, "block")] == ["eight electrodes"]
    assert [one["name"] for one in fields_of(archive, "segment")] == ["recording 0"]
    with h5py.File(path) as file:
        recording = file["Data/Recording_0"]
        for stream, one in enumerate(fields_of(archive, "analogsignalarray")):
            stored = recording[f"AnalogStream/Stream_{stream}/ChannelData"][()].T
            np.testing.assert_array_equal(values(archive, one["signal"]["data"]), stored * 0.00038147)
            start, unit = one["t_start"]["data"], one["t_start"]["units"]
            told = recording[f"AnalogStream/Stream_{stream}/ChannelDataTimeStamps"][0, 0]
            assert start * {"s": 10**6, "ms": 10**3}[unit] == told
            assert one["annotations"]["channel_names"] == [f"E{number}" for number in range(1, 9)]
        trains = fields_of(archive, "spiketrain")
        assert [one["name"] for one in trains] == [f"spikes of electrode {number}" for number in range(8)]
        for number, one in enumerate(trains):
            stamps = recording[f"TimeStampStream/Stream_0/TimeStampEntity_{number}"][0]
            np.testing.assert_array_equal(values(archive, one["times"]["data"]), stamps)
            assert one["times"]["units"] == "us" and one["t_stop"] == {"units": "s", "data": 19.7}
        (epochs,) = fields_of(archive, "epocharray")
        times, durations = recording["EventStream/Stream_0/EventEntity_0"][()]
        np.testing.assert_array_equal(values(archive, epochs["times"]["data"]), times)
        np.testing.assert_array_equal(values(archive, epochs["durations"]["data"]), durations)


def test_a_mapping_is_remembered_and_forgotten(tmp_path):
    archive, path = mapped(tmp_path, "mcs")
    assert archive.register(path).state == "unchanged"
    again = archive.register(path, units="mV")
    assert again.state == "updated" and again.counts["spiketrain"] == 8
    forgotten = archive.register(path, mapping={})
    assert forgotten.state == "updated" and forgotten.counts["spiketrain"] == 16
    assert archive.register(path).state == "unchanged"

"""Tree, channels, labels and annotations of real NWB recordings, against what pynwb or h5py say of the same file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO

from tests.archive import Archive
from tests.storage.ingest.nwb.test_sweeps import electrode, response
from tests.storage.ingest.nwb.written import session, write

SAMPLES = Path(os.environ.get("EPHYSTORE_SAMPLES", "nowhere")) / "nwb"
FILES = sorted(SAMPLES.glob("*.nwb"))

pytestmark = pytest.mark.skipif(not FILES, reason="EPHYSTORE_SAMPLES is not set")

NAMES = [path.stem for path in FILES]
SWEEPS, UNITS = "LantyerEtAl2018_180817_ME_9_CC", "A8604-211122"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """A service for each file, so that each has a tree of its own."""
    found = {}
    for path in FILES:
        found[path.stem] = Archive(tmp_path_factory.mktemp(path.stem))
        assert found[path.stem].register(path).refusals == []
    return found


@pytest.fixture
def archive(archives, name):
    return archives[name]


@pytest.fixture
def file(name):
    with h5py.File(SAMPLES / f"{name}.nwb") as file:
        yield file


@pytest.fixture
def said(name):
    """The session as pynwb reads it."""
    with NWBHDF5IO(SAMPLES / f"{name}.nwb", "r") as io:
        yield io.read()


def objects(archive, type_name):
    return [one["fields"] for one in archive.get(f"/electrophysiology/{type_name}/?max_results=1000").json["selected"]]


def links(type_name, found):
    return [f"/electrophysiology/{type_name}/{one['id']}" for one in found]


def plain(value):
    """A value of h5py as JSON has it."""
    value = value.decode() if isinstance(value, bytes) else value
    return value.item() if isinstance(value, np.generic) else value


def told(value):
    """Whether a value of a table is told: NaN and empty text are not."""
    return value not in ("", None) and not (isinstance(value, float) and np.isnan(value))


@pytest.mark.parametrize("name", NAMES)
class TestEveryFile:
    def test_the_block_has_what_is_said_of_the_session_but_not_the_subject(self, archive, file):
        (block,) = objects(archive, "block")
        annotations = block["annotations"]
        for key, value in file["general"].items():
            if isinstance(value, h5py.Dataset):
                expected = plain(value[()]) if value.shape == () else [plain(one) for one in value]
                assert annotations.get(key, "") == expected
        assert "subject" not in annotations
        devices = {name: {} for name in file.get("general/devices", {})}
        assert set(annotations.get("devices", {})) == set(devices)

    def test_every_series_is_a_signal_with_its_annotations(self, archive, file):
        series = {}

        def visit(path, thing):
            if isinstance(thing, h5py.Group) and "data" in thing and thing.attrs["neurodata_type"].endswith("Series"):
                series[f"/{path}"] = thing

        file.visititems(visit)
        types = ("analogsignal", "analogsignalarray", "irsaanalogsignal")
        found = {one["annotations"]["nwb_path"]: one for kind in types for one in objects(archive, kind)}
        assert found.keys() == series.keys()
        for path, group in series.items():
            annotations = found[path]["annotations"]
            for key in ("neurodata_type", "description", "comments", "stimulus_description"):
                assert annotations.get(key, "") == group.attrs.get(key, "")
            for key in ("conversion", "resolution", "offset"):
                assert annotations.get(key) == plain(group["data"].attrs.get(key))
            if "gain" in group:
                assert annotations["gain"] == group["gain"][()]
            if "channel_conversion" in group:
                assert annotations["channel_conversion"] == group["channel_conversion"][()].tolist()

    def test_channels_are_the_rows_of_the_table_of_electrodes(self, archive, said, file):
        table = None if said.electrodes is None else said.electrodes.to_dataframe()
        channels, groups = objects(archive, "recordingchannel"), objects(archive, "recordingchannelgroup")
        assert [one["name"] for one in groups] == sorted(said.electrode_groups)
        assert len(channels) == (0 if table is None else len(table))
        by_link = dict(zip(links("recordingchannelgroup", groups), groups, strict=True))
        for group in groups:
            expected = said.electrode_groups[group["name"]]
            assert group["annotations"].get("description", "") == expected.description
            assert group["annotations"].get("location", "") == expected.location
            assert group["annotations"]["device"] == expected.device.name
        for row, one in enumerate(channels):
            expected = table.iloc[row]
            assert one["name"] == str(table.index[row]) and one["annotations"]["id"] == table.index[row]
            assert (
                by_link[one["recordingchannelgroup"]]["name"] == expected["group"].name == one["annotations"]["group"]
            )
            assert one["index"] == row
            for column in set(table) - {"group"}:
                value = plain(file[f"general/extracellular_ephys/electrodes/{column}"][row])
                assert one["annotations"].get(column) == (value if told(value) else None)

    def test_arrays_name_the_channels_of_their_columns(self, archive, said):
        series = {one.name: one for one in said.objects.values() if hasattr(one, "electrodes") and hasattr(one, "rate")}
        channels = objects(archive, "recordingchannel")
        for kind in ("analogsignalarray", "irsaanalogsignal"):
            for one in objects(archive, kind):
                rows = series[one["name"]].electrodes.data[:].tolist()
                assert one["annotations"]["channel_names"] == [channels[row]["name"] for row in rows]
                for column, row in enumerate(rows):
                    assert channels[row]["index"] == column
                if kind == "analogsignalarray":
                    assert one["recordingchannelgroup"] == channels[rows[0]]["recordingchannelgroup"]


@pytest.mark.parametrize("name", [SWEEPS])
class TestSweeps:
    def test_each_sweep_is_a_segment_with_its_stimulus_and_response(self, archive, file):
        table = file["general/intracellular_ephys/sweep_table"]
        expected = {}
        for number, reference in zip(table["sweep_number"][()].tolist(), table["series"][()], strict=True):
            expected.setdefault(number, set()).add(file[reference].name)
        signals = objects(archive, "analogsignal")
        by_link = dict(zip(links("analogsignal", signals), signals, strict=True))
        segments = objects(archive, "segment")
        assert [one["annotations"]["sweep_number"] for one in segments] == sorted(expected)
        for segment in segments:
            inside = [by_link[link] for link in segment["analogsignal_set"]]
            number = segment["annotations"]["sweep_number"]
            assert {one["annotations"]["nwb_path"] for one in inside} == expected[number]
            assert {one["annotations"]["role"] for one in inside} == {"stimulus", "response"}
            assert {one["annotations"]["sweep_number"] for one in inside} == {number}
            assert segment["annotations"]["electrodes"] == ["icephys_electrode"]
            units = {one["annotations"]["role"]: one["signal"]["units"] for one in inside}
            assert units == {"stimulus": "amperes", "response": "volts"}

    def test_the_electrode_is_told_of_the_block(self, archive, said):
        (block,) = objects(archive, "block")
        expected = said.icephys_electrodes["icephys_electrode"]
        assert block["annotations"]["intracellular_electrodes"]["icephys_electrode"] == {
            "description": expected.description,
            "location": expected.location,
            "slice": expected.slice,
            "device": expected.device.name,
        }


@pytest.mark.parametrize("name", [UNITS])
class TestUnits:
    def test_units_have_every_column(self, archive, said):
        table = said.units.to_dataframe()
        units, trains = objects(archive, "unit"), objects(archive, "spiketrain")
        assert len(units) == len(trains) == len(table)
        for row, (unit, train) in enumerate(zip(units, trains, strict=True)):
            expected = table.iloc[row]
            assert unit["annotations"]["id"] == table.index[row]
            assert unit["annotations"]["group"] == expected["group"]
            assert unit["annotations"]["location"] == expected["location"]
            assert unit["annotations"]["electrode_group"] == expected["electrode_group"].name
            assert train["unit"] == links("unit", [unit])[0]
            assert archive.values(train["times"]["data"]) == expected["spike_times"].tolist()

    def test_epochs_have_their_tags_as_labels(self, archive, said):
        table = said.epochs.to_dataframe()
        (epochs,) = objects(archive, "epocharray")
        assert archive.values(epochs["labels"]["data"]) == [", ".join(tags) for tags in table["tags"]]
        assert archive.values(epochs["times"]["data"]) == table["start_time"].tolist()
        assert archive.values(epochs["durations"]["data"]) == (table["stop_time"] - table["start_time"]).tolist()
        assert epochs["annotations"]["description"] == said.epochs.description


BY_NEO = """
import sys
import neo, numpy as np
segments = neo.io.AxonIO(sys.argv[1]).read_block().segments
signals = [signal for segment in segments for signal in segment.analogsignals]
assert len(signals) == len(segments) and {str(one.units.dimensionality) for one in signals} == {"mV"}
axes = [(float(one.t_start), float(one.sampling_rate)) for one in signals]
np.savez(sys.argv[2], axes, *(one.magnitude[:, 0] for one in signals))
"""


def read_by_neo(path, result):
    """Return start, rate and millivolts of each sweep, read in a process in which nothing stands in for ``open``."""
    subprocess.run([sys.executable, "-c", BY_NEO, str(path), str(result)], check=True)
    with np.load(result) as told:
        axes, *samples = (told[name] for name in told.files)
    return [(float(t_start), float(rate), own) for (t_start, rate), own in zip(axes, samples, strict=True)]


def test_sweeps_of_one_experiment_are_the_tree_that_neo_reads_from_its_abf(tmp_path):
    sweeps = read_by_neo(SAMPLES.parent / "vendor" / "17o05027_ic_ramp.abf", tmp_path / "sweeps.npz")
    made = session()
    pipette = electrode(made)
    for number, (t_start, rate, samples) in enumerate(sweeps):
        more = {"starting_time": t_start, "rate": rate, "conversion": 1e-3}
        sweep = np.uint64(number)
        made.add_acquisition(response(pipette, f"sweep{number}", data=samples, sweep_number=sweep, **more))
    archive = Archive(tmp_path)
    assert archive.register(write(made, tmp_path / "x.nwb")).refusals == []
    segments, signals = objects(archive, "segment"), objects(archive, "analogsignal")
    by_link = dict(zip(links("analogsignal", signals), signals, strict=True))
    assert [one["index"] for one in segments] == list(range(len(sweeps)))
    for segment, (t_start, _, samples) in zip(segments, sweeps, strict=True):
        (one,) = [by_link[link] for link in segment["analogsignal_set"]]
        assert one["t_start"]["data"] == t_start
        volts = np.array(archive.values(one["signal"]["data"]))
        np.testing.assert_allclose(volts * 1e3, samples, rtol=1e-6)

"""Units: every column as annotations or arrays, electrodes as channels, waveforms as they lie."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from pynwb.ecephys import SpikeEventSeries
from pynwb.misc import Units

from storage.ingest import found
from storage.ingest.formats import nwb
from tests.storage.ingest.nwb.written import add_electrodes, array, by_name, objects, reasons, session, write

RNG = np.random.default_rng(5)
SPIKES = [[0.5, 1.5, 2.5], [], [0.25, 0.75]]


def shape(archive, number):
    return archive.get(f"/datafiles/{number}/info/").json["selected"][0]["fields"]["shape"]


def test_every_column_is_told_of_the_unit(archive, registered):
    made = session()
    groups = add_electrodes(made, 2, 2)
    for name in ("quality", "snr", "good", "cluster", "corner", "depths"):
        made.add_unit_column(name, f"column {name}", index=name == "depths")
    for row, spikes in enumerate(SPIKES):
        made.add_unit(
            id=row + 10, spike_times=spikes, obs_intervals=[[0.0, 3.0], [4.0, 5.5]], electrodes=[[0, 2], [3], [1]][row],
            electrode_group=groups[row % 2], quality=["good", "µ", ""][row], snr=[1.5, np.nan, 3.0][row],
            good=row == 1, cluster=7 - row, corner=[row, row + 1.0], depths=np.arange(row) / 2,
        )  # fmt: skip
    registered(made)
    units, channels = by_name(archive, "unit"), objects(archive, "recordingchannel")
    assert list(units) == ["unit 10", "unit 11", "unit 12"]
    assert units["unit 12"]["annotations"] == {
        "nwb_path": "/units[2]",
        "id": 12,
        "electrodes": [1],
        "electrode_group": "shank0",
        "quality": "",
        "snr": 3,
        "good": False,
        "cluster": 5,
        "corner": [2, 3],
        "depths": [0, 0.5],
    }
    assert units["unit 11"]["annotations"]["good"] is True and units["unit 11"]["annotations"]["quality"] == "µ"
    assert "snr" not in units["unit 11"]["annotations"]
    paths = [f"/electrophysiology/recordingchannel/{one['id']}" for one in channels]
    assert [one["recordingchannel"] for one in units.values()] == [[paths[0], paths[2]], [paths[3]], [paths[1]]]
    assert channels[2]["unit_set"] == [f"/electrophysiology/unit/{units['unit 10']['id']}"]
    trains = by_name(archive, "spiketrain")
    for spikes, one in zip(SPIKES, trains.values(), strict=True):
        assert array(archive, one["times"]).tolist() == spikes
        assert (one["t_start"]["data"], one["t_stop"]["data"]) == (0, 5.5)
        assert one["annotations"]["obs_intervals"] == [[0, 3], [4, 5.5]]
        assert one["waveforms"]["data"] is None
    # An empty unit is an empty train that can be asked for any window.
    silent = archive.fields(f"/electrophysiology/spiketrain/{trains['unit 11']['id']}?start_time=1&end_time=2")
    assert archive.values(silent["times"]["data"]) == []


def test_mean_waveforms_are_arrays_that_the_unit_names(archive, registered):
    made = session()
    made.units = Units(name="units", description="sorted", waveform_rate=30000.0, waveform_unit="volts")
    means, deviations = RNG.normal(size=(2, 20, 4)).astype("f4"), RNG.normal(size=(2, 20, 4)).astype("f4")
    for row in range(2):
        made.add_unit(spike_times=[1.0], waveform_mean=means[row], waveform_sd=deviations[row])
    registered(made)
    for row, one in enumerate(objects(archive, "unit")):
        for name, expected in (("waveform_mean", means), ("waveform_sd", deviations)):
            told = one["annotations"][name]
            assert told["units"] == "volts" and told["sampling_rate"] == 30000
            assert shape(archive, told["datafile"]) == [1, 20, 4]
            values = np.array(archive.values(f"/datafiles/{told['datafile']}"), "f4")
            np.testing.assert_array_equal(values[0], expected[row])
            info = archive.get(f"/datafiles/{told['datafile']}/info/").json["selected"][0]["fields"]
            assert info["name"] == f"unit {row} {name}" and info["units"] == "volts"


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("packing", [None, 6, 5])
def test_ragged_waveforms_are_spikes_by_channels_by_samples(archive, tmp_path, n_channels, packing):
    made = session()
    add_electrodes(made, n_channels)
    made.units = Units(name="units", description="sorted", waveform_rate=30000.0, waveform_unit="volts")
    expected = [RNG.normal(size=(len(spikes), n_channels, 8)).astype("f4") for spikes in SPIKES]
    for spikes, waveforms in zip(SPIKES, expected, strict=True):
        made.add_unit(spike_times=spikes, waveforms=waveforms, electrodes=list(range(n_channels)))
    path = write(made, tmp_path / "x.nwb")
    if packing is not None:
        with h5py.File(path, "r+") as file:
            table, attributes = file["units"], dict(file["units/waveforms"].attrs)
            values = table["waveforms"][()]
            del table["waveforms"]
            table.create_dataset(
                "waveforms", data=values, chunks=(packing, 8), maxshape=(None, 8), compression="gzip", shuffle=True
            )
            table["waveforms"].attrs.update(attributes)
    assert archive.register(path).refusals == []
    trains = objects(archive, "spiketrain")
    for one, waveforms in zip(trains, expected, strict=True):
        assert one["waveforms"]["shape"] == list(waveforms.shape) and one["waveforms"]["units"] == "volts"
        assert one["annotations"]["waveforms_sampling_rate"] == 30000
        assert one["annotations"]["channel_names"] == [str(row) for row in range(n_channels)]
        found = np.array(archive.values(one["waveforms"]["data"]), "f4").reshape(waveforms.shape)
        np.testing.assert_array_equal(found, waveforms)
    window = archive.fields(f"/electrophysiology/spiketrain/{trains[0]['id']}?start_time=1&end_time=2")
    np.testing.assert_array_equal(np.array(archive.values(window["waveforms"]["data"]), "f4"), expected[0][1:2])


def test_waveforms_that_cannot_be_told_apart_do_not_keep_the_train_from_being_served(archive, registered):
    made = session()
    made.units = Units(name="units", description="sorted")
    uneven = [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]]
    made.add_unit(spike_times=[0.5, 1.0], waveforms=uneven)
    made.add_unit(spike_times=[0.5, 1.0], waveforms=[[[1.0, 2.0]]])
    made.add_unit(spike_times=[0.5, 1.0], waveforms=[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    outcome = registered(made, complete=False)
    assert reasons(outcome) == {
        "/units[0]/waveforms": "its spikes have waveforms of different numbers of channels",
        "/units[1]/waveforms": "it has waveforms of 1 spikes, but times of 2",
    }
    trains = objects(archive, "spiketrain")
    assert [one["waveforms"]["data"] is None for one in trains] == [True, True, False]
    assert archive.values(trains[2]["waveforms"]["data"]) == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_units_of_different_numbers_of_channels(archive, registered):
    made = session()
    made.units = Units(name="units", description="sorted")
    waveforms = [RNG.normal(size=(2, number, 4)) for number in (1, 2, 3)]
    for one in waveforms:
        made.add_unit(spike_times=[0.5, 1.0], waveforms=one.tolist())
    registered(made)
    for one, expected in zip(objects(archive, "spiketrain"), waveforms, strict=True):
        np.testing.assert_array_equal(array(archive, one["waveforms"]), expected)


def test_columns_of_many_values_are_arrays(archive, registered):
    made = session()
    made.add_unit_column("spike_amplitudes", "of each spike", index=True)
    amplitudes = [RNG.normal(size=number) for number in (3000, 0, 1)]
    for one in amplitudes:
        made.add_unit(spike_times=np.arange(len(one)) / 10, spike_amplitudes=one)
    registered(made)
    for one, expected in zip(objects(archive, "unit"), amplitudes, strict=True):
        link = f"/datafiles/{one['annotations']['spike_amplitudes']['datafile']}"
        np.testing.assert_array_equal(np.array(archive.values(link)), expected)


def test_a_table_of_units_without_spikes_has_units_alone(archive, registered):
    made = session()
    made.add_unit_column("quality", "how good")
    for name in ("good", "bad"):
        made.add_unit(quality=name)
    outcome = registered(made)
    assert outcome.counts == {"block": 1, "segment": 1, "unit": 2}
    assert [one["annotations"]["quality"] for one in objects(archive, "unit")] == ["good", "bad"]


def test_units_that_lose_their_electrodes_lose_their_channels(archive, tmp_path):
    for electrodes in ([0, 1], [1], [1, 0]):
        made = session()
        add_electrodes(made, 2)
        made.add_unit(spike_times=[1.0], electrodes=electrodes)
        path = write(made, tmp_path / "x.nwb")
        archive.register(path)
        (unit,) = objects(archive, "unit")
        channels = objects(archive, "recordingchannel")
        ids = [channels[row]["id"] for row in sorted(electrodes)]
        assert unit["recordingchannel"] == [f"/electrophysiology/recordingchannel/{one}" for one in ids]
        assert unit["annotations"]["electrodes"] == electrodes
        path.unlink()


def test_spike_events_are_a_train_with_waveforms(archive, registered):
    made = session()
    add_electrodes(made, 2)
    for name, data, rows in (
        ("tetrode", RNG.normal(size=(3, 2, 5)), [1, 0]),
        ("single", RNG.normal(size=(3, 5)), [0]),
    ):
        region = made.create_electrode_table_region(rows, "some")
        made.add_acquisition(SpikeEventSeries(name=name, data=data, timestamps=[0.5, 1.0, 4.0], electrodes=region))
        registered_data = data
    registered(made)
    trains = by_name(archive, "spiketrain")
    assert trains["tetrode"]["waveforms"]["shape"] == [3, 2, 5] and trains["single"]["waveforms"]["shape"] == [3, 1, 5]
    np.testing.assert_array_equal(array(archive, trains["single"]["waveforms"])[:, 0], registered_data)
    assert trains["tetrode"]["annotations"]["channel_names"] == ["1", "0"]
    assert trains["single"]["annotations"]["channel_names"] == ["0"]
    assert (trains["tetrode"]["t_start"]["data"], trains["tetrode"]["t_stop"]["data"]) == (0, 4)


def test_choices_are_told_as_words(archive, registered):
    made = session()
    made.add_unit_column("region", "which", enum=["CA1", "CA3"])
    for one in ("CA3", "CA1"):
        made.add_unit(spike_times=[1.0, 2.0], region=one)
    registered(made)
    assert [one["annotations"]["region"] for one in objects(archive, "unit")] == ["CA3", "CA1"]


def test_columns_of_more_lists_than_fit_are_listed_and_the_rest_is_served(tmp_path, monkeypatch):
    monkeypatch.setattr(found, "MAX_LISTS", 9)
    made = session()
    for name in ("few", "more"):
        made.add_unit_column(name, "x", index=True)
    for _ in range(5):
        made.add_unit(few=[1, 2], more=[3], spike_times=[0.5])
    with h5py.File(write(made, tmp_path / "x.nwb")) as file:
        told = nwb.inspect(file, "x")
    reason = "its 5 lists are more than the 4 that annotations may still have"
    assert told.refusals == [found.Refusal("/units/more", reason)]
    units = [one for one in told.objects if one.type_name == "unit"]
    assert [one.fields["annotations"]["few"] for one in units] == [[1, 2]] * 5


def test_spikes_that_are_not_in_order_are_sorted_in_a_copy(archive, registered):
    made = session()
    for times in ([0.3, 0.1, 0.2], [1.0, 2.0], [5.0, float("nan")]):
        made.add_unit(spike_times=times, waveforms=[[[1.0, 2.0]]] * len(times))
    outcome = registered(made, complete=False)
    assert reasons(outcome) == {
        "/units[0]/waveforms": "its spikes are sorted in a copy, and its waveforms are not",
        "/units[2]": "1 of its times are not numbers; the first is number 1, counted from 0",
    }
    trains = by_name(archive, "spiketrain")
    assert [*trains] == ["unit 0", "unit 1"] and len(objects(archive, "unit")) == 2
    assert array(archive, trains["unit 0"]["times"]).tolist() == [0.1, 0.2, 0.3]
    assert trains["unit 0"]["t_stop"]["data"] == 0.3 and trains["unit 0"]["waveforms"]["data"] is None
    assert array(archive, trains["unit 1"]["waveforms"]).shape == (2, 1, 2)

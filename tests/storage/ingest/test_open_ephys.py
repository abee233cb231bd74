"""Open Ephys' binary format in place: what is served is what numpy and neo read of the same files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from neo.rawio import OpenEphysBinaryRawIO

from storage.ingest import file_sets
from storage.ingest.places import files_at
from tests.archive import Archive
from tests.storage.ingest.flat_files import settled, write_open_ephys


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "service")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "recordings"
    place.mkdir()
    return place


def listed(archive, type_name):
    found = archive.get(f"/electrophysiology/{type_name}/?max_results=1000").json["selected"]
    return [one["fields"] for one in found]


def signals(archive):
    return {one["name"].rpartition(" ")[2]: one for one in listed(archive, "analogsignalarray")}


def neo_streams(folder):
    """What neo reads: quantities, units, rate and start of each stream."""
    reader = OpenEphysBinaryRawIO(folder)
    reader.parse_header()
    header = reader.header
    found = []
    for index, stream in enumerate(header["signal_streams"]):
        raw = reader.get_analogsignal_chunk(0, 0, stream_index=index)
        own = header["signal_channels"][header["signal_channels"]["stream_id"] == stream["id"]]
        values = raw * own["gain"] + own["offset"]
        told = reader.get_signal_sampling_rate(index), own["units"].tolist(), own["name"].tolist()
        found.append((values, *told))
    return reader, found


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    "channels", [["CH1", "CH2", "CH3"], ["CH1", "CH2", "CH3", "ADC1", "ADC2"], ["CH1", "CH2", "CH3", "A_SYNC"]], ids=str
)
def test_each_kind_of_channels_is_what_neo_reads(archive, folder, older, channels):
    oebin, samples = write_open_ephys(folder, older=older, channels=channels)
    outcome = archive.register(oebin)
    assert (outcome.state, outcome.refusals) == ("registered", [])
    found = signals(archive)
    stream = "Rhythm_FPGA-100.0" if older else "Neuropix-PXI-100.A-AP"
    _, streams = neo_streams(folder)
    assert len(found) == len(streams)
    for name, (values, rate, units, names) in zip(found, streams, strict=True):
        got = np.array(archive.values(found[name]["signal"]["data"]), np.float32)
        np.testing.assert_allclose(got, values, rtol=1e-6)
        assert found[name]["signal"]["units"] == ("dimensionless" if name == "SYNC" else units[0])
        assert found[name]["sampling_rate"] == {"units": "Hz", "data": rate}
        assert found[name]["t_start"] == {"units": "s", "data": 5000 / 30000}
        assert len(names) == found[name]["signal"]["shape"][1]
    n_channels = len(channels)
    memmap = np.memmap(oebin.parent / "continuous" / stream / "continuous.dat", "<i2", "r").reshape(-1, n_channels)
    got = np.array(archive.values(found[stream]["signal"]["data"]), np.float32)
    np.testing.assert_array_equal(got, (memmap[:, :3] * 0.195).astype(np.float32))
    assert ("synchronized_t_start" in found[stream]["annotations"]) != older
    assert listed(archive, "block")[0]["name"] == "recordings Record Node 101 experiment1 recording1"
    names = [one["name"] for one in listed(archive, "recordingchannel")]
    assert names == channels and samples.shape == (1000, n_channels)


def test_electrodes_inputs_and_the_word_of_bits_are_signals_of_their_own(archive, folder):
    _, samples = write_open_ephys(folder)
    archive.register(folder / "Record Node 101" / "experiment1" / "recording1" / "structure.oebin")
    found = signals(archive)
    assert [one["signal"]["units"] for one in found.values()] == ["uV", "V", "dimensionless"]
    links = [one["signal"]["data"] + "?scaled=0" for one in found.values()]
    assert [archive.values(link) for link in links] == [
        samples[:, :3].tolist(), samples[:, 3:5].tolist(), samples[:, 5:].tolist()
    ]  # fmt: skip


@pytest.mark.parametrize("older", [False, True])
def test_events_are_what_numpy_reads_in_the_order_of_time(archive, folder, older):
    archive.register(write_open_ephys(folder, older=older, channels=["CH1", "CH2"])[0])
    lines, texts = listed(archive, "eventarray")
    times = np.array([5010, 5020, 5040, 5500, 5600, 5900]) / 30000
    assert archive.values(lines["times"]["data"]) == times.tolist()
    assert archive.values(lines["labels"]["data"]) == ["1 on", "2 on", "1 off", "1 on", "2 off", "1 off"]
    assert archive.values(texts["times"]["data"]) == [5100 / 30000, 5700 / 30000]
    assert archive.values(texts["labels"]["data"]) == ["grün", "second"]
    assert archive.values(lines["times"]["data"] + "?start_index=1&end_index=3") == times[1:3].tolist()
    part = archive.fields(f"/electrophysiology/eventarray/1/?start_time={5015 / 30000}&end_time={5550 / 30000}")
    assert archive.values(part["times"]["data"]) == times[1:4].tolist()
    reader, _ = neo_streams(folder)
    index = [channel["name"] for channel in reader.header["event_channels"]].index("TTL")
    rising, _, _ = reader.get_event_timestamps(0, 0, index)
    ours = [time for time, label in zip(times, archive.values(lines["labels"]["data"]), strict=True) if "on" in label]
    times = reader.rescale_event_timestamp(rising, "float64", index)
    # Neo divides the numbers of older versions by the rate twice.
    np.testing.assert_allclose(times * 30000 if older else times, ours, rtol=1e-12)
    source = archive.get(lines["times"]["data"] + "/download/").headers["Content-Disposition"]
    assert ("timestamps.npy" if older else "sample_numbers.npy") in source


GAPS = {
    "none": ([], 1),
    "one": ([400], 2),
    "at the beginning": ([1], 2),
    "at the end": ([999], 2),
    "three": ([10, 11, 700], 4),
    "everywhere": (list(range(7, 1000, 13)), 78),
}


@pytest.mark.parametrize("name", GAPS)
def test_gaps_make_signals_of_their_own(archive, folder, name):
    places, n_runs = GAPS[name]
    numbers = np.arange(5000, 6000)
    for place in places:
        numbers[place:] += 1000 + place
    oebin, samples = write_open_ephys(folder, numbers=numbers, channels=["CH1", "CH2"], events=False)
    assert archive.register(oebin).refusals == []
    found = listed(archive, "analogsignalarray")
    assert len(found) == n_runs
    starts = [0, *places]
    for fields, start, stop in zip(found, starts, [*places, 1000], strict=True):
        assert fields["t_start"]["data"] == numbers[start] / 30000
        link = fields["signal"]["data"] + "?scaled=0"
        assert archive.values(link) == samples[start:stop].tolist()
        assert fields["annotations"].get("parts", 1) == n_runs


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (np.arange(1000)[::-1], "fall, or stand still"),
        (np.zeros(1000, int), "fall, or stand still"),
    ],
)
def test_numbers_that_do_not_rise_are_refused(archive, folder, numbers, reason):
    outcome = archive.register(write_open_ephys(folder, numbers=numbers)[0])
    assert reason in outcome.refusals[0].reason
    assert listed(archive, "analogsignalarray") == []
    assert len(listed(archive, "eventarray")) == 2


def test_more_gaps_than_are_served_are_refused(archive, folder):
    numbers = np.arange(4000) * 2
    outcome = archive.register(write_open_ephys(folder, numbers=numbers, n_samples=4000)[0])
    assert "more than 1000 gaps" in outcome.refusals[0].reason


def test_a_recording_of_fewer_numbers_than_samples_waits(archive, folder):
    oebin, _ = write_open_ephys(folder, numbers=np.arange(900))
    outcome = archive.register(oebin)
    assert outcome.state == "waiting" and "1000 samples" in outcome.refusals[0].reason
    settled(folder, 90_000)
    outcome = archive.register(oebin)  # what is whole of it is served then
    assert outcome.state == "registered" and "nothing was added for a day" in outcome.refusals[0].reason
    assert listed(archive, "analogsignalarray") == [] and len(listed(archive, "eventarray")) == 2


def test_a_recording_that_was_changed_just_now_waits(archive, folder):
    oebin, _ = write_open_ephys(folder)
    next((oebin.parent / "continuous").rglob("continuous.dat")).touch()
    assert archive.register(oebin).state == "waiting"


def test_a_recording_of_too_many_files_is_refused(archive, folder, monkeypatch):
    monkeypatch.setattr(file_sets, "MAX_FILES", 5)
    outcome = archive.register(write_open_ephys(folder)[0])
    assert outcome.state == "refused" and "files, more than 5" in outcome.refusals[0].reason


def test_a_folder_of_nodes_and_each_of_its_parts_are_recordings(archive, folder):
    oebin, _ = write_open_ephys(folder)
    other, _ = write_open_ephys(folder / "more", events=False)
    store = archive.services.store
    assert files_at(store, str(folder)) == sorted([f"file://{oebin}", f"file://{other}"])
    assert files_at(store, str(oebin.parent)) == [f"file://{oebin}"]
    samples = next((oebin.parent / "continuous").rglob("continuous.dat"))
    assert files_at(store, str(samples)) == [f"file://{oebin}"]


def test_nothing_is_stored_but_what_was_made_of_events(archive, folder):
    archive.register(write_open_ephys(folder)[0])
    stored = list((archive.settings.data / "store").rglob("*.h5"))
    assert len(stored) == 4 and all("sidecars" in str(path) for path in stored)
    assert all(path.stat().st_size < 10_000 for path in stored)


def changed(oebin, change):
    told = json.loads(oebin.read_text())
    change(told)
    oebin.write_text(json.dumps(told))
    settled(oebin.parent)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda told: told["continuous"][0].update(folder_name="elsewhere/"), "continuous.dat is not there"),
        (lambda told: told["continuous"][0].update(folder_name="../../x/"), "without a folder"),
        (lambda told: told["continuous"][0].update(sample_rate="fast"), "cannot be read"),
        (lambda told: told["continuous"][0].update(sample_rate=0), "cannot be read"),
        (lambda told: told["continuous"][0].pop("sample_rate"), "cannot be read"),
        (lambda told: told["continuous"][0].update(num_channels=7), "6 channels, and tells of 7"),
        (lambda told: told["continuous"][0].update(channels=[]), "0 channels"),
        (lambda told: told["continuous"][0]["channels"][0].pop("bit_volts"), "cannot be read"),
        (lambda told: told["continuous"][0]["channels"][0].update(bit_volts=float("inf")), "bit_volts"),
        (lambda told: told.update(spikes=[{"folder": "a"}]), "spikes of Open Ephys are not served"),
    ],
)
def test_parts_that_are_not_as_they_should_be_are_left_out(archive, folder, change, reason):
    oebin, _ = write_open_ephys(folder)
    changed(oebin, change)
    refusals = archive.register(oebin).refusals
    assert any(reason in refusal.reason for refusal in refusals), refusals


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        (lambda told: told["events"].insert(0, None), "/events[0]", "without a folder"),
        (lambda told: told["continuous"].insert(0, {"folder_name": "../.."}), "/continuous[0]", "without a folder"),
        (lambda told: told["continuous"].append(5), "/continuous[1]", "without a folder"),
        (lambda told: told.update(spikes=[{}]), "/spikes[0]", "without a folder"),
        (lambda told: told.update(spikes=5), "/spikes", "no list of spikes"),
    ],
)
def test_an_entry_that_is_none_takes_nothing_with_it(archive, folder, change, path, reason):
    oebin, _ = write_open_ephys(folder)
    whole = archive.register(oebin)
    assert whole.refusals == []
    changed(oebin, change)
    outcome = archive.register(oebin)
    assert [one.path for one in outcome.refusals] == [path] and reason in outcome.refusals[0].reason
    assert outcome.counts == whole.counts


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"continuous": 5}', b"[" * 100_000, b'{"continuous": [5]}'])
def test_a_structure_of_garbage_is_refused(archive, folder, content):
    oebin, _ = write_open_ephys(folder)
    oebin.write_bytes(content)
    settled(folder)
    assert archive.register(oebin).state == "refused"


@pytest.mark.parametrize(
    "array",
    [np.array([{}], object), np.array([(1, 2)], "i4,i4"), np.asfortranarray(np.ones((2, 2))), np.zeros(3, "c8")],
    ids=["objects", "records", "Fortran", "complex"],
)
def test_arrays_of_other_kinds_are_left_out_and_never_unpickled(archive, folder, array):
    oebin, _ = write_open_ephys(folder)
    np.save(next((oebin.parent / "events").rglob("states.npy")), array, allow_pickle=True)
    settled(folder)
    (refusal,) = archive.register(oebin).refusals
    assert "states.npy" in refusal.reason
    assert len(listed(archive, "eventarray")) == 1

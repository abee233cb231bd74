"""Plain HDF5 registered by a mapping file, as the service answers it."""

from __future__ import annotations

import io
import re

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import mapping_files
from storage.ingest.formats.mapping import matches
from tests.storage.ingest.formats.served import Served

RNG = np.random.default_rng(1)
SAMPLES = RNG.integers(-9999, 9999, (400, 3)).astype(np.int32)
TIMES = np.sort(RNG.random(400)) * 10
FEW = np.array([3.0, 1.0, 2.0])


@pytest.fixture
def served(tmp_path):
    """The service, and a file with arrays of all kinds."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["down"], file["across"] = SAMPLES, SAMPLES.T
        file["one"] = SAMPLES[:, 0]
        file["times"], file["few"] = TIMES, FEW
        file["events"] = np.array([[30, 10, 20], [5, 0, 9]], np.int64)
        file["labels"] = ["c", "a", "bé"]
        file["names"] = ["left", "middle", "right"]
        file["waveforms"] = np.arange(30, dtype=np.int16).reshape(3, 2, 5)
        file["numbers"] = np.array([[1.0, 0.5, 0.25], [0, 2, 0], [3, 0, 1]])
        file["rate"] = [[250.0]]
        for run in ("a", "b"):
            for number in range(2):
                file[f"runs/{run}/unit {number}/spikes"] = FEW + number
            file[f"runs/{run}/start"] = 0.5 if run == "a" else 1.5
            file[f"runs/{run}/signal"] = SAMPLES[: 100 if run == "a" else 200, 0]
        file["runs/a/link"] = h5py.SoftLink("/one")
        file["runs/b/link"] = h5py.ExternalLink("/etc/other.h5", "/one")
        file["empty"] = np.empty(0)
    return Served(tmp_path)


def mapped(served, text, **plain):
    """Register the file by a mapping file."""
    mapping = mapping_files.load(text.encode())
    return served.register(served.archive.folder / "x.h5", mapping=mapping, **plain)


def one(*lines, **plain):
    return "arrays:\n  - " + "\n    ".join(lines) + "\n"


@pytest.mark.parametrize(("dataset", "axis"), [("/down", 0), ("/across", 1)])
@pytest.mark.parametrize(
    ("calibration", "rows"),
    [
        ("{gain: 0.5}", [[0, 0.5]] * 3),
        ("{gain: [1, -2, 3], offset: 7}", [[7, 1], [7, -2], [7, 3]]),
        ("{offset: [1, 2, 3]}", [[1, 1], [2, 1], [3, 1]]),
        ("{gain: [4, 5, 6], offset: [1, 2, 3]}", [[1, 4], [2, 5], [3, 6]]),
        ("{polynomial: [1, 2, 1e-3]}", [[1, 2, 1e-3]] * 3),
        ("{polynomial: /numbers}", [[1, 0.5, 0.25], [0, 2, 0], [3, 0, 1]]),
        ("{polynomial: '/numbers[0]'}", [[1, 0.5, 0.25]] * 3),
    ],
)
def test_arrays_of_either_order_with_calibrations_of_each_kind(served, dataset, axis, calibration, rows):
    lines = [f"dataset: {dataset}", "type: analogsignalarray", f"time_axis: {axis}", f"calibration: {calibration}"]
    told = mapped(served, one(*lines, "sampling_rate: 2 kHz", "t_start: 5 ms", "units: uV", "channel_names: /names"))
    assert told.refusals == []
    signal = served.one("analogsignalarray")
    columns = zip(SAMPLES.T.astype(float), rows, strict=True)
    expected = np.transpose([np.polynomial.polynomial.polyval(values, row) for values, row in columns])
    np.testing.assert_allclose(served.array(signal["signal"]), expected, rtol=1e-13)
    assert signal["sampling_rate"] == {"units": "kHz", "data": 2} and signal["t_start"] == {"units": "ms", "data": 5}
    assert signal["signal"]["units"] == "uV" and signal["annotations"]["channel_names"] == ["left", "middle", "right"]


@pytest.mark.parametrize(("dataset", "axis"), [("/down[2]", 0), ("/across[2]", 1)])
def test_one_channel_of_an_array_is_a_signal(served, dataset, axis):
    lines = [f"dataset: {dataset}", "type: analogsignal", f"time_axis: {axis}", "calibration: {gain: [1, 2, 3]}"]
    assert mapped(served, one(*lines, "sampling_rate: {dataset: /rate, units: Hz}")).refusals == []
    signal = served.one("analogsignal")
    np.testing.assert_array_equal(served.array(signal["signal"]), SAMPLES[:, 2] * 3.0)
    np.testing.assert_array_equal(served.array(signal["signal"], "?scaled=0&start_index=7"), SAMPLES[7:, 2])
    assert signal["sampling_rate"] == {"units": "Hz", "data": 250} and signal["signal"]["shape"] == [400]


def test_wildcards_name_objects_segments_and_other_datasets(served):
    text = """
block: an experiment
arrays:
  - dataset: /runs/*/unit ?/spikes
    type: spiketrain
    name: unit {2} of {1}
    segment: run {1}
    t_start:
      dataset: /runs/{1}/start
      units: s
    t_stop: 9 s
  - dataset: /runs/*/signal
    type: analogsignal
    segment: run {1}
    sampling_rate: 1 kHz
  - dataset: /one
    type: analogsignal
    sampling_rate: 1 Hz
"""
    assert mapped(served, text).refusals == []
    assert [one["name"] for one in served.all("segment")] == ["run a", "run b", "an experiment"]
    trains = served.all("spiketrain")
    assert [one["name"] for one in trains] == ["unit 0 of a", "unit 1 of a", "unit 0 of b", "unit 1 of b"]
    assert [one["t_start"]["data"] for one in trains] == [0.5, 0.5, 1.5, 1.5]
    assert served.array(trains[3]["times"]).tolist() == [2, 3, 4]
    assert trains[0]["segment"] == trains[1]["segment"] != trains[2]["segment"]
    assert [one["signal"]["shape"] for one in served.all("analogsignal")] == [[100], [200], [400]]
    assert served.one("block")["name"] == "an experiment"


PIECES = st.sampled_from(["a", "b", ".", "*", "?"])


@given(
    st.lists(PIECES, min_size=1, max_size=8).map("".join).filter(lambda text: "**" not in text and text != "."),
    st.text("ab.", min_size=1, max_size=8).filter(lambda text: text.strip(".")),
)
def test_each_wildcard_takes_as_much_as_it_can_the_first_one_first(pattern, name):
    as_regex = "".join({"*": "(.*)", "?": "(.)"}.get(one, re.escape(one)) for one in pattern)
    expected = re.fullmatch(as_regex, name)
    with h5py.File(io.BytesIO(), "w") as file:
        file[name] = 1
        found = [one.words for one in matches(file, f"/{pattern}")]
    assert found == ([] if expected is None else [expected.groups()])


def test_many_wildcards_cost_no_more_than_their_number(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a" * 1000 + "b"] = 1.0
        assert list(matches(file, "/" + "*a" * 30 + "c")) == []
        ((first, *others),) = (one.words for one in matches(file, "/" + "*a" * 30 + "b"))
        assert (first, others) == ("a" * 970, [""] * 29)


def test_irregular_signals_spikes_events_and_epochs(served):
    text = """
arrays:
  - {dataset: /across, type: irregularlysampledsignal, time_axis: 1, times: /times, times_units: ms, name: uneven}
  - {dataset: /few, type: spiketrain, units: ms, waveforms: /waveforms, waveforms_units: uV, name: unit}
  - {dataset: /few, type: eventarray, labels: /labels, name: events}
  - {dataset: '/events[0]', type: epocharray, time_axis: 1, units: us, durations: '/events[1]', name: epochs}
  - {dataset: /few, type: epocharray, durations: /few, durations_units: min}
  - {dataset: /empty, type: spiketrain, name: silent}
"""
    assert mapped(served, text).refusals == []
    uneven = served.one("irsaanalogsignal")
    np.testing.assert_array_equal(served.array(uneven["signal"]), SAMPLES)
    np.testing.assert_array_equal(served.array(uneven["times"]), TIMES)
    assert uneven["times"]["units"] == "ms" and uneven["t_start"] == {"units": "ms", "data": TIMES[0]}
    unit, silent = served.all("spiketrain")
    assert served.array(unit["times"]).tolist() == [1, 2, 3] and unit["t_stop"] == {"units": "ms", "data": 3}
    np.testing.assert_array_equal(served.array(unit["waveforms"]), np.arange(30).reshape(3, 2, 5)[[1, 2, 0]])
    assert unit["waveforms"]["units"] == "uV" and unit["annotations"]["t_stop_source"] == "last spike"
    assert served.array(silent["times"]).size == 0
    events = served.one("eventarray")
    assert served.array(events["labels"]).tolist() == [b"a", "bé".encode(), b"c"]
    epochs, minutes = served.all("epocharray")
    assert served.array(epochs["times"]).tolist() == [10, 20, 30] and epochs["times"]["units"] == "us"
    assert served.array(epochs["durations"]).tolist() == [0, 9, 5]
    assert served.array(minutes["durations"]).tolist() == [60, 120, 180] and minutes["durations"]["units"] == "s"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["dataset: /nothing/*", "type: eventarray"], "no dataset of the file has this path"),
        (["dataset: /runs", "type: eventarray"], "no dataset of the file has this path"),
        (["dataset: /one", "type: analogsignal"], "its sampling rate is not known"),
        (["dataset: /one", "type: analogsignalarray", "sampling_rate: 1 Hz"], "so is no analogsignalarray"),
        (["dataset: /down", "type: analogsignal", "sampling_rate: 1 Hz"], "so is no analogsignal,"),
        (["dataset: '/down[3]'", "type: analogsignal", "sampling_rate: 1 Hz"], "there is no channel 3"),
        (["dataset: '/one[0]'", "type: analogsignal", "sampling_rate: 1 Hz"], "there is no channel 0"),
        (["dataset: /waveforms", "type: analogsignalarray", "sampling_rate: 1 Hz"], "not a signal"),
        (["dataset: /labels", "type: analogsignal", "sampling_rate: 1 Hz"], "not a signal"),
        (["dataset: /down", "type: analogsignalarray", "sampling_rate: 0 Hz"], "sampling rate"),
        (["dataset: /one", "type: analogsignal", "sampling_rate: {dataset: /x, units: Hz}"], "there is no dataset /x"),
        (["dataset: /one", "type: analogsignal", "sampling_rate: {dataset: /few, units: Hz}"], "not a number"),
        (["dataset: /down", "type: analogsignalarray", "sampling_rate: 1 Hz", "channel_names: [a]"], "3 channels"),
        (
            ["dataset: /down", "type: analogsignalarray", "sampling_rate: 1 Hz", "calibration: {gain: [1, 2]}"],
            "told for 2",
        ),
        (["dataset: /one", "type: irsaanalogsignal", "times: /rate"], "400 samples but 1 times"),
        (["dataset: /few", "type: irsaanalogsignal", "times: /few"], "not sorted"),
        (["dataset: /labels", "type: eventarray"], "not one number each"),
        (["dataset: /events", "type: eventarray"], "say which of its rows is meant"),
        (["dataset: /times", "type: eventarray", "labels: /labels"], "400 times but 3 labels"),
        (["dataset: /few", "type: eventarray", "labels: /times"], "not text"),
        (["dataset: /times", "type: spiketrain", "waveforms: /waveforms"], "not 400 spikes"),
        (["dataset: /runs/b/link", "type: analogsignal", "sampling_rate: 1 Hz"], "lies in another file"),
    ],
)
def test_what_does_not_fit_the_file_is_refused_with_its_reason(served, lines, reason):
    outcome = mapped(served, one(*lines))
    assert outcome.state == "refused"
    assert any(reason in told for told in served.refusals.values()), served.refusals


def test_links_in_the_file_are_followed_and_what_is_refused_hinders_nothing_else(served):
    text = """
arrays:
  - {dataset: /runs/*/link, type: analogsignal, sampling_rate: 1 Hz}
  - {dataset: /one, type: analogsignal, sampling_rate: 1 Hz, name: again}
"""
    mapped(served, text)
    assert all("other.h5" in reason for reason in served.refusals.values()) and len(served.refusals) == 1
    first, again = served.all("analogsignal")
    assert first["signal"]["data"] == again["signal"]["data"] and again["name"] == "again"


def test_options_of_the_command_count_where_nothing_is_told(served):
    mapped(served, one("dataset: /one", "type: analogsignal"), sampling_rate=(30.0, "kHz"), units="mV")
    signal = served.one("analogsignal")
    assert signal["sampling_rate"] == {"units": "kHz", "data": 30} and signal["signal"]["units"] == "mV"


def test_a_mapping_is_remembered_until_another_takes_its_place(served):
    path = served.archive.folder / "x.h5"
    first = one("dataset: /one", "type: analogsignal", "sampling_rate: 1 Hz")
    assert mapped(served, first).state == "registered"
    assert served.register(path).state == "unchanged" and mapped(served, first).state == "unchanged"
    link = served.one("analogsignal")["id"]
    second = mapped(served, one("dataset: /one", "type: analogsignal", "sampling_rate: 2 Hz"))
    assert second.state == "updated" and served.one("analogsignal")["id"] == link
    assert served.one("analogsignal")["sampling_rate"]["data"] == 2
    assert served.register(path, mapping={}).state == "refused"  # it is no plain file with one array

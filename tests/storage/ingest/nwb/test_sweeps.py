"""Intracellular sweeps: a segment each, with stimulus and response together, however the file tells of them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.icephys import (
    CurrentClampSeries,
    CurrentClampStimulusSeries,
    IZeroClampSeries,
    VoltageClampSeries,
    VoltageClampStimulusSeries,
)

from tests.storage.ingest.nwb.written import array, by_name, objects, session, write

RESPONSE, STIMULUS = np.arange(6.0), np.arange(6.0) * 1e-12


def electrode(made, name="pipette"):
    device = made.devices.get("amplifier") or made.create_device("amplifier")
    return made.create_icephys_electrode(name=name, description="glass", device=device, location="L5")


def response(pipette, name, **more):
    more = {"data": RESPONSE, "starting_time": 1.0, "rate": 100.0, "bias_current": 5e-12, "gain": 2.0} | more
    return CurrentClampSeries(name=name, electrode=pipette, stimulus_description="step", **more)


def stimulus(pipette, name, **more):
    more = {"data": STIMULUS, "starting_time": 1.0, "rate": 100.0, "gain": 3.0} | more
    return CurrentClampStimulusSeries(name=name, electrode=pipette, **more)


def pair(made, pipette, number, **more):
    """Add a response and its stimulus."""
    answer, given = response(pipette, f"response{number}", **more), stimulus(pipette, f"given{number}", **more)
    made.add_acquisition(answer)
    made.add_stimulus(given)
    return answer, given


def tree(archive):
    """Names of the signals in each segment, by its name, and their roles."""
    signals = {f"/electrophysiology/analogsignal/{one['id']}": one for one in objects(archive, "analogsignal")}
    return {
        segment["name"]: {
            (signals[link]["name"], signals[link]["annotations"].get("role")) for link in segment["analogsignal_set"]
        }
        for segment in objects(archive, "segment")
    }


def paired(*numbers, names=("response{}", "given{}")):
    """The tree of as many pairs."""
    return {
        f"sweep {number}": {(names[0].format(number), "response"), (names[1].format(number), "stimulus")}
        for number in numbers
    }


def test_numbers_of_sweeps_put_stimulus_and_response_together(archive, registered):
    made = session()
    pipette = electrode(made)
    for number in (7, 3):
        pair(made, pipette, number, sweep_number=np.uint64(number))
    registered(made)
    assert tree(archive) == paired(3, 7)
    third = by_name(archive, "segment")["sweep 3"]
    assert third["annotations"] == {"sweep_number": 3, "electrodes": ["pipette"]} and third["index"] == 0
    block = objects(archive, "block")[0]
    assert third["block"].endswith(f"/{block['id']}")
    assert block["annotations"]["intracellular_electrodes"] == {
        "pipette": {"description": "glass", "location": "L5", "device": "amplifier"}
    }
    told = by_name(archive, "analogsignal")["response3"]["annotations"]
    assert told["role"] == "response" and told["sweep_number"] == 3 and told["electrode"] == "pipette"
    assert told["bias_current"] == 5e-12 and told["gain"] == 2
    assert told["stimulus_description"] == "step"


def write_with_sweep_table(path, numbers):
    """pynwb writes no more sweep tables: series without numbers, and a table that names them."""
    made = session()
    pipette = electrode(made)
    for number in range(len(numbers)):
        pair(made, pipette, number)
    write(made, path)
    with h5py.File(path, "r+") as file:
        table = file["general/intracellular_ephys"].create_group("sweep_table")
        table.attrs.update(neurodata_type="SweepTable", namespace="core", colnames=["series", "sweep_number"])
        rows = [f"/{place}{row}" for row in range(len(numbers)) for place in ("acquisition/response", PRESENTED)]
        table["id"] = np.arange(len(rows))
        table.create_dataset("series", data=[file[row].ref for row in rows], dtype=h5py.ref_dtype)
        table["series_index"] = np.arange(len(rows)) + 1
        table["sweep_number"] = np.repeat(np.array(numbers, np.uint64), 2)
    return path


PRESENTED = "stimulus/presentation/given"


def test_a_sweep_table_puts_them_together(archive, tmp_path):
    assert archive.register(write_with_sweep_table(tmp_path / "x.nwb", [12, 5, 9])).refusals == []
    names = {5: 1, 9: 2, 12: 0}
    assert tree(archive) == {
        f"sweep {number}": {(f"response{row}", "response"), (f"given{row}", "stimulus")}
        for number, row in names.items()
    }
    assert [one["index"] for one in objects(archive, "segment")] == [0, 1, 2]


@pytest.mark.parametrize(
    "names",
    [
        ("CurrentClampSeries_{:02}", "CurrentClampStimulusSeries_{:02}"),
        ("data_{:05}_AD0", "data_{:05}_DA0"),
        ("response {}", "stimulus {}"),
        ("cell1-ccs-{}", "cell1-ccss-{}"),
        ("vm{}", "im{}"),
    ],
)
def test_names_put_them_together_where_nothing_else_does(archive, registered, names):
    made = session()
    pipette = electrode(made)
    for number in (1, 2, 10):
        made.add_acquisition(response(pipette, names[0].format(number)))
        made.add_stimulus(stimulus(pipette, names[1].format(number)))
    registered(made)
    found = tree(archive)
    assert list(found.values()) == list(paired(1, 2, 10, names=names).values())


def test_series_that_nothing_puts_together_are_in_the_segment_of_the_session(archive, registered):
    made = session()
    pipette = electrode(made)
    made.add_acquisition(response(pipette, "a"))
    made.add_stimulus(stimulus(pipette, "b"))
    made.add_acquisition(TimeSeries(name="temperature", data=RESPONSE, unit="C", starting_time=0.0, rate=1.0))
    pair(made, pipette, 4, sweep_number=np.uint64(4))
    registered(made)
    found = tree(archive)
    assert found == {"session": {("a", None), ("b", None), ("temperature", None)}, **paired(4)}
    roles = {one["name"]: one["annotations"].get("role") for one in objects(archive, "analogsignal")}
    assert roles["a"] is None


def test_simultaneous_recordings_are_one_sweep_with_all_that_is_said_above_them(archive, registered):
    made = session()
    first, second = electrode(made, "one"), electrode(made, "two")
    rows = []
    for number in range(4):
        both = [pair(made, pipette, f"{number}{name}") for pipette, name in ((first, "a"), (second, "b"))]
        rows.append(
            [
                made.add_intracellular_recording(electrode=pipette, stimulus=given, response=answer)
                for pipette, (answer, given) in zip((first, second), both, strict=True)
            ]
        )
    together = [made.add_icephys_simultaneous_recording(recordings=row) for row in rows]
    made.get_icephys_sequential_recordings()
    runs = [
        made.add_icephys_sequential_recording(simultaneous_recordings=together[:2], stimulus_type="ramp"),
        made.add_icephys_sequential_recording(simultaneous_recordings=together[2:], stimulus_type="square"),
    ]
    repeats = [made.add_icephys_repetition(sequential_recordings=[run]) for run in runs]
    made.get_icephys_experimental_conditions().add_column(name="drug", description="in the bath")
    for repeat, drug in zip(repeats, ("none", "TTX"), strict=True):
        made.add_icephys_experimental_condition(repetitions=[repeat], drug=drug)
    registered(made)
    assert tree(archive) == {
        f"sweep {number}": {
            (f"{kind}{number}{name}", role)
            for name in "ab"
            for kind, role in (("response", "response"), ("given", "stimulus"))
        }
        for number in range(4)
    }
    last = by_name(archive, "segment")["sweep 3"]["annotations"]
    assert last == {
        "sweep_number": 3,
        "electrodes": ["one", "two"],
        "intracellular_recordings": [6, 7],
        "simultaneous_recording": 3,
        "sequential_recording": 1,
        "stimulus_type": "square",
        "repetition": 1,
        "condition": 1,
        "drug": "TTX",
    }
    signal = by_name(archive, "analogsignal")["response3b"]["annotations"]
    assert (signal["electrode"], signal["repetition"], signal["condition"]) == ("two", 1, 1)


def test_parts_of_one_series_are_sweeps_in_place(archive, registered):
    made = session()
    pipette = electrode(made)
    samples = np.arange(100.0)
    answer, given = response(pipette, "r", data=samples), stimulus(pipette, "s", data=samples * 1e-12)
    made.add_acquisition(answer)
    made.add_stimulus(given)
    for start, count in ((0, 40), (50, 30)):
        ends = {"response_start_index": start, "response_index_count": count}
        ends |= {"stimulus_start_index": start, "stimulus_index_count": count}
        made.add_intracellular_recording(electrode=pipette, stimulus=given, response=answer, **ends)
    registered(made)
    assert tree(archive) == {
        "sweep 0": {("r", "response"), ("s", "stimulus")},
        "sweep 1": {("r", "response"), ("s", "stimulus")},
        "session": {("r", None), ("s", None)},  # as the sweeps leave samples out
    }
    parts = [one for one in objects(archive, "analogsignal") if one["annotations"].get("role") == "response"]
    assert [one["t_start"]["data"] for one in parts] == [1, 1.5]
    for one, (start, stop) in zip(parts, ((0, 40), (50, 80)), strict=True):
        np.testing.assert_array_equal(array(archive, one["signal"]), samples[start:stop])


def test_a_stimulus_of_many_sweeps_is_one_array(archive, registered):
    made = session()
    pipette = electrode(made)
    given = stimulus(pipette, "s")
    made.add_stimulus(given)
    for number in range(3):
        answer = response(pipette, f"r{number}")
        made.add_acquisition(answer)
        made.add_intracellular_recording(electrode=pipette, stimulus=given, response=answer)
    registered(made)
    assert tree(archive) == {f"sweep {number}": {(f"r{number}", "response"), ("s", "stimulus")} for number in range(3)}
    links = {one["signal"]["data"] for one in objects(archive, "analogsignal") if one["name"] == "s"}
    assert len(links) == 1


def test_recordings_of_a_response_alone(archive, registered):
    made = session()
    pipette = electrode(made)
    answer = IZeroClampSeries(
        name="rest", data=RESPONSE, electrode=pipette, gain=1.0, starting_time=0.0, rate=10.0, sweep_number=np.uint64(2)
    )
    made.add_acquisition(answer)
    made.add_intracellular_recording(electrode=pipette, response=answer)
    registered(made)
    assert tree(archive) == {"sweep 2": {("rest", "response")}}


def test_voltage_clamp_tells_its_compensations(archive, registered):
    made = session()
    pipette = electrode(made)
    answer = VoltageClampSeries(
        name="i", data=STIMULUS, electrode=pipette, gain=0.02, starting_time=0.0, rate=10.0, capacitance_slow=1e-10,
        resistance_comp_correction=70.0, sweep_number=np.uint64(0),
    )  # fmt: skip
    given = VoltageClampStimulusSeries(
        name="v", data=RESPONSE, electrode=pipette, gain=0.03, starting_time=0.0, rate=10.0, sweep_number=np.uint64(0)
    )
    made.add_acquisition(answer)
    made.add_stimulus(given)
    registered(made)
    assert tree(archive) == {"sweep 0": {("i", "response"), ("v", "stimulus")}}
    told = by_name(archive, "analogsignal")["i"]["annotations"]
    assert told["capacitance_slow"] == 1e-10 and told["capacitance_slow_units"] == "farads"
    assert told["resistance_comp_correction"] == 70


@pytest.mark.parametrize("harm", ["dangling", "far", "text"])
def test_a_harmed_table_of_sweeps_does_not_keep_series_from_being_served(archive, tmp_path, harm):
    path = write_with_sweep_table(tmp_path / "x.nwb", [1, 2])
    with h5py.File(path, "r+") as file:
        table = file["general/intracellular_ephys/sweep_table"]
        if harm == "dangling":
            del file["acquisition/response0"]
        elif harm == "far":
            table["series_index"][-1] = 99
        else:
            del table["sweep_number"]
            table["sweep_number"] = ["a"] * 4
    outcome = archive.register(path)
    assert outcome.counts["analogsignal"] == (3 if harm == "dangling" else 4)
    assert outcome.counts["segment"] == 2  # by their names, where the table cannot be used

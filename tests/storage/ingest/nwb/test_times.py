"""Trials, intervals, events and annotations, in whatever order the file has them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.event import EventsTable
from pynwb.misc import AnnotationSeries, IntervalSeries

from tests.storage.ingest.nwb.written import array, by_path, objects, reasons, session, write

STARTS, STOPS = [0.5, 2.0, 3.25], [1.5, 2.75, 4.0]


def texts(archive, field):
    return archive.values(field["data"])


def test_trials_are_epochs_with_their_columns_in_parallel(archive, registered):
    made = session()
    for name in ("correct", "side", "contrast", "licks", "cue_time", "lick_times"):
        made.add_trial_column(name, f"column {name}", index=name in ("licks", "lick_times"))
    for row, (start, stop) in enumerate(zip(STARTS, STOPS, strict=True)):
        made.add_trial(
            start_time=start, stop_time=stop, correct=row == 1, side=["left", "ä", ""][row],
            contrast=[0.5, np.nan, 1][row], licks=np.arange(row), cue_time=[0.75, np.nan, 3.5][row],
            lick_times=start + np.arange(row) / 10, id=row + 7,
        )  # fmt: skip
    registered(made)
    (trials,) = objects(archive, "epocharray")
    assert array(archive, trials["times"]).tolist() == STARTS and trials["times"]["units"] == "s"
    np.testing.assert_array_equal(array(archive, trials["durations"]), np.array(STOPS) - np.array(STARTS))
    assert trials["durations"]["units"] == "s"
    assert texts(archive, trials["labels"]) == ["7", "8", "9"]
    told = trials["annotations"]
    assert told["nwb_path"] == "/intervals/trials" and told["neurodata_type"] == "TimeIntervals"
    assert told["correct"] == [False, True, False] and told["side"] == ["left", "ä", ""]
    assert told["contrast"] == [0.5, None, 1] and told["licks"] == [[], [0], [0, 1]]
    assert "cue_time" not in told and "start_time" not in told
    events = by_path(archive, "eventarray")
    cues, licks = events["/intervals/trials/cue_time"], events["/intervals/trials/lick_times"]
    assert array(archive, cues["times"]).tolist() == [0.75, 3.5] and texts(archive, cues["labels"]) == ["7", "9"]
    assert cues["annotations"]["description"] == "column cue_time"
    assert cues["annotations"]["left_out"] == "1 of 3 rows, which have no time"
    assert "left_out" not in licks["annotations"]
    np.testing.assert_allclose(array(archive, licks["times"]), [2.0, 3.25, 3.35])
    assert texts(archive, licks["labels"]) == ["8", "9", "9"]
    segment = objects(archive, "segment")[0]
    assert len(segment["epocharray_set"]) == 1 and len(segment["eventarray_set"]) == 2


@pytest.mark.parametrize(("row", "end"), [(1, 99), (2, 7), (0, 5)])
def test_a_damaged_column_is_listed_and_the_others_told(archive, tmp_path, row, end):
    made = session()
    made.add_trial_column("licks", "how many", index=True)
    made.add_trial_column("side", "which")
    for start in STARTS:
        made.add_trial(start_time=start, stop_time=9.0, licks=[1, 2], side="left")
    path = write(made, tmp_path / "x.nwb")
    with h5py.File(path, "r+") as file:
        file["intervals/trials/licks_index"][row] = end
    assert reasons(archive.register(path)) == {"/intervals/trials/licks": "its licks_index does not rise from 0 to 6"}
    (trials,) = objects(archive, "epocharray")
    assert trials["annotations"]["side"] == ["left"] * 3 and array(archive, trials["times"]).tolist() == STARTS


def test_tags_label_epochs(archive, registered):
    made = session()
    made.add_epoch(0.0, 1.0, ["rest", "dark"])
    made.add_epoch(2.0, 3.5, ["run"])
    made.add_epoch(4.0, 5.0, [])
    registered(made)
    (epochs,) = objects(archive, "epocharray")
    assert texts(archive, epochs["labels"]) == ["rest, dark", "run", ""]
    assert array(archive, epochs["durations"]).tolist() == [1, 1.5, 1]


def test_intervals_of_any_name_and_place_that_refer_to_series(archive, registered):
    made = session()
    series = TimeSeries(name="x", data=np.arange(100.0), unit="V", starting_time=0.0, rate=10.0)
    made.add_acquisition(series)
    ripples = TimeIntervals(name="ripples", description="sharp waves")
    ripples.add_interval(start_time=1.0, stop_time=2.0, timeseries=[series])
    made.add_time_intervals(ripples)
    bouts = TimeIntervals(name="bouts", description="of sleep")
    bouts.add_interval(start_time=1.0, stop_time=np.nan)
    made.create_processing_module("behavior", "x").add(bouts)
    registered(made)
    found = by_path(archive, "epocharray")
    assert found["/intervals/ripples"]["annotations"]["timeseries"] == [[["/acquisition/x", 10, 10]]]
    assert found["/intervals/ripples"]["annotations"]["description"] == "sharp waves"
    assert archive.values(found["/processing/behavior/bouts"]["durations"]["data"]) == [None]


def test_unsorted_intervals_get_a_sorted_copy_and_everything_follows_them(archive, registered):
    made = session()
    made.add_trial_column("side", "which")
    made.add_trial_column("reward_time", "when")
    order = [2, 0, 1]
    for row in order:
        made.add_trial(
            start_time=STARTS[row], stop_time=STOPS[row], side="abc"[row], reward_time=STARTS[row] + 9 - 5 * row
        )
    registered(made)
    (trials,), (rewards,) = objects(archive, "epocharray"), objects(archive, "eventarray")
    assert array(archive, trials["times"]).tolist() == STARTS
    np.testing.assert_array_equal(array(archive, trials["durations"]), np.array(STOPS) - np.array(STARTS))
    assert texts(archive, trials["labels"]) == ["1", "2", "0"] and trials["annotations"]["side"] == ["a", "b", "c"]
    assert array(archive, rewards["times"]).tolist() == [2.25, 6, 9.5] and texts(archive, rewards["labels"]) == [
        "0",
        "2",
        "1",
    ]
    window = archive.fields(f"/electrophysiology/epocharray/{trials['id']}?start_time=1&end_time=3")
    assert archive.values(window["labels"]["data"]) == ["2"]


def test_rows_without_a_start_are_listed_and_the_others_served(archive, registered):
    made = session()
    for start in (3.0, np.nan, 1.0, np.nan):
        made.add_trial(start_time=start, stop_time=4.0)
    outcome = registered(made, complete=False)
    (reason,) = reasons(outcome).values()
    assert reason.startswith("2 of its 4 moments have no time; the first is number 1")
    (trials,) = objects(archive, "epocharray")
    assert array(archive, trials["times"]).tolist() == [1, 3] and texts(archive, trials["labels"]) == ["2", "0"]


def test_rows_that_end_before_they_begin_are_listed_and_the_others_served(archive, registered):
    made = session()
    made.add_trial_column("side", "which")
    for start, stop, side in (
        (1.0, 0.5, "a"),
        (2.0, 2.0, "b"),
        (3.0, np.nan, "c"),
        (np.nan, 1.0, "d"),
        (5.0, 6.0, "e"),
    ):
        made.add_trial(start_time=start, stop_time=stop, side=side)
    told = registered(made, complete=False).refusals
    assert [one.reason for one in told] == [
        "1 of its 5 moments have no time; the first is number 3, counted from 0. The others are served",
        "1 of its 5 moments end before they begin; the first is number 0, counted from 0. The others are served",
    ]
    (trials,) = objects(archive, "epocharray")
    assert array(archive, trials["times"]).tolist() == [2, 3, 5] and trials["annotations"]["side"] == ["b", "c", "e"]
    assert archive.values(trials["durations"]["data"]) == [0, None, 1] and texts(archive, trials["labels"]) == list(
        "124"
    )


def test_sorted_rows_of_which_one_ends_before_it_begins(archive, registered):
    made = session()
    for start, stop in ((1.0, 2.0), (2.0, 1.0), (3.0, 4.0)):
        made.add_trial(start_time=start, stop_time=stop)
    (told,) = registered(made, complete=False).refusals
    assert told.reason.startswith("1 of its 3 moments end before they begin; the first is number 1")
    (trials,) = objects(archive, "epocharray")
    assert array(archive, trials["times"]).tolist() == [1, 3] and array(archive, trials["durations"]).tolist() == [1, 1]


def test_columns_of_times_that_say_nothing_of_themselves_are_events(archive, tmp_path):
    made = session()
    made.add_trial_column("go_time", "when to go")
    made.add_trial(start_time=1.0, stop_time=2.0, go_time=1.5)
    path = write(made, tmp_path / "x.nwb")
    with h5py.File(path, "r+") as file:
        del file["intervals/trials/go_time"].attrs["description"]
    assert archive.register(path).refusals == []
    (go,) = objects(archive, "eventarray")
    assert array(archive, go["times"]).tolist() == [1.5] and "description" not in go["annotations"]


def test_long_columns_are_arrays_beside_the_epochs(archive, registered):
    made = session()
    table = TimeIntervals(name="many", description="many")
    numbers, words = np.arange(30_000) / 7, [f"word {row}" for row in range(30_000)]
    table = TimeIntervals(name="many", description="many", columns=_columns(numbers, words))
    made.add_time_intervals(table)
    registered(made)
    (many,) = objects(archive, "epocharray")
    for name, expected in (("number", numbers.tolist()), ("word", words)):
        assert archive.values(f"/datafiles/{many['annotations'][name]['datafile']}") == expected


def _columns(numbers, words):
    from hdmf.common import VectorData

    return [
        VectorData(name="start_time", description="x", data=numbers),
        VectorData(name="stop_time", description="x", data=numbers + 1),
        VectorData(name="number", description="x", data=numbers),
        VectorData(name="word", description="x", data=words),
    ]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_annotations_are_events(archive, registered, order):
    made = session()
    words = np.array(["tone", "löcher", "puff"])
    made.add_acquisition(
        AnnotationSeries(
            name="notes", data=words[order].tolist(), timestamps=np.array(STARTS)[order], description="heard"
        )
    )
    registered(made)
    (notes,) = objects(archive, "eventarray")
    assert array(archive, notes["times"]).tolist() == STARTS and texts(archive, notes["labels"]) == words.tolist()
    assert notes["annotations"]["description"] == "heard"


def test_a_series_of_intervals_is_epochs_labelled_by_kind(archive, registered):
    made = session()
    changes = IntervalSeries(
        name="stimuli", data=np.array([1, 2, -1, -2, 1, -1, -3, 2], "i1"), timestamps=[0.5, 1, 2, 4.5, 5, 6, 7, 8.0]
    )
    made.add_acquisition(changes)
    registered(made)
    (found,) = objects(archive, "epocharray")
    assert array(archive, found["times"]).tolist() == [0.5, 1, 5]
    assert array(archive, found["durations"]).tolist() == [1.5, 3.5, 1]
    assert texts(archive, found["labels"]) == ["1", "2", "1"]
    assert found["annotations"]["left_out"] == "2 starts or ends without the other"


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_series_of_intervals_of_which_one_has_no_time_is_refused(archive, registered, odd):
    made = session()
    made.add_acquisition(IntervalSeries(name="stimuli", data=np.array([1, -1], "i1"), timestamps=[0.5, odd]))
    outcome = registered(made, complete=False)
    assert reasons(outcome) == {"/acquisition/stimuli": "some of its timestamps are not numbers"}
    assert objects(archive, "epocharray") == []


def test_tables_of_events(archive, registered):
    made = session()
    licks = EventsTable(name="licks", description="of the tongue", columns=[])
    licks.add_column(name="side", description="which")
    for time, side in ((3.0, "left"), (1.0, "right")):
        licks.add_row(timestamp=time, side=side)
    lights = EventsTable(name="lights", description="on")
    for time, duration, note in ((1.0, 0.5, "red"), (2.0, 0.25, "blue")):
        lights.add_row(timestamp=time, duration=duration, annotation=note)
    for table in (licks, lights):
        made.add_acquisition(table)
    registered(made)
    (events,), (epochs,) = objects(archive, "eventarray"), objects(archive, "epocharray")
    assert array(archive, events["times"]).tolist() == [1, 3] and texts(archive, events["labels"]) == ["1", "0"]
    assert events["annotations"]["side"] == ["right", "left"]
    assert array(archive, epochs["durations"]).tolist() == [0.5, 0.25]
    assert texts(archive, epochs["labels"]) == ["red", "blue"]


def add_extension(path):
    """Add events as the extension ndx-events has them."""
    with h5py.File(path, "r+") as file:
        for name, type_name in (("plain", "Events"), ("ttl", "TTLs")):
            group = file["acquisition"].create_group(name)
            group.attrs.update(neurodata_type=type_name, namespace="ndx-events", description=f"the {name}")
            group["timestamps"] = [0.5, 1.0, 2.5]
        file["acquisition/ttl/data"] = np.array([1, 0, 7], np.uint8)
        file["acquisition/ttl/data"].attrs["labels"] = ["off", "on"]
        table = file["processing"].create_group("events")
        table.attrs.update(neurodata_type="AnnotatedEventsTable", namespace="ndx-events", description="by kind")
        table["id"] = [0, 1]
        table["label"] = ["lick", "blink"]
        table["event_times"] = [3.0, 1.0, 2.0]
        table["event_times_index"] = np.array([2, 3], np.uint8)
        detected = file["processing"].create_group("detected")
        detected.attrs.update(neurodata_type="EventDetection", namespace="core")
        detected["times"] = [4.0, 5.0]
        detected["source_idx"] = [40, 50]
        detected["detection_method"] = "threshold"


def test_labelled_events(archive, tmp_path):
    made = session()
    made.add_acquisition(TimeSeries(name="x", data=np.arange(3.0), unit="V", starting_time=0.0, rate=10.0))
    made.create_processing_module("m", "x")
    add_extension(write(made, tmp_path / "x.nwb"))
    assert archive.register(tmp_path / "x.nwb").refusals == []
    found = by_path(archive, "eventarray")
    told = {path: (archive.values(one["times"]["data"]), texts(archive, one["labels"])) for path, one in found.items()}
    assert told == {
        "/acquisition/plain": ([0.5, 1, 2.5], ["plain"] * 3),
        "/acquisition/ttl": ([0.5, 1, 2.5], ["on", "off", "7"]),
        "/processing/events[0]": ([1, 3], ["lick", "lick"]),
        "/processing/events[1]": ([2], ["blink"]),
        "/processing/detected": ([4, 5], ["detected", "detected"]),
    }
    assert found["/processing/detected"]["annotations"]["detection_method"] == "threshold"


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([0.0, 2.0, 1.5, 3.0], "its times are not sorted: number 2, counted from 0, is earlier than number 1"),
        ([0.0, 1.0, np.nan, np.nan], "2 of its times are not numbers; the first is number 2, counted from 0"),
    ],
)
def test_timestamps_of_signals_that_go_back_or_are_none_are_refused_with_the_place(archive, registered, times, reason):
    made = session()
    made.add_acquisition(TimeSeries(name="x", data=np.arange(4.0), unit="V", timestamps=times))
    made.add_acquisition(TimeSeries(name="y", data=np.arange(4.0), unit="V", timestamps=np.arange(4.0)))
    assert reasons(registered(made, complete=False)) == {"/acquisition/x": reason}
    assert [one["name"] for one in objects(archive, "irsaanalogsignal")] == ["y"]


def test_sorted_copies_are_the_services_own_and_the_file_stays_as_it_is(archive, tmp_path):
    made = session()
    for start in (3.0, 1.0):
        made.add_trial(start_time=start, stop_time=4.0)
    path = write(made, tmp_path / "x.nwb")
    before = path.read_bytes()
    archive.register(path)
    assert path.read_bytes() == before
    path.write_bytes(before)
    guid = objects(archive, "epocharray")[0]["times"]["data"]
    assert archive.register(path).state == "updated" and objects(archive, "epocharray")[0]["times"]["data"] == guid


def test_clustered_spikes_are_events_labelled_by_cluster(archive, tmp_path):
    path = write(session(), tmp_path / "x.nwb")
    with h5py.File(path, "r+") as file:  # pynwb reads this old type, but writes it no more
        group = file.create_group("processing/ecephys/Clustering")
        group.attrs.update(neurodata_type="Clustering", namespace="core")
        for name, values in {"num": [3, 1, 2], "peak_over_rms": [1.0, 2.0, 3.0], "times": [0.5, 0.2, 0.7]}.items():
            group[name] = values
    assert archive.register(path).refusals == []
    (found,) = objects(archive, "eventarray")
    assert array(archive, found["times"]).tolist() == [0.2, 0.5, 0.7]
    assert archive.values(found["labels"]["data"]) == ["1", "3", "2"]
    assert found["annotations"]["neurodata_type"] == "Clustering"

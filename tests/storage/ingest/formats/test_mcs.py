"""MCS recordings with all that the real one does not have, as the service answers them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from tests.storage.ingest.formats.served import Served

TEXT = h5py.string_dtype()
CHANNEL = np.dtype(
    [
        *(("ChannelID", "<i4"), ("RowIndex", "<i4"), ("Label", TEXT), ("Unit", TEXT), ("Exponent", "<i4")),
        *(("ADZero", "<i4"), ("Tick", "<i8"), ("ConversionFactor", "<i8")),
    ]
)
STORED = np.random.default_rng(1).integers(-5000, 5000, (3, 400), dtype=np.int32)


@pytest.fixture
def served(tmp_path):
    return Served(tmp_path)


def channels(*rows):
    """Return a table of channels, of which what is told differs from the usual."""
    usual = {"Unit": "V", "Exponent": -9, "ADZero": 0, "Tick": 100, "ConversionFactor": 59605}
    told = [
        {"ChannelID": 10 + place, "RowIndex": place, "Label": f"E{place}", **usual, **row}
        for place, row in enumerate(rows)
    ]
    return np.array([tuple(row[name] for name in CHANNEL.names) for row in told], CHANNEL)


def write(path, streams=(), *, more=lambda recording: None, protocol="RawData"):
    """Write a recording with analog streams: each samples, table of channels, and rows of time stamps."""
    with h5py.File(path, "w") as file:
        file.attrs["McsHdf5ProtocolType"] = np.bytes_(protocol)
        data = file.create_group("Data")
        data.attrs["DateInTicks"] = 635404978551720981
        recording = data.create_group("Recording_0")
        recording.attrs.update(TimeStamp=np.int64(0), Duration=np.int64(40_000), Label=np.bytes_(b"first  \r\n"))
        for number, (samples, table, stamps) in enumerate(streams):
            stream = recording.create_group(f"AnalogStream/Stream_{number}")
            stream.attrs.update(Label=np.bytes_(b"raw   \r\n"), DataSubType=np.bytes_(b"Electrode"))
            stream.create_dataset("ChannelData", data=samples, chunks=(2, 128), compression="gzip", shuffle=True)
            stream["InfoChannel"] = table
            if stamps is not None:
                stream["ChannelDataTimeStamps"] = np.array(stamps, np.int64)
        more(recording)
    return path


@pytest.mark.parametrize(
    "told",
    [
        ({}, {}, {}),
        ({"ADZero": 7}, {"ADZero": 7}, {"ADZero": 7}),
        ({"ADZero": 32768, "ConversionFactor": 3}, {"ADZero": -5}, {"Exponent": -3}),
        ({"RowIndex": 2}, {"RowIndex": 0, "ConversionFactor": 2}, {"RowIndex": 1, "ConversionFactor": 3}),
    ],
)
def test_value_is_stored_less_zero_times_factor_times_power(served, tmp_path, told):
    table = channels(*told)
    served.register(write(tmp_path / "x.h5", [(STORED, table, [[0, 0, 399]])]))
    assert served.refusals == {}
    signal = served.one("analogsignalarray")
    rows = {int(row["RowIndex"]): row for row in table}
    for column, values in enumerate(served.array(signal["signal"]).T):
        row = rows[column]
        expected = (STORED[column] - int(row["ADZero"])) * (int(row["ConversionFactor"]) * 10.0 ** int(row["Exponent"]))
        np.testing.assert_allclose(values, expected, rtol=1e-13)
        assert signal["annotations"]["channel_names"][column] == row["Label"]
    assert signal["name"] == "raw" and signal["signal"]["units"] == "V"
    assert signal["sampling_rate"] == {"units": "Hz", "data": 10000}


def test_channels_of_several_units_are_signals_of_their_own(served, tmp_path):
    table = channels({}, {"Unit": "DegreePerSecond", "ConversionFactor": 5, "Exponent": 0}, {"Unit": "NoUnit"})
    served.register(write(tmp_path / "x.h5", [(STORED, table, [[500, 0, 399]])]))
    assert served.refusals == {}
    signals = served.all("analogsignal")
    assert [(one["name"], one["signal"]["units"]) for one in signals] == [("E0", "V"), ("E1", "degree/s"), ("E2", None)]
    assert [one["signal"]["shape"] for one in signals] == [[400]] * 3
    for number, (one, gain) in enumerate(zip(signals, (5.9605e-05, 5, 1), strict=True)):
        np.testing.assert_allclose(served.array(one["signal"]), STORED[number] * gain, rtol=1e-13)
        part = served.array(one["signal"], "?start_index=100&end_index=300&scaled=0")
        np.testing.assert_array_equal(part, STORED[number, 100:300])
        assert served.archive.fields(one["recordingchannel"])["index"] == number
        low, high = served.array(one["signal"], "?downsample=2&method=extrema&scaled=0")
        assert (low, high) == (STORED[number].min(), STORED[number].max())


def test_each_stretch_without_a_gap_is_a_signal(served, tmp_path):
    stamps = [[1000, 0, 99], [11_000, 100, 199], [50_000, 200, 299], [70_000, 301, 399]]
    served.register(write(tmp_path / "x.h5", [(STORED, channels({}, {}, {}), stamps)]))
    assert served.refusals == {}
    signals = served.all("analogsignalarray")
    runs = [(1000, 0, 200), (50_000, 200, 300), (70_000, 301, 400)]  # the second begins where the first ends
    assert len(signals) == 3
    for one, (start, first, stop) in zip(signals, runs, strict=True):
        assert one["t_start"] == {"units": "us", "data": start}
        np.testing.assert_array_equal(served.array(one["signal"], "?scaled=0"), STORED.T[first:stop])
        part = served.array(one["signal"], "?start_index=10&end_index=20&scaled=0&channels=2,0")
        np.testing.assert_array_equal(part, STORED.T[first + 10 : first + 20, [2, 0]])


def test_without_time_stamps_a_stream_begins_with_its_recording(served, tmp_path):
    served.register(write(tmp_path / "x.h5", [(STORED, channels({}, {}, {}), None)]))
    assert served.one("analogsignalarray")["t_start"] == {"units": "us", "data": 0}
    assert served.one("segment")["name"] == "first"
    assert served.one("block")["filedatetime"] == "2014-07-09 10:17:35"


@pytest.mark.parametrize(
    ("table", "stamps", "reason"),
    [
        (channels({}, {}), None, "does not tell of each of 3 rows once"),
        (channels({}, {}, {"RowIndex": 1}), None, "does not tell of each of 3 rows once"),
        (channels({}, {}, {"Tick": 50}), None, "several sampling intervals: [50, 100]"),
        (channels({}, {}, {"Exponent": 99}), None, "Exponent of one of its channels is 99"),
        (channels({"Tick": 0}, {"Tick": 0}, {"Tick": 0}), None, "sampling interval is 0"),
        (channels({}, {}, {}), [[0, 0, 400]], "samples 0 to 400 of 400"),
        (channels({}, {}, {}), [[0, 0, 99], [0, 99, 200]], "samples 99 to 200"),
        (channels({}, {}, {}), [[0, 0]], "the shape (1, 2)"),
    ],
)
def test_streams_that_do_not_hold_together_are_refused(served, tmp_path, table, stamps, reason):
    good = (STORED, channels({}, {}, {}), None)
    served.register(write(tmp_path / "x.h5", [(STORED, table, stamps), good]))
    (told,) = served.refusals.values()
    assert reason in told and list(served.refusals) == ["/Data/Recording_0/AnalogStream/Stream_0"]
    assert len(served.all("analogsignalarray")) == 1


def add_events(recording):
    stream = recording.create_group("EventStream/Stream_0")
    info = np.dtype([("EventID", "<i4"), ("Label", TEXT)])
    stream["InfoEvent"] = np.array([(0, "light"), (1, "sound"), (2, "never")], info)
    stream["EventEntity_0"] = np.array([[300, 100, 200], [0, 0, 0]], np.int64)
    stream["EventEntity_1"] = np.array([[300, 100, 200], [5, 0, 9]], np.int64)
    frames = recording.create_group("FrameStream/Stream_0")
    frames["FrameData"] = np.zeros((2, 2, 2))


def test_events_that_last_are_epochs(served, tmp_path):
    served.register(write(tmp_path / "x.h5", more=add_events))
    assert list(served.refusals) == ["/Data/Recording_0/FrameStream/Stream_0"]
    events, epochs = served.one("eventarray"), served.one("epocharray")
    assert served.array(events["times"]).tolist() == [100, 200, 300] and events["times"]["units"] == "us"
    assert events["annotations"]["Label"] == "light" and events["labels"]["data"] is None
    assert served.array(epochs["times"]).tolist() == [100, 200, 300]
    assert served.array(epochs["durations"]).tolist() == [0, 9, 5]


def test_events_that_end_before_they_begin_are_refused(served, tmp_path):
    def add(recording):
        add_events(recording)
        recording["EventStream/Stream_0/EventEntity_1"][1] = [5, -1, 9]

    served.register(write(tmp_path / "x.h5", more=add))
    assert (
        served.refusals["/Data/Recording_0/EventStream/Stream_0/EventEntity_1"] == "some of its durations are negative"
    )
    assert served.one("eventarray")["annotations"]["Label"] == "light" and served.all("epocharray") == []


def add_cutouts(recording):
    stream = recording.create_group("SegmentStream/Stream_0")
    stream.attrs["DataSubType"] = np.bytes_(b"Spike")
    info = np.dtype([("SegmentID", "<i4"), ("PreInterval", "<i8"), ("SegmentType", TEXT), ("SourceChannelIDs", TEXT)])
    rows = [(0, 300, "Cutout", "10"), (1, 300, "Cutout", "10,11"), (2, 300, "Average", "10"), (3, 300, "Cutout", "12")]
    stream["InfoSegment"] = np.array(rows, info)
    stream["SourceInfoChannel"] = channels({"ADZero": 2}, {"ADZero": 2}, {"Unit": "NoUnit"})
    stream["SegmentData_0"] = np.arange(12, dtype=np.int32).reshape(4, 3)
    stream["SegmentData_ts_0"] = np.array([[30, 10, 20]], np.int64)
    stream["SegmentData_1"] = np.arange(24, dtype=np.int32).reshape(4, 2, 3)
    stream["SegmentData_ts_1"] = np.array([[1, 2, 3]], np.int64)
    stream["SegmentData_3"] = np.arange(8, dtype=np.int32).reshape(4, 2)
    stream["SegmentData_ts_3"] = np.array([[1, 2, 3]], np.int64)
    stamps = recording.create_group("TimeStampStream/Stream_0")
    stamps.attrs["DataSubType"] = np.bytes_(b"UserClicks")
    info = np.dtype([("TimeStampEntityID", "<i4"), ("Unit", TEXT), ("Exponent", "<i4")])
    stamps["InfoTimeStamp"] = np.array([(0, "s", -3), (1, "s", -9), (2, "V", 0)], info)
    for number in range(3):
        stamps[f"TimeStampEntity_{number}"] = np.array([[4000, 1000]], np.int64)


def test_cutouts_are_spike_trains_with_waveforms(served, tmp_path):
    served.register(write(tmp_path / "x.h5", more=add_cutouts))
    place = "/Data/Recording_0/SegmentStream/Stream_0/SegmentData_"
    assert "averages" in served.refusals.pop(f"{place}2") and "(4, 2) for 3 times" in served.refusals.get(
        f"{place}3", ""
    )
    one, two = served.all("spiketrain")
    assert served.array(one["times"]).tolist() == [10, 20, 30]
    stored = np.arange(12).reshape(4, 3).T[[1, 2, 0], np.newaxis, :]
    np.testing.assert_array_equal(served.array(one["waveforms"], "?scaled=0"), stored)
    np.testing.assert_allclose(served.array(one["waveforms"]), (stored - 2) * 5.9605e-05, rtol=1e-13)
    assert served.array(two["waveforms"]).shape == (3, 2, 4)
    np.testing.assert_array_equal(
        served.array(two["waveforms"], "?scaled=0"), np.arange(24).reshape(4, 2, 3).transpose(2, 1, 0)
    )
    assert (one["name"], two["name"]) == ("E0", "E0 E1")
    assert one["t_stop"] == {"units": "us", "data": 40_000}
    assert one["annotations"]["left_sweep"] == {"data": 300, "units": "us"}


def test_time_stamps_of_no_spikes_are_events_in_their_unit(served, tmp_path):
    served.register(write(tmp_path / "x.h5", more=add_cutouts))
    place = "/Data/Recording_0/TimeStampStream/Stream_0/TimeStampEntity_2"
    assert "10^0 V" in served.refusals[place]
    milliseconds, nanoseconds = served.all("eventarray")
    assert served.array(milliseconds["times"]).tolist() == [1000, 4000] and milliseconds["times"]["units"] == "ms"
    np.testing.assert_allclose(served.array(nanoseconds["times"]), [1e-6, 4e-6])
    assert nanoseconds["times"]["units"] == "s"


def test_other_protocols_are_refused(served, tmp_path):
    outcome = served.register(write(tmp_path / "x.h5", protocol="CMOS_MEA"))
    assert outcome.state == "refused" and "of the protocol 'CMOS_MEA'" in outcome.refusals[0].reason

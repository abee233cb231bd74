"""NIX files that Neo's NixIO writes, as the service answers them, against what NixIO reads of them."""

from __future__ import annotations

from datetime import UTC, datetime

import h5py
import neo
import nixio
import numpy as np
import pytest
import quantities as pq

from tests.storage.ingest.formats.served import Served

RNG = np.random.default_rng(5)


def a_block():
    """Return a Block with one of everything that NixIO writes."""
    block = neo.Block("exp", description="a block", rec_datetime=datetime(2020, 1, 2, 3, 4, 5), animal="rat 7")
    block.annotate(weight=3.5 * pq.kg, tags=["a", "b"], empty=[], silent="")
    for number in range(2):
        segment = neo.Segment(name=f"trial {number}", condition=number)
        block.segments.append(segment)
        names = {"channel_ids": np.array([4, 5, 6]), "channel_names": np.array(["x", "y", "z"])}
        signal = neo.AnalogSignal(
            RNG.random((50, 3)) * pq.mV, sampling_rate=30 * pq.kHz, t_start=10 * number * pq.ms, name="lfp",
            array_annotations=names, filtered="low-pass",
        )  # fmt: skip
        current = neo.AnalogSignal(RNG.random((40, 1)) * pq.pA, sampling_period=1 * pq.ms, t_start=1 * pq.s, name="vc")
        segment.analogsignals += [signal, current]
        times = np.sort(RNG.random(20)) * pq.ms
        segment.irregularlysampledsignals.append(
            neo.IrregularlySampledSignal(times, RNG.random((20, 2)) * pq.uV, name="uneven")
        )
        train = neo.SpikeTrain(
            np.array([3.0, 1.0, 2.0]) * pq.ms, t_start=0.5 * pq.ms, t_stop=0.5 * pq.s, name=f"unit {number}",
            waveforms=RNG.random((3, 2, 5)) * pq.uV, sampling_rate=20 * pq.kHz, left_sweep=0.2 * pq.ms,
            array_annotations={"score": np.array([0.3, 0.1, 0.2])},
        )  # fmt: skip
        segment.spiketrains += [train, neo.SpikeTrain([] * pq.s, t_stop=1 * pq.s, name=f"silent {number}")]
        labels = np.array(["c", "a", "bé"])
        segment.events.append(neo.Event(np.array([5.0, 1.0, 3.0]) * pq.s, labels, name=f"events {number}"))
        segment.events[0].array_annotate(z=np.array([5, 1, 3]))
        durations = np.array([20.0, 30.0]) * pq.ms
        segment.epochs.append(neo.Epoch(np.array([1.0, 5.0]) * pq.s, durations, ["x", "y"], name=f"epochs {number}"))
        unit = neo.Group(name=f"cell {number}", quality="good")
        unit.add(train)
        probe = neo.Group(name=f"probe {number}")
        probe.add(neo.ChannelView(signal, [0, 2], name="tetrode"))
        probe.groups.append(neo.Group(name=f"inner {number}"))
        block.groups += [unit, probe]
    return block


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The path of a file with one Block."""
    path = tmp_path_factory.mktemp("written") / "neo.nix"
    with neo.NixIO(str(path), "ow") as io:
        io.write_block(a_block())
    return path


@pytest.fixture(scope="module")
def block(written):
    """What NixIO reads of it."""
    with neo.NixIO(str(written), "ro") as io:
        return io.read_block()


@pytest.fixture(scope="module")
def served(written, tmp_path_factory):
    """The service, with that file."""
    served = Served(tmp_path_factory.mktemp("served"))
    assert served.register(written).refusals == []
    return served


def quantity(told):
    return pq.Quantity(told["data"], told["units"])


def assert_same(told, expected):
    assert quantity(told) == pytest.approx(expected.rescale(told["units"]), rel=1e-12)


def in_segment(served, type_name, number):
    segment = served.one("segment", f"trial {number}")
    return [
        one
        for one in served.all(type_name)
        if one["segment"].rstrip("/") == f"/electrophysiology/segment/{segment['id']}"
    ]


def test_the_block(served, block):
    told = served.one("block")
    recorded = datetime(2020, 1, 2, 3, 4, 5).astimezone(UTC)  # NixIO takes it for local time
    assert told["name"] == block.name and told["filedatetime"] == recorded.strftime("%Y-%m-%d %H:%M:%S")
    annotations = told["annotations"]
    assert annotations["animal"] == "rat 7" and annotations["weight"] == {"data": 3.5, "units": "kg"}
    assert annotations["tags"] == ["a", "b"] and annotations["empty"] == [] and annotations["silent"] == ""
    assert annotations["description"] == "a block" and annotations["nix_name"] == block.annotations["nix_name"]
    names = [(one["name"], one["index"], one["annotations"]["condition"]) for one in served.all("segment")]
    assert names == [("trial 0", 0, 0), ("trial 1", 1, 1)]


@pytest.mark.parametrize("number", [0, 1])
class TestSegment:
    def test_signals(self, served, block, number):
        signals = in_segment(served, "analogsignal", number)
        assert [one["name"] for one in signals] == ["lfp x", "lfp y", "lfp z", "vc"]
        lfp, current = block.segments[number].analogsignals
        columns = [(lfp, channel) for channel in range(3)] + [(current, 0)]
        for told, (signal, channel) in zip(signals, columns, strict=True):
            values = served.array(told["signal"])
            np.testing.assert_array_equal(values, signal.magnitude[:, channel])
            assert told["signal"]["units"] == signal.dimensionality.string
            assert_same(told["sampling_rate"], signal.sampling_rate)
            assert_same(told["t_start"], signal.t_start)
        assert signals[0]["sampling_rate"] == {"units": "Hz", "data": 30000}
        assert signals[1]["annotations"]["channel"] == 1 and signals[1]["annotations"]["filtered"] == "low-pass"
        assert signals[1]["annotations"]["array_annotations"] == {"channel_ids": 5, "channel_names": "y"}

    def test_irregular_signals(self, served, block, number):
        (signal,) = block.segments[number].irregularlysampledsignals
        signals = in_segment(served, "irsaanalogsignal", number)
        assert [one["name"] for one in signals] == ["uneven 0", "uneven 1"]
        for channel, told in enumerate(signals):
            np.testing.assert_array_equal(served.array(told["signal"]), signal.magnitude[:, channel])
            np.testing.assert_array_equal(served.array(told["times"]), signal.times.magnitude)
            assert told["times"]["units"] == "ms"

    def test_spike_trains(self, served, block, number):
        full, silent = in_segment(served, "spiketrain", number)
        train, _ = block.segments[number].spiketrains
        order = np.argsort(train.magnitude)
        np.testing.assert_array_equal(served.array(full["times"]), train.magnitude[order])
        np.testing.assert_array_equal(served.array(full["waveforms"]), train.waveforms.magnitude[order])
        assert (full["name"], full["waveforms"]["units"]) == (f"unit {number}", "uV")
        assert_same(full["t_start"], train.t_start)
        assert_same(full["t_stop"], train.t_stop)
        told = full["annotations"]
        assert told["array_annotations"]["score"] == train.array_annotations["score"][order].tolist()
        assert told["waveforms_sampling_rate"] == {"data": 20000, "units": "Hz"}
        assert told["left_sweep"] == {"data": 0.2, "units": "ms"}
        assert served.archive.fields(full["unit"])["name"] == f"cell {number}"
        assert served.array(silent["times"]).size == 0 and silent["t_stop"] == {"units": "s", "data": 1}

    def test_events_and_epochs(self, served, block, number):
        (events,), (epochs,) = (in_segment(served, kind, number) for kind in ("eventarray", "epocharray"))
        (event,), (epoch,) = block.segments[number].events, block.segments[number].epochs
        order = np.argsort(event.magnitude)
        assert events["annotations"]["name"] == event.name
        np.testing.assert_array_equal(served.array(events["times"]), event.magnitude[order])
        assert [label.decode() for label in served.array(events["labels"])] == event.labels[order].tolist()
        assert events["annotations"]["array_annotations"]["z"] == [1, 3, 5]
        np.testing.assert_array_equal(served.array(epochs["times"]), epoch.times.magnitude)
        np.testing.assert_array_equal(served.array(epochs["durations"]), epoch.durations.magnitude)
        assert (epochs["times"]["units"], epochs["durations"]["units"]) == ("s", "ms")
        assert [label.decode() for label in served.array(epochs["labels"])] == ["x", "y"]


def test_groups_are_units_or_groups_of_channels(served):
    assert [(one["name"], one["annotations"]["quality"]) for one in served.all("unit")] == [
        ("cell 0", "good"),
        ("cell 1", "good"),
    ]
    groups = served.all("recordingchannelgroup")
    assert [one["name"] for one in groups] == ["probe 0", "inner 0", "probe 1", "inner 1"]
    assert groups[1]["annotations"]["neo_parent"] == groups[0]["annotations"]["nix_name"]
    channels = served.all("recordingchannel")
    assert [one["index"] for one in channels] == [0, 2, 0, 2]  # those that the ChannelViews have
    signals = served.all("analogsignal")
    assert [one["recordingchannel"] is not None for one in signals] == [True, False, True, False] * 2


def test_an_object_in_two_segments_is_in_both(tmp_path):
    block = neo.Block("shared")
    signal = neo.AnalogSignal(np.arange(9.0).reshape(9, 1) * pq.mV, sampling_rate=1 * pq.Hz, name="both")
    for _ in range(2):
        block.segments.append(neo.Segment())
        block.segments[-1].analogsignals.append(signal)
    with neo.NixIO(str(tmp_path / "x.nix"), "ow") as io:
        io.write_block(block)
    served = Served(tmp_path)
    assert served.register(tmp_path / "x.nix").refusals == []
    one, other = served.all("analogsignal")
    assert one["segment"] != other["segment"] and one["signal"]["data"] == other["signal"]["data"]
    assert [one["name"] for one in served.all("segment")] == ["segment 0", "segment 1"]


def test_pictures_are_refused(tmp_path):
    block = neo.Block("pictures")
    block.segments.append(neo.Segment())
    pictures = neo.ImageSequence(
        np.zeros((4, 3, 2)) * pq.V, sampling_rate=1 * pq.Hz, spatial_scale=1 * pq.um, name="film"
    )
    block.segments[0].imagesequences.append(pictures)
    with neo.NixIO(str(tmp_path / "x.nix"), "ow") as io:
        io.write_block(block)
    served = Served(tmp_path)
    served.register(tmp_path / "x.nix")
    assert set(served.refusals.values()) == {"it is a sequence of pictures, which are not served"}


def test_a_channel_index_and_units_as_neo_wrote_them_before_version_0_10(tmp_path):
    file = nixio.File.open(str(tmp_path / "x.nix"), nixio.FileMode.Overwrite)
    block = file.create_block("neo.block.1", "neo.block")
    block.metadata = file.create_section("neo.block.1", "neo.block.metadata")
    segment = block.create_group("neo.segment.1", "neo.segment")
    index = block.create_source("neo.channelindex.1", "neo.channelindex")
    index.metadata = block.metadata.create_section("neo.channelindex.1", "neo.channelindex.metadata")
    index.metadata["neo_name"] = "tetrode"
    for place, channel in enumerate((0, 1)):
        source = index.create_source(f"neo.channelindex.1.ChannelIndex{place}", "neo.channelindex")
        source.metadata = index.metadata.create_section(source.name, "neo.channelindex.metadata")
        source.metadata["index"], source.metadata["neo_name"] = channel, f"contact {channel}"
    unit = index.create_source("neo.unit.1", "neo.unit")
    for channel in (0, 1):
        array = block.create_data_array(f"neo.analogsignal.1.{channel}", "neo.analogsignal", data=np.arange(5.0))
        array.unit = "mV"
        array.append_sampled_dimension(1.0, label="time", unit="ms")
        array.sources.append(index)
        segment.data_arrays.append(array)
    times = block.create_data_array("neo.spiketrain.1.times", "neo.spiketrain.times", data=[1.0, 2.0])
    times.unit = "s"
    tag = block.create_multi_tag("neo.spiketrain.1", "neo.spiketrain", positions=times)
    tag.sources.extend([index, unit])
    segment.multi_tags.append(tag)
    file.close()
    served = Served(tmp_path)
    assert served.register(tmp_path / "x.nix").refusals == []
    assert served.one("recordingchannelgroup")["name"] == "tetrode"
    channels = {f"/electrophysiology/recordingchannel/{one['id']}": one for one in served.all("recordingchannel")}
    assert [one["name"] for one in channels.values()] == ["contact 0", "contact 1"]
    signals = served.all("analogsignal")
    assert [channels[one["recordingchannel"].rstrip("/")]["index"] for one in signals] == [0, 1]
    train = served.one("spiketrain")
    assert served.archive.fields(train["unit"])["name"] == "neo.unit.1"
    assert (train["t_start"]["data"], train["t_stop"]["data"]) == (0, 2)
    assert train["annotations"]["t_stop_source"] == "spikes"


def test_a_group_that_is_broken_takes_nothing_with_it(tmp_path):
    with neo.NixIO(str(tmp_path / "x.nix"), "ow") as io:
        io.write_block(a_block())
    with h5py.File(tmp_path / "x.nix", "r+") as file:
        (block,) = file["data"].values()
        view = next(tag for tag in block["multi_tags"].values() if tag.attrs["type"] == "neo.channelview")
        del view["positions"]
    served = Served(tmp_path)
    (refusal,) = served.register(tmp_path / "x.nix").refusals
    assert refusal.reason == "it has a ChannelView without channels"
    assert len(served.all("analogsignal")) == 8 and len(served.all("recordingchannelgroup")) == 3


def test_an_epoch_that_ends_before_it_begins_is_refused(tmp_path):
    with neo.NixIO(str(tmp_path / "x.nix"), "ow") as io:
        io.write_block(a_block())
    with h5py.File(tmp_path / "x.nix", "r+") as file:
        (block,) = file["data"].values()
        epochs = [tag for tag in block["multi_tags"].values() if tag.attrs["type"] == "neo.epoch"]
        epochs[0]["extents/data"][0] = -1.0
    served = Served(tmp_path)
    (refusal,) = served.register(tmp_path / "x.nix").refusals
    assert refusal.reason == "some of its durations are negative"
    assert len(served.all("epocharray")) == len(epochs) - 1

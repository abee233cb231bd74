"""NIX files that nixio writes, as the service answers them, against what nixio reads of them."""

from __future__ import annotations

from contextlib import contextmanager

import h5py
import nixio
import numpy as np
import pytest

from tests.storage.ingest.formats.served import Served

WAVE = np.random.default_rng(1).integers(-2000, 2000, (300, 3)).astype(np.int16)


@pytest.fixture
def served(tmp_path):
    return Served(tmp_path)


@contextmanager
def block_in(path):
    """Open a new NIX file, and give its one Block."""
    file = nixio.File.open(str(path), nixio.FileMode.Overwrite)
    try:
        yield file.create_block("a block", "nix.session")
    finally:
        file.close()


def add_signal(block, name="wave", data=WAVE[:, 0], interval=1.0, unit="ms", **told):
    array = block.create_data_array(name, "nix.sampled", data=data)
    dimension = array.append_sampled_dimension(interval, unit=unit)
    for key, value in told.items():
        setattr(dimension, key, value)
    return array


@pytest.mark.parametrize(
    ("interval", "unit", "rate", "offset", "start"),
    [
        (0.5, "s", 2, 3.0, {"units": "s", "data": 3}),
        (2.0, "ms", 500, 250.0, {"units": "ms", "data": 250}),
        (1 / 30, "ms", 30000, None, {"units": "ms", "data": 0}),
        (1 / 30000, "s", 30000, -0.25, {"units": "s", "data": -0.25}),
        (50.0, "us", 20000, 7.5, {"units": "us", "data": 7.5}),
        (5e-05, "1/Hz", 20000, 1.0, {"units": "s", "data": 1}),
        (0.05, "1/kHz", 20000, 1.0, {"units": "ms", "data": 1}),
        (25000.0, "ns", 40000, 1e9, {"units": "s", "data": 1}),
        (0.5, "min", 1 / 30, 2.0, {"units": "s", "data": 120}),
    ],
)
def test_sampled_dimensions(served, tmp_path, interval, unit, rate, offset, start):
    with block_in(tmp_path / "x.nix") as block:
        told = {} if offset is None else {"offset": offset}
        add_signal(block, interval=interval, unit=unit, **told)
    assert served.register(tmp_path / "x.nix").refusals == []
    signal = served.one("analogsignal")
    assert signal["sampling_rate"] == {"units": "Hz", "data": rate} and signal["t_start"] == start
    np.testing.assert_array_equal(served.array(signal["signal"]), WAVE[:, 0])


@pytest.mark.parametrize(
    ("coefficients", "origin"),
    [
        ((1.5, 0.25), None),
        ((0.0, -3.0), 2.0),
        ((0.0, 1.0), 0.0),
        ((5.0,), None),
        ((1.0, 2.0, 3e-4), None),
        ((0.1, -0.2, 0.3, -4e-5, 5e-7), 17.5),
        (None, 12.0),
    ],
)
def test_polynomials_calibrate(served, tmp_path, coefficients, origin):
    with block_in(tmp_path / "x.nix") as block:
        array = add_signal(block, data=WAVE[:, 0].astype(np.int32))
        array.unit = "mV"
        if coefficients is not None:
            array.polynom_coefficients = coefficients
        if origin is not None:
            array.expansion_origin = origin
        expected = array[:]
    served.register(tmp_path / "x.nix")
    signal = served.one("analogsignal")["signal"]
    np.testing.assert_allclose(served.array(signal), expected, rtol=1e-13)
    np.testing.assert_array_equal(served.array(signal, "?scaled=0"), WAVE[:, 0])
    assert signal["units"] == "mV"


@pytest.mark.parametrize("time_first", [True, False])
def test_the_order_of_dimensions_says_which_is_time(served, tmp_path, time_first):
    with block_in(tmp_path / "x.nix") as block:
        array = block.create_data_array("wave", "nix.sampled", data=WAVE if time_first else WAVE.T)
        for is_time in (time_first, not time_first):
            if is_time:
                array.append_sampled_dimension(0.1, unit="ms", label="time")
            else:
                array.append_set_dimension(["left", "middle", "right"])
        array.polynom_coefficients = (1.0, 0.5, 0.001)
    assert served.register(tmp_path / "x.nix").refusals == []
    signal = served.one("analogsignalarray")
    expected = np.polynomial.polynomial.polyval(WAVE.astype(float), (1.0, 0.5, 0.001)).astype(np.float32)
    np.testing.assert_array_equal(served.array(signal["signal"]), expected)
    np.testing.assert_array_equal(served.array(signal["signal"], "?channels=2"), expected[:, [2]])
    assert signal["annotations"]["channel_names"] == ["left", "middle", "right"]
    info = served.archive.get("/datafiles/?max_results=10").json
    assert info["objects_total"] == 1  # nothing was copied


def test_range_dimensions_of_all_kinds(served, tmp_path):
    ticks = np.cumsum(np.random.default_rng(2).random(300))
    with block_in(tmp_path / "x.nix") as block:
        block.create_data_array("own", "nix.range", data=WAVE[:, 0]).append_range_dimension(ticks, unit="ms")
        axis = block.create_data_array("axis", "nix.axis", data=ticks)
        axis.unit = "s"
        linked = block.create_data_array("linked", "nix.range", data=WAVE[:, 1])
        linked.append_range_dimension().link_data_array(axis, [-1])
        table = block.create_data_frame(
            "table", "nix.table", col_dict={"t": float, "x": float}, data=[(one, 0.0) for one in ticks]
        )
        table.units = ["us", ""]
        of_column = block.create_data_array("of a column", "nix.range", data=WAVE.T)
        of_column.append_set_dimension()
        of_column.append_range_dimension().link_data_frame(table, 0)
        moments = block.create_data_array("moments", "nix.events", data=ticks)
        moments.unit = "ms"
        moments.append_range_dimension_using_self()
    served.register(tmp_path / "x.nix")
    assert served.refusals == {"/data/a block/data_frames/table": "it is a table (DataFrame), which is not served"}
    for name, unit, samples in (("own", "ms", WAVE[:, 0]), ("linked", "s", WAVE[:, 1]), ("of a column", "us", WAVE)):
        signal = served.one("irsaanalogsignal", name)
        np.testing.assert_array_equal(served.array(signal["signal"]), samples)
        np.testing.assert_array_equal(served.array(signal["times"]), ticks)
        assert signal["times"]["units"] == unit and signal["t_start"] == {"units": unit, "data": ticks[0]}
    events = served.one("eventarray", "moments")
    np.testing.assert_array_equal(served.array(events["times"]), ticks)
    assert events["times"]["units"] == "ms"


def add_multi_tag(block, name, positions, extents=None, unit=None, units=None, references=()):
    stored = block.create_data_array(f"{name} positions", "nix.positions", data=positions)
    stored.unit = unit
    stored.append_set_dimension()
    tag = block.create_multi_tag(name, "nix.tag", positions=stored)
    if extents is not None:
        lengths = block.create_data_array(f"{name} extents", "nix.extents", data=extents)
        lengths.unit = unit
        tag.extents = lengths
    if units:
        tag.units = units
    for one in references:
        tag.references.append(one)
    return tag, stored


def test_multi_tags_are_events_or_epochs(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        wave = add_signal(block)
        _, labelled = add_multi_tag(block, "labelled", [3.0, 1.0, 2.0], unit="s")
        labelled.dimensions[0].labels = ["c", "a", "b"]
        add_multi_tag(block, "as in its reference", [10.0, 20.0], references=[wave])
        add_multi_tag(block, "epochs", [1.0, 5.0, 3.0], [0.5, 0.25, 0.75], units=["ms"])
        add_multi_tag(block, "of two axes", [[1.0, 7.0], [0.0, 9.0]], [[1.0, 3.0], [1.0, 4.0]], units=["mV", "s"])
        add_multi_tag(block, "of nothing", [1.0])
    served.register(tmp_path / "x.nix")
    (refusal,) = served.refusals.values()
    assert list(served.refusals) == ["/data/a block/multi_tags/of nothing"] and "tell a unit of time" in refusal
    events = served.one("eventarray", "labelled")
    assert served.array(events["times"]).tolist() == [1, 2, 3]
    assert served.array(events["labels"]).tolist() == [b"a", b"b", b"c"]
    events = served.one("eventarray", "as in its reference")
    assert events["times"]["units"] == "ms" and served.array(events["times"]).tolist() == [10, 20]
    assert events["annotations"]["references"] == ["wave"]
    epochs = served.one("epocharray", "epochs")
    assert served.array(epochs["times"]).tolist() == [1, 3, 5] and epochs["times"]["units"] == "ms"
    assert served.array(epochs["durations"]).tolist() == [0.5, 0.75, 0.25] and epochs["durations"]["units"] == "ms"
    epochs = served.one("epocharray", "of two axes")
    assert served.array(epochs["times"]).tolist() == [7, 9] and epochs["times"]["units"] == "s"
    assert served.array(epochs["durations"]).tolist() == [3, 4]
    assert [one["name"] for one in served.all("analogsignal")] == ["wave"]  # positions and extents are no signals


def test_tags_are_single_events_and_epochs(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        wave = add_signal(block)
        block.create_tag("a moment", "nix.tag", [1.5]).units = ["s"]
        epoch = block.create_tag("a stretch", "nix.tag", [4.0])
        epoch.extent = [2.5]
        epoch.references.append(wave)
    assert served.register(tmp_path / "x.nix").refusals == []
    event, epoch = served.one("event"), served.one("epoch")
    assert (event["label"], event["time"]) == ("a moment", {"units": "s", "data": 1.5})
    assert (epoch["label"], epoch["time"]) == ("a stretch", {"units": "ms", "data": 4})
    assert epoch["duration"] == {"units": "ms", "data": 2.5}


def test_a_tag_that_ends_before_it_begins_is_refused(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        block.create_tag("a moment", "nix.tag", [1.5]).units = ["s"]
        tag = block.create_tag("backward", "nix.tag", [4.0])
        tag.units, tag.extent = ["s"], [-2.5]
    (refusal,) = served.register(tmp_path / "x.nix").refusals
    assert refusal.path.endswith("/tags/backward") and refusal.reason.startswith("its extent is -2.5 s")
    assert served.one("event")["label"] == "a moment" and served.all("epoch") == []


def test_positions_in_a_polynomial_are_times_in_units(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        _, stored = add_multi_tag(block, "ticks", np.array([100, 300, 200], np.int64), unit="s")
        stored.polynom_coefficients = (1.0, 1e-4)
    served.register(tmp_path / "x.nix")
    np.testing.assert_allclose(served.array(served.one("eventarray")["times"]), [1.01, 1.02, 1.03])


def test_metadata_are_annotations(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        file = block._parent
        subject = file.create_section("subject", "nix.metadata")
        subject["species"] = "rat"
        subject["weight"] = 0.25
        subject.props["weight"].unit = "kg"
        inner = subject.create_section("surgery", "nix.metadata")
        inner["days"] = [1, 2, 3]
        block.metadata = subject
        file.create_section("rig", "nix.metadata")["room"] = "B 12"
        wave = add_signal(block)
        wave.definition, wave.label = "what was measured", "voltage"
        wave.metadata = inner
        block.create_group("all of it", "nix.group").data_arrays.append(wave)
        wave.sources.append(block.create_source("cell 4", "nix.source"))
    served.register(tmp_path / "x.nix")
    told = served.one("block")["annotations"]
    assert told["metadata"]["species"] == "rat" and told["metadata"]["weight"] == {"data": 0.25, "units": "kg"}
    assert told["metadata"]["surgery"] == {"days": [1, 2, 3]} and told["sections"] == {"rig": {"room": "B 12"}}
    assert told["nix_groups"] == ["all of it"]
    told = served.one("analogsignal")["annotations"]
    assert told["metadata"] == {"days": [1, 2, 3]} and told["sources"] == ["cell 4"]
    assert (told["description"], told["label"]) == ("what was measured", "voltage")
    assert told["nix_path"] == "/data/a block/data_arrays/wave" and len(told["nix_id"]) == 36


def test_long_metadata_are_cut_and_say_so(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        section = block._parent.create_section("long", "nix.metadata")
        section["many"] = list(range(1000))
        for depth in range(6):
            for number in range(120):
                section[f"p{number}"] = "x" * 100
            section = section.create_section(f"s{depth}", "nix.metadata")
        block.metadata = block._parent.sections["long"]
        for number in range(3):
            add_signal(block, f"wave {number}").metadata = block.metadata
    assert served.register(tmp_path / "x.nix").refusals == []
    told = served.one("block")["annotations"]["metadata"]
    assert told["many"][:2] == [0, 1] and told["many"][-1] == "… (1000 in all)" and len(told["many"]) == 101
    assert "…" in told["s0"]["s1"]


def test_names_that_cannot_be_printed_are_written_out(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        add_signal(block)
    with h5py.File(tmp_path / "x.nix", "r+") as file:
        file["data/a block/data_arrays/wave"].attrs["name"] = "two\nlines"
        file["data/a block"].attrs["name"] = "\x1b[2J"
    assert served.register(tmp_path / "x.nix").refusals == []
    assert served.one("analogsignal")["name"] == r"two\nlines" and served.one("block")["name"] == r"\x1b[2J"


def test_large_metadata_that_all_arrays_share_are_told_as_far_as_there_is_room(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        section = block._parent.create_section("large", "nix.metadata")
        for number in range(100):
            section[f"p{number}"] = ["x" * 3900] * 5
        for number in range(30):
            add_signal(block, f"wave {number}").metadata = section
    assert served.register(tmp_path / "x.nix").refusals == []
    told = [len(str(one["annotations"].get("metadata", ""))) for one in served.all("analogsignal")]
    assert len(told) == 30 and 10**6 < told[0] < 1.1e6 and sum(told) < 17e6


def test_files_of_the_first_versions(served, tmp_path):
    """Before 1.1.1 a value of a property was a record, before 1.2.1 an alias dimension held its array itself."""
    with block_in(tmp_path / "x.nix") as block:
        moments = block.create_data_array("moments", "nix.events", data=[1.0, 2.5])
        moments.unit = "s"
        moments.append_range_dimension_using_self()
        section = block._parent.create_section("m", "nix.metadata")
        section["words"], section["weight"] = "x", 0.0
        block.metadata = section
    with h5py.File(tmp_path / "x.nix", "r+") as file:
        file.attrs["version"] = np.array([1, 0, 0], np.int32)
        array = file["data/a block/data_arrays/moments"]
        dimension = array["dimensions/1"]
        del dimension["link"]
        dimension[array.attrs["entity_id"]] = array
        for name, type_, values in (("words", h5py.string_dtype(), ["a", "b"]), ("weight", "<f8", [2.5])):
            record = np.dtype([("value", type_), ("uncertainty", "<f8"), ("reference", h5py.string_dtype())])
            around = file["metadata/m/properties"]
            del around[name]
            around[name] = np.array([(value, 0.0, "") for value in values], record)
        around["weight"].attrs["unit"] = "kg"
    assert served.register(tmp_path / "x.nix").refusals == []
    assert served.array(served.one("eventarray")["times"]).tolist() == [1, 2.5]
    told = served.one("block")["annotations"]["metadata"]
    assert told == {"words": ["a", "b"], "weight": {"data": 2.5, "units": "kg"}}

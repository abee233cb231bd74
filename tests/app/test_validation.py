"""What cannot be created, and how that is told: every wrong field at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sqlalchemy import func, select

from storage.catalog.files import Datafile
from storage.catalog.models import TYPES
from tests.archive import Archive
from tests.bodies import BODIES, array, created, faults, wrong

BIG = "9" * 399


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("archive"))
    archive.add_user("anne")
    archive.add_user("bob")
    return archive


@pytest.fixture(scope="module")
def anne(archive):
    return archive.logged_in("anne")


@pytest.fixture(scope="module")
def bob(archive):
    return archive.logged_in("bob")


@pytest.mark.parametrize("type_name", BODIES)
def test_what_is_required_is_told_all_at_once(anne, type_name):
    found = faults(anne, f"/electrophysiology/{type_name}/", {})
    assert all(said == ["is required"] for said in found.values())
    optional = {"filedatetime", "index", "annotations", "safety_level", "waveforms", "left_sweep"}
    optional |= {"name"} if type_name in ("analogsignalarray", "spiketrain") else set()
    assert set(found) == set(BODIES[type_name]) - optional


def test_every_wrong_field_is_told_at_once_whoever_finds_it(archive, anne):
    archive.add("flat", np.arange(4.0))
    found = wrong(
        anne,
        "spiketrain",
        name=5,
        t_start={"data": 1, "units": "parsec"},
        times="/datafiles/999999",
        waveforms=[1],
        unit="/electrophysiology/segment/1",
        segment=10**6,
        safety_level=4,
        colour="red",
        guid="0" * 40,
    )
    assert set(found) == {
        "name", "t_start", "times", "waveforms", "unit", "segment", "safety_level", "colour", "guid",
    }  # fmt: skip
    assert "known are" in found["colour"][0] and "annotations" in found["colour"][0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "  "), ("name", None), ("name", ["x"]), ("name", "a\0b"), ("name", "ü" * 1001),
        ("index", 1.5), ("index", "1"), ("index", True), ("index", 2**31), ("index", int(BIG)), ("index", [1]),
        ("filedatetime", "yesterday"), ("filedatetime", 5), ("filedatetime", "2012-13-01 00:00:00"),
        ("filedatetime", "0999-01-01 00:00:00"), ("filedatetime", "9999-12-31T23:59:59-10:00"),
        ("filedatetime", "1000-01-01T00:00:00+10:00"), ("filedatetime", "2" * 1000),
        ("annotations", None), ("annotations", []), ("annotations", "x"), ("annotations", {"a": "\0"}),
        ("annotations", {"\0": 1}), ("annotations", {"a": 2**64}), ("annotations", {"a": [-(2**63) - 1]}),
        ("annotations", {"a": "x" * 70_000}), ("annotations", json.loads('{"a":' * 30 + "1" + "}" * 30)),
        ("safety_level", 0), ("safety_level", None), ("safety_level", "1"), ("safety_level", True),
        ("id", 5), ("owner", "/user/1"), ("current_state", 10), ("date_created", "x"), ("segment_set", []),
        ("block", "/electrophysiology/block/1"),
    ],
)  # fmt: skip
def test_fields_of_a_block(anne, field, value):
    assert list(wrong(anne, "block", **{field: value})) == [field]


@pytest.mark.parametrize(
    "value",
    [
        None, 50, "50 ms", [50, "ms"], {"data": 50}, {"units": "ms"}, {"data": "50", "units": "ms"},
        {"data": None, "units": "ms"}, {"data": None, "units": None}, {"data": True, "units": "ms"},
        {"data": 50, "units": "mV"}, {"data": 50, "units": 5}, {"data": 50, "units": " ms"}, {"data": 50, "units": ""},
        {"data": 1e16, "units": "ms"}, {"data": -1e16, "units": "s"}, {"data": int(BIG), "units": "s"},
        {"data": 50, "units": "ms", "more": 1}, {"data": [50], "units": "ms"}, {"data": 50, "units": "m" * 10_000},
    ],
)  # fmt: skip
def test_quantities(anne, value):
    assert list(wrong(anne, "event", time=value)) == ["time"]
    if value not in (None, {"data": None, "units": None}):  # it may be left out
        assert list(wrong(anne, "spike", left_sweep=value)) == ["left_sweep"]


@pytest.mark.parametrize("rate", [0, -1, 1e13, 1e-10, int(BIG)])
def test_sampling_rates(anne, rate):
    for type_name in ("analogsignal", "analogsignalarray", "spike"):
        assert list(wrong(anne, type_name, sampling_rate={"data": rate, "units": "Hz"})) == ["sampling_rate"]
    assert list(wrong(anne, "analogsignal", sampling_rate={"data": 1, "units": "ms"})) == ["sampling_rate"]


def test_durations_are_not_negative(anne):
    assert list(wrong(anne, "epoch", duration={"data": -1, "units": "s"})) == ["duration"]
    found = wrong(anne, "epocharray", durations=array([0, 1, -2, 3, 4], "s"))
    assert found == {"durations": ["has negative values, the first at 2"]}


@pytest.mark.parametrize(
    ("type_name", "field", "data"),
    [
        ("analogsignal", "signal", [[1, 2]]),
        ("analogsignal", "signal", [1, [2]]),
        ("analogsignal", "signal", ["1"]),
        ("analogsignal", "signal", [True]),
        ("analogsignal", "signal", [{}]),
        ("analogsignal", "signal", [2**63]),
        ("analogsignal", "signal", [2**53 + 1, 0.5]),
        ("analogsignal", "signal", [int(BIG)]),
        ("analogsignal", "signal", None),
        ("analogsignal", "signal", {"a": 1}),
        ("analogsignal", "signal", True),
        ("analogsignal", "signal", 1.5),
        ("analogsignal", "signal", -1),
        ("analogsignal", "signal", 0),
        ("analogsignal", "signal", 10**30),
        ("analogsignal", "signal", "/datafiles/1?start_index=1"),
        ("analogsignal", "signal", "/electrophysiology/block/1"),
        ("analogsignal", "signal", "http://127.0.0.1/datafiles/1"),
        ("analogsignalarray", "signal", [1, 2]),
        ("analogsignalarray", "signal", [[1, 2], [3]]),
        ("analogsignalarray", "signal", [[], []]),
        ("analogsignalarray", "signal", [[[1]]]),
        ("analogsignalarray", "signal", []),
        ("irsaanalogsignal", "signal", [[[1]]] * 5),
        ("spike", "waveform", [1]),
        ("spiketrain", "waveforms", [[1]] * 5),
        ("spiketrain", "waveforms", [[[[1]]]] * 5),
        ("spiketrain", "times", [1, None, 2, 3, 4]),
        ("spiketrain", "times", [3, 2, 1, 0, 0]),
        ("eventarray", "times", [[1]] * 5),
        ("eventarray", "labels", [1] * 5),
        ("eventarray", "labels", ["a", None, "b", "c", "d"]),
        ("eventarray", "labels", ["a", "\0", "b", "c", "d"]),
        ("eventarray", "labels", ["a", "x" * 1001, "b", "c", "d"]),
        ("eventarray", "labels", [["a"]] * 5),
        ("epocharray", "durations", [1, 2, 3, 4, None]),
    ],
)  # fmt: skip
def test_arrays(anne, type_name, field, data):
    units = BODIES[type_name][field]["units"]
    assert list(wrong(anne, type_name, **{field: array(data, units)})) == [field]


@pytest.mark.parametrize(("depth", "named"), [(10, "signal"), (200, "body")])
def test_values_of_deep_lists(anne, depth, named):
    deep = json.loads("[" * depth + "]" * depth)
    assert list(wrong(anne, "analogsignal", signal=deep)) == [named]


@pytest.mark.parametrize(
    ("type_name", "field", "other"),
    [
        ("irsaanalogsignal", "signal", [1, 2]),
        ("spiketrain", "waveforms", [[[1]]]),
        ("eventarray", "labels", ["a"]),
        ("epocharray", "durations", [1]),
        ("epocharray", "labels", []),
    ],
)
def test_arrays_of_one_object_have_one_length(anne, type_name, field, other):
    found = wrong(anne, type_name, **{field: array(other, BODIES[type_name][field]["units"])})
    assert found == {field: [f"has the length {len(other)}, but times has 5"]}


@pytest.mark.parametrize("units", [None, "mv", "MV", "nA", "µV", "V/s", "count"])
def test_units_of_signals(anne, units):
    if units is None:
        assert "has no unit" in wrong(anne, "analogsignal", signal=[1])["signal"][0]
    else:
        assert created(anne, "analogsignal", signal=array([1], units))["signal"]["units"] == units


@pytest.mark.parametrize("units", ["bogus", "", "m**9**9**9", "1" * 50, "a.u.", 5, ["mV"], "(" * 30, "mV\0"])
def test_what_is_no_unit(anne, units):
    assert list(wrong(anne, "analogsignal", signal=array([1], units))) == ["signal"]
    assert list(wrong(anne, "eventarray", times=array([1, 2, 3, 4, 5], units))) == ["times"]


def test_texts_have_no_unit_and_times_one_of_time(anne):
    assert list(wrong(anne, "eventarray", labels=array(["a"] * 5, "s"))) == ["labels"]
    assert list(wrong(anne, "eventarray", times=array([1, 2, 3, 4, 5], "mV"))) == ["times"]
    assert "has no unit" in wrong(anne, "eventarray", times=[1, 2, 3, 4, 5])["times"][0]


@pytest.mark.parametrize(
    ("window", "field"),
    [
        (((0.2, "s"), (1, "s")), "times"),
        (((0, "s"), (899, "ms")), "times"),
        (((100001, "us"), (1, "s")), "times"),
        (((2, "s"), (1, "s")), "t_stop"),
        (((2, "ms"), (1999, "us")), "t_stop"),
    ],
)
def test_spikes_lie_within_their_train(anne, window, field):
    (start, start_units), (stop, stop_units) = window
    told = {"t_start": array(start, start_units), "t_stop": array(stop, stop_units)}
    assert list(wrong(anne, "spiketrain", **told)) == [field]
    exact = {"t_start": array(100, "ms"), "t_stop": array(900, "ms")}
    assert created(anne, "spiketrain", **exact)["t_start"] == {"data": 100, "units": "ms"}
    empty = {"times": array([], "s"), "waveforms": None}
    assert (field == "times") == (
        anne.post("/electrophysiology/spiketrain/", json={**BODIES["spiketrain"], **told, **empty}).status_code == 201
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "JSON"),
        ('{"name": "x"}'.encode("utf-16"), "UTF-8"),
        (b'{"name": "a", "name": "b"}', "stands twice"),
        (b'{"name": "a", "annotations": {"x": {"b": 1, "b": 1}}}', "stands twice"),
        (b'{"name": "a", "index": NaN}', "not a number of JSON"),
        (b'{"name": "a", "index": -Infinity}', "not a number of JSON"),
        (b'{"name": "a", "index": 1e400}', "beyond float64"),
        (b'{"name": "a", "index": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"a":' * 100_000, "deep"),
        (b"[" * 1_000_000, "deep"),
        (b'{"name": "a"} {}', "JSON"),
    ],
)
def test_bodies_that_are_not_one_json_object(anne, content, said):
    answer = anne.post("/electrophysiology/block/", data=content, content_type="application/json")
    assert answer.status_code == 400 and said in answer.json["message"], answer.text


def test_other_media_types_are_415_and_bodies_that_are_too_long_413(anne):
    for type_ in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = anne.post("/electrophysiology/block/", data=b'{"name": "x"}', content_type=type_)
        assert answer.status_code == 415, type_
    answer = anne.post("/electrophysiology/block/", data=b" " * (8 << 20) + b"{}", content_type="application/json")
    assert answer.status_code == 413


def test_types_and_parameters_that_are_none(anne):
    assert anne.post("/electrophysiology/nonsense/", json={}).status_code == 404
    assert list(faults(anne, "/electrophysiology/block/?colour=red", {"name": "x"})) == ["colour"]
    assert list(faults(anne, "/electrophysiology/block/?name=x", {"name": "x"})) == ["bulk_update"]
    assert list(faults(anne, "/electrophysiology/block/?bulk_update=1", {"name": "x"})) == ["query"]


def test_what_is_refused_leaves_nothing(archive, anne):
    def counted():
        with archive.services.session() as session:
            return [session.scalar(select(func.count()).select_from(model)) for model in (*TYPES.values(), Datafile)]

    before = counted()
    stored = sorted((archive.settings.data / "store").rglob("*"))
    wrong(anne, "spiketrain", segment=10**6)
    wrong(anne, "irsaanalogsignal", times=array([1], "s"))
    assert counted() == before and sorted((archive.settings.data / "store").rglob("*")) == stored

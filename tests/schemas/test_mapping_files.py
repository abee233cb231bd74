"""Mapping files: what is wrong with them is told at once, and nothing in them is more than text."""

from __future__ import annotations

import time

import pytest
from marshmallow import ValidationError

from schemas import mapping_files, yaml_text


def wrong(text):
    """Return what is said to be wrong with a mapping file."""
    with pytest.raises(ValidationError) as raised:
        mapping_files.load(text if isinstance(text, bytes) else text.encode())
    return raised.value.messages


def array(*lines):
    return "arrays:\n  - " + "\n    ".join(["dataset: /a/*", *lines]) + "\n"


def test_it_is_json_with_numbers_and_quantities():
    text = array(
        "type: analogsignalarray",
        "name: 2014-07-09",
        "time_axis: 1",
        "sampling_rate: 5e-1 kHz",
        "t_start: {dataset: '/b/{1}', units: us}",
        "calibration: {polynomial: [[1, -2.5e-3], [0, 1]], origin: [3, 4]}",
        "channel_names: [yes, 1.0, ~]",
    )
    assert mapping_files.load(text.encode()) == {
        "arrays": [
            {
                "dataset": "/a/*",
                "type": "analogsignalarray",
                "name": "2014-07-09",
                "time_axis": 1,
                "sampling_rate": {"data": 0.5, "units": "kHz"},
                "t_start": {"dataset": "/b/{1}", "units": "us"},
                "calibration": {"polynomial": [[1, -0.0025], [0, 1]], "origin": [3, 4]},
                "channel_names": ["yes", "1.0", "~"],
            }
        ]
    }
    (one,) = mapping_files.load(array("type: irregularlysampledsignal", "times: /t").encode())["arrays"]
    assert one["type"] == "irsaanalogsignal"


def test_everything_that_is_wrong_is_told_at_once():
    text = """
blok: x
arrays:
  - dataset: a
    typ: analogsignal
    sampling_rate: 5 kg
    calibration: {gain: x, ofset: 3}
  - dataset: /x/*
    type: epocharray
    labels: /x/{2}
    units: mV
    calibration: {gain: 1}
  - 3
"""
    told = wrong(text)
    assert sorted(one.partition(": ")[0] for one in told) == [
        "array 1, calibration, gain",
        "array 1, calibration, ofset",
        "array 1, dataset",
        "array 1, sampling_rate",
        "array 1, typ",
        "array 1, type",
        "array 2, calibration",
        "array 2, durations",
        "array 2, labels",
        "array 2, units",
        "array 3",
        "blok",
    ]
    assert "blok: is no key here; did you mean block?" in told
    assert "array 1, calibration, ofset: is no key here; did you mean offset?" in told
    assert "array 2, durations: is missing: epocharray needs it" in told


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("type: video", "is none of analogsignal"),
        ("type: analogsignal\n    name: 'a\\nb'\n    name2: x", "name2: is no key"),
        ('type: analogsignal\n    name: "a\\nb"', "one line"),
        ("type: analogsignal\n    name:", "one line"),
        ("type: analogsignal\n    time_axis: 2", "neither 0"),
        ("type: analogsignal\n    units: parsecs*0", "is not a unit"),
        ("type: analogsignal\n    times: /t", "is not told of analogsignal"),
        ("type: analogsignal\n    t_stop: 3 s", "is not told of analogsignal"),
        ("type: analogsignal\n    t_start: soon", "is not a number and a unit"),
        ("type: analogsignal\n    sampling_rate: {dataset: b, units: Hz}", "is not a path"),
        ("type: analogsignal\n    sampling_rate: {dataset: /b, units: s}", "is not a rate unit"),
        ("type: analogsignal\n    sampling_rate: {dataset: /b}", "nor {dataset"),
        ("type: analogsignal\n    calibration: {gain: [1, [2]]}", "is not a number"),
        ("type: analogsignal\n    calibration: {gain: []}", "no numbers"),
        ("type: analogsignal\n    calibration: {gain: 1e400}", "is not a number"),
        ("type: analogsignal\n    calibration: {gain: nan}", "is not a number"),
        ("type: analogsignal\n    calibration: {polynomial: [[1], [1, 2]]}", "several lengths"),
        ("type: analogsignal\n    calibration: {polynomial: [1], gain: 2}", "beside gain"),
        ("type: analogsignal\n    calibration: {origin: 1}", "without a polynomial"),
        ("type: analogsignal\n    calibration: 3", "no dictionary"),
        ("type: analogsignal\n    channel_names: x", "is not a path"),
        ("type: irsaanalogsignal", "times: is missing"),
        ("type: irsaanalogsignal\n    times: /t/*", "has a wildcard"),
        ("type: irsaanalogsignal\n    times: /t\n    times_units: mV", "no unit of time"),
        ("type: spiketrain\n    units: mV", "no unit of time"),
        ("type: spiketrain\n    name: unit {0}", "has {0}"),
    ],
)
def test_each_key_has_a_form(line, reason):
    (told,) = [one for one in wrong(array(*line.split("\n    "))) if reason in one]
    assert told.startswith("array 1")


@pytest.mark.parametrize("path", ["/", "a", "/a//b", "/a/../b", "/a/**", "//a", "/a/."])
def test_paths_lie_in_the_file(path):
    (told,) = wrong(f"arrays:\n  - dataset: '{path}'\n    type: eventarray\n")
    assert told.startswith("array 1, dataset: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a dictionary"),
        (b"- 1", "not a dictionary"),
        (b"arrays: []", "a list of 0 arrays"),
        (b"arrays: {a: 1}", "is no list"),
        (b"arrays: [", "is not YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a: 1\na: 2", "the key 'a' is there twice (line 2)"),
        (b"? [a]\n: 1", "a key is not text"),
        (b"a: &x 1\nb: *x", "an alias"),
        (b"arrays: !!python/object/apply:os.system ['true']", "has a type"),
        (b"arrays: !!binary aGk=", "has a type"),
        (b"a: \x00", "not YAML"),
        (b"--- 1\n--- 2\n", "not YAML"),
        (b"[" * 100_000, "nested too deeply"),
        (b"x" * (yaml_text.MAX_NBYTES + 1), "more than 256 KiB"),
    ],
)
def test_what_is_no_mapping_file_is_refused(content, reason):
    started = time.monotonic()
    assert any(reason in one for one in wrong(content))
    assert time.monotonic() - started < 5


def test_a_billion_laughs_are_none():
    lines = ["a: &a [x, x]"]
    lines += [f"{chr(98 + place)}: &{chr(98 + place)} [*{chr(97 + place)}, *{chr(97 + place)}]" for place in range(20)]
    assert "an alias" in wrong("\n".join(lines))[0]


def test_more_arrays_than_anyone_writes_are_refused():
    one = "  - {dataset: /a, type: eventarray}\n"
    assert "is a list of 1001 arrays" in wrong("arrays:\n" + one * 1001)[0]


def test_of_thousands_of_wrong_keys_the_first_are_told_and_the_others_counted():
    told = wrong("{" + ", ".join(f"k{number}: 1" for number in range(20_000)) + "}")
    assert len(told) == mapping_files.MAX_TOLD + 1
    assert told[-1] == "the file: 19951 more things in it are wrong"  # arrays are missing, too

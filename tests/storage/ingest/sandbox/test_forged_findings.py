"""Findings of which one thing is forged are lies."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import orjson
import pytest

from storage.hdf5.packed_index import ROW
from storage.ingest.sandbox.verified import Lie
from tests.storage.ingest.sandbox.honest import honest, messages, taken


def item(kind, number=0, **changes):
    return kind, number, changes


def array(**changes):
    return item("array", 0, **changes)


def curved(**changes):
    return item("array", 4, calibration={"coefficients": [[1.0, 2.0]], "origin": [0.0], **changes})


def dataset(**changes):
    return item("dataset", 0, **changes)


def fields(number, **changes):
    return item("object", number, fields=changes)


def rows(*changed):
    """Replace the rows of the chunk index."""
    return "rows", 0, np.array(list(changed), ROW).tobytes()


FORGED = {
    "an array of no dataset": array(dataset="/none"),
    "an array past its dataset": array(n_samples=26),
    "an array that begins past its dataset": array(first_row=1),
    "an array of negative length": array(n_samples=-1),
    "an array before its dataset": array(first_row=-1, n_samples=3),
    "a length that is no whole number": array(n_samples=2.5),
    "a length that is a truth": array(n_samples=True),
    "an endless length": array(n_samples=2**63),
    "a name with a line": array(name="a\nb"),
    "a name with an escape": array(name="\x1b[31m"),
    "a name with NUL": array(name="a\0b"),
    "a name that turns the writing": array(name="a\u202eb"),
    "a name of 100 kB": array(name="x" * 100_000),
    "a name that is a number": array(name=5),
    "a path with a line": array(source_path="/a\r"),
    "a unit with an escape": array(units="\x1b"),
    "a unit that is a list": array(units=["mV"]),
    "a gain that is no number": array(calibration={"gain": ["1", 2.0], "offset": 0.0}),
    "a gain that is None": array(calibration={"gain": [None, 1.0], "offset": 0.0}),
    "a gain for a third channel": array(calibration={"gain": [1.0, 1.0, 1.0], "offset": 0.0}),
    "no gain": array(calibration={"gain": [], "offset": 0.0}),
    "an offset that is none": array(calibration={"gain": [1.0], "offset": None}),
    "a polynomial that is no list": curved(coefficients=5),
    "a polynomial of one list": curved(coefficients=[1.0, 2.0]),
    "a polynomial of nothing": curved(coefficients=[]),
    "a polynomial of no coefficients": curved(coefficients=[[]]),
    "a polynomial of a high degree": curved(coefficients=[[1.0] * 33]),
    "a polynomial for a third channel": curved(coefficients=[[1.0, 2.0]] * 3),
    "polynomials of two lengths": curved(coefficients=[[1.0, 2.0], [1.0]]),
    "a polynomial with a text": curved(coefficients=[[1.0, "2"]]),
    "a polynomial with a truth": curved(coefficients=[[1.0, True]]),
    "a polynomial with what is no number": curved(coefficients=[[1.0, None]]),
    "a polynomial without an origin": curved(origin=[]),
    "a polynomial with an origin for a third channel": curved(origin=[0.0, 0.0, 0.0]),
    "a polynomial with an origin that is none": curved(origin=[None]),
    "a polynomial of labels": item("array", 2, calibration={"coefficients": [[1.0]], "origin": [0.0]}),
    "channels down that are not": array(is_transposed=True),
    "channels down of one axis": item("array", 1, is_transposed=True),
    "channels down that are no truth": array(is_transposed=1),
    "channels down, of more samples than there are": item("array", 5, n_samples=26),
    "a channel that there is not": item("array", 5, column=2, channel_names=None),
    "a channel before the first": item("array", 5, column=-1, channel_names=None),
    "a channel that is no number": item("array", 5, column="0", channel_names=None),
    "a channel of what has none": item("array", 1, column=0),
    "a channel with the names of all": item("array", 5, column=0),
    "channels down, with names for samples": item("array", 5, channel_names=["x"] * 25),
    "channels down, from the second row on": item("array", 5, first_row=1),
    "too few names of channels": array(channel_names=["a"]),
    "names of channels that are numbers": array(channel_names=[1, 2]),
    "channels that are not all there": array(columns=[1, 3]),
    "no channels": array(columns=[1, 1]),
    "channels the wrong way round": array(columns=[2, 1]),
    "channels that are no pair": array(columns=[1]),
    "negative channels": array(columns=[-1, 1]),
    "channels of one axis": item("array", 1, columns=[0, 1]),
    "channels, with names for others": array(columns=[0, 1]),
    "a dataset of another file": dataset(file="other.bin"),
    "a dataset of a file that is a number": dataset(file=1),
    "objects": dataset(dtype="|O"),
    "pickled objects": dataset(dtype="O"),
    "a record": dataset(dtype="i4,i4"),
    "a type of another size": dataset(dtype="<i4"),
    "complex numbers": dataset(dtype="<c8"),
    "a type that is a list": dataset(dtype=[["a", "<i4"]]),
    "a type of 16 bytes": dataset(dtype="<f16"),
    "a shape that is negative": dataset(shape=[-25, 2]),
    "a shape that is too large for its rows": dataset(shape=[2**40, 2]),
    "a shape of no axes": dataset(shape=[]),
    "a shape of 40 axes": dataset(shape=[1] * 40, chunk_shape=[1] * 40),
    "a shape with text": dataset(shape=["25", 2]),
    "a chunk of 2 GiB": dataset(chunk_shape=[2**30, 2], shape=[2**31, 2]),
    "a chunk of nothing": dataset(chunk_shape=[0, 2]),
    "a chunk of other axes": dataset(chunk_shape=[10]),
    "an unknown filter": dataset(filters=[[32_999, []]]),
    "a filter that is not undone": dataset(filters=[[4, [1, 2]]]),
    "a filter without its values": dataset(filters=[[2, []]]),
    "a filter with text": dataset(filters=[["1", []]]),
    "a thousand filters": dataset(filters=[[1, [4]]] * 1000),
    "a fill value of another size": dataset(fill="00"),
    "a fill value that is no hex": dataset(fill="zz"),
    "chunks and an offset": dataset(byte_offset=5),
    "chunks and samples": dataset(is_inline=True),
    "chunks that are not told": dataset(chunk_shape=None),
    "a dataset twice": dataset(path="/times"),
    "an index that is too short": rows((2000, 100, 0)),
    "an index that is too long": rows(*[(2000, 100, 0)] * 4),
    "a chunk past the end": rows((9950, 100, 0), (2000, 1, 0), (2000, 1, 0)),
    "a chunk far past the end": rows((2**63, 100, 0), (2000, 1, 0), (2000, 1, 0)),
    "a chunk that wraps around": rows((2**64 - 50, 100, 0), (2000, 1, 0), (2000, 1, 0)),
    "a chunk of no bytes": rows((2000, 0, 0), (2000, 1, 0), (2000, 1, 0)),
    "a chunk of too many bytes": rows((1, 9000, 0), (2000, 1, 0), (2000, 1, 0)),
    "an index of half a row": ("rows", 0, b"x" * 47),
    "an offset past the end": item("dataset", 1, byte_offset=9801),
    "a negative offset": item("dataset", 1, byte_offset=-1),
    "an offset that is no number": item("dataset", 1, byte_offset="5"),
    "filters without chunks": item("dataset", 1, filters=[[1, [4]]]),
    "samples of another shape": item("dataset", 2, shape=[3]),
    "samples of another type": item("dataset", 2, dtype="|S4"),
    "blocks of no dataset": item("blocks", 0, whole="/none"),
    "blocks of text": item("blocks", 0, whole="/labels"),
    "blocks of two axes": item("blocks", 0, whole="/signal"),
    "an unknown type": item("object", 0, type_name="user"),
    "an object twice": item("object", 1, type_name="block"),
    "a parent that is not there": item("object", 1, parents={"block": "/none"}),
    "a parent of a type that has no such children": item("object", 2, parents={"block": "/"}),
    "a parent that is a list": item("object", 1, parents={"block": ["/"]}),
    "an array that is not there": item("object", 2, arrays={"signal": "/none"}),
    "an array in a field that is none": item("object", 2, arrays={"owner": "/signal"}),
    "times that are not told to be sorted": item("object", 3, arrays={"signal": "/signal", "times": "/signal"}),
    "arrays of several lengths": item("object", 3, arrays={"signal": "/signal", "times": "/moments"}),
    "several parents of a type that has one": item("object", 1, parents={"block": ["/"]}),
    "one parent where several can be": item("object", 6, parents={"recordingchannel": "/c[0]"}),
    "several parents, one of them not there": item("object", 6, parents={"recordingchannel": ["/c[0]", "/c[1]"]}),
    "a parent twice": item("object", 6, parents={"recordingchannel": ["/c[0]", "/c[0]"]}),
    "several parents that are no text": item("object", 6, parents={"recordingchannel": [["/c[0]"]]}),
    "a parent that is told later": item("object", 5, parents={"recordingchannelgroup": "/u"}),
    "a noted array that is not there": item("object", 6, noted={"waveform_mean": "/none"}),
    "a noted array of no annotation": item("object", 6, noted={"waveform_sd": "/mean"}),
    "a noted array of an annotation that is text": item("object", 6, noted={"quality": "/mean"}),
    "noted arrays that are a list": item("object", 6, noted=["/mean"]),
    "waveforms of two axes": item("object", 7, arrays={"times": "/moments", "waveforms": "/mean"}),
    "waveforms of other length": item("object", 7, arrays={"times": "/times", "waveforms": "/waveforms"}),
    "another's guid": fields(0, guid="0" * 40),
    "another's id": fields(0, id=1),
    "an owner": fields(0, owner_id=1),
    "a safety level": fields(0, safety_level=1),
    "a state": fields(0, current_state=20),
    "another file": fields(0, file_id=1),
    "another segment": fields(2, segment_id=1),
    "a column that is none": fields(0, password=1),
    "a date that is none": fields(0, filedatetime="yesterday"),
    "a date without a zone": fields(0, filedatetime="2020-01-01T00:00:00"),
    "an index that is a fraction": fields(0, index=1.5),
    "an index that is too large": fields(0, index=2**40),
    "a name that is None": fields(0, name=None),
    "a name that is a dictionary": fields(0, name={}),
    "a rate that is None, as NaN arrives": fields(2, sampling_rate=None),
    "a rate of 0": fields(2, sampling_rate=0.0),
    "a negative rate": fields(2, sampling_rate=-1.0),
    "a rate that is text": fields(2, sampling_rate="20"),
    "an endless rate": fields(2, sampling_rate=1e300),
    "an endless start": fields(2, t_start=1e300),
    "a unit of rates that is none": fields(2, sampling_rate_units="furlong"),
    "a unit of times that is none": fields(2, t_start_units="Hz"),
    "a unit longer than its column": fields(2, t_start_units="s" + " " * 20),
    "annotations that are a list": fields(0, annotations=[1]),
    "annotations with an escape": fields(0, annotations={"a": {"b": ["\x1b[2J"]}}),
    "annotations with an odd key": fields(0, annotations={"a\nb": 1}),
    "annotations that are long": fields(0, annotations={"a": "x" * 10_000}),
    "deep annotations": fields(0, annotations={"a": [[[[[[[[[[1]]]]]]]]]]}),
    "a reason with an escape": item("refusal", 0, whole=["/a", "\x1b"]),
    "a reason that is a number": item("refusal", 0, whole=["/a", 1]),
    "a refusal that is text": item("refusal", 0, whole="/abc"),
    "an object that is a list": item("object", 0, whole=[1]),
    "an array that is None": item("array", 0, whole=None),
    "a dataset that is text": item("dataset", 0, whole="/signal"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_finding_is_a_lie(name):
    kind, number, change = FORGED[name]
    told = [(deepcopy(message), parts) for message, parts in messages(honest())]
    same_kind = [place for place, (message, _) in enumerate(told) if ("dataset" if kind == "rows" else kind) in message]
    message, _ = told[same_kind[number]]
    if kind == "rows":
        told[same_kind[number]] = message, [memoryview(change)]
    elif "whole" in change:
        message[kind] = change["whole"]
    else:
        for key, value in change.items():
            message[kind][key] = message[kind][key] | value if key == "fields" else value
    orjson.dumps(message)  # it can be sent
    with pytest.raises(Lie):
        taken(told)

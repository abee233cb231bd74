"""A JSON answer is the list of values, as the standard library parses it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

from tests.app.encoders.forms import EncoderContract, answers, encoded, form_of


class TestJson(EncoderContract):
    format = "json"
    media_type = "application/json"
    length_is_known = False
    n_windows = 8


def is_not_json(word):
    pytest.fail(f"{word} is not JSON")


def assert_same(listed, array):
    """A list says what an array holds, to the type and the last bit."""
    assert type(listed) is list
    assert len(listed) == len(array)
    if array.ndim > 1:
        for item, row in zip(listed, array, strict=True):
            assert_same(item, row)
        return
    values = array.tolist()
    if array.dtype.kind == "S":
        assert listed == [value.decode() for value in values]
    elif array.dtype.kind == "f":
        assert [item is None for item in listed] == (~np.isfinite(array)).tolist()
        finite = [item for item in listed if item is not None]
        assert all(type(item) is float for item in finite)
        assert np.array(finite, array.dtype).tobytes() == array[np.isfinite(array)].tobytes()
    else:
        assert [(type(item), item) for item in listed] == [(type(value), value) for value in values]


@given(answers())
@settings(deadline=None)
def test_json_says_what_the_array_holds(answer):
    array, form, windows = answer
    assert_same(json.loads(encoded("json", form, windows), parse_constant=is_not_json), array)


@given(answers())
@settings(deadline=None)
def test_windows_leave_no_trace(answer):
    array, form, windows = answer
    assert encoded("json", form, windows) == encoded("json", form, [array])


@pytest.mark.parametrize(
    ("array", "body"),
    [
        (np.array([], "<f4"), b"[]"),
        (np.zeros((0, 3), "<f4"), b"[]"),
        (np.zeros((2, 0), "<f4"), b"[[],[]]"),
        (np.zeros((2, 0), "S3"), b"[[],[]]"),
        (np.array([0.1, np.nan, np.inf, -np.inf], "<f4"), b"[0.1,null,null,null]"),
        (np.array([2**53 + 1, -(2**63)], "<i8"), b"[9007199254740993,-9223372036854775808]"),
        (np.array([2**64 - 1], "<u8"), b"[18446744073709551615]"),
        (np.array([[True], [False]]), b"[[true],[false]]"),
        (np.array(["spike µ".encode(), b""], "S20"), '["spike µ",""]'.encode()),
        (np.array([b"ab\xff"], "S5"), '["ab\ufffd"]'.encode()),
    ],
)
def test_the_text_is(array, body):
    assert encoded("json", form_of(array), [array]) == body


def test_a_window_of_many_pieces_is_one_list():
    array = np.arange(200_000).reshape(-1, 2)
    assert json.loads(encoded("json", form_of(array), [array[:99_999], array[99_999:]])) == array.tolist()

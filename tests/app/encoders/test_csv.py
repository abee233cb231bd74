"""A CSV answer is what the standard library's reader gives back as header and cells."""

from __future__ import annotations

import csv
from io import StringIO
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings

from app.encoders.form import Form
from storage.errors import SelectionError
from tests.app.encoders.forms import EncoderContract, answers, encoded, form_of


class TestCsv(EncoderContract):
    format = "csv"
    media_type = "text/csv; charset=utf-8"
    length_is_known = False
    n_windows = 8


def table(form, windows):
    """The header and the rows."""
    text = encoded("csv", form, windows).decode()
    header, *rows = csv.reader(StringIO(text, newline=""), strict=True)
    return header, rows


def header_of(array, **attributes):
    return table(form_of(array, **attributes), [array])[0]


def says(cell, value):
    """Whether a cell means a value, to the last bit."""
    if value.dtype.kind == "S":
        return cell == value.item().decode()
    if value.dtype.kind == "b":
        return cell == ("true" if value else "false")
    if value.dtype.kind == "f":
        number = value.dtype.type(cell)
        return number.tobytes() == value.tobytes() or bool(np.isnan(number) and np.isnan(value))
    return int(cell) == int(value)


@given(answers())
@settings(deadline=None)
def test_a_reader_gives_back_the_cells(answer):
    array, form, windows = answer
    header, rows = table(form, windows)
    flat = array.reshape(len(array), prod(array.shape[1:]))
    assert len(header) == flat.shape[1]
    assert [len(row) for row in rows] == [flat.shape[1]] * len(array)
    for row, values in zip(rows, flat, strict=True):
        for column, cell in enumerate(row):
            assert says(cell, values[column : column + 1].reshape(())), (cell, values[column])


@given(answers())
@settings(deadline=None)
def test_windows_leave_no_trace(answer):
    array, form, windows = answer
    assert encoded("csv", form, windows) == encoded("csv", form, [array])


def test_the_header_says_what_is_known_of_the_columns():
    one, two, three = (np.zeros(shape, "<f4") for shape in [(1,), (1, 2), (1, 2, 2)])
    assert header_of(one) == ["value"]
    assert header_of(one, units="mV") == ["value [mV]"]
    assert header_of(two) == ["channel 0", "channel 1"]
    assert header_of(two, channels=[3, 7]) == ["channel 3", "channel 7"]
    assert header_of(two, channels=[3, 7], channel_names=["CA1, left", 'the "µ" one']) == ["CA1, left", 'the "µ" one']
    assert header_of(three, channels=[3, 7]) == ["c0 s0", "c0 s1", "c1 s0", "c1 s1"]


@pytest.mark.parametrize("shape", [(1, 65_537), (1, 1024, 65), (0, 1 << 40)])
def test_a_table_has_so_many_columns_at_most(shape):
    with pytest.raises(SelectionError, match="is wider than the 65536"):
        encoded("csv", Form("0" * 40, shape, np.dtype("i1"), {}), [])
    assert len(header_of(np.zeros((1, 65_536), "i1"))) == 65_536


@pytest.mark.parametrize(
    ("array", "lines"),
    [
        (np.array([0.1, np.nan, np.inf, -np.inf, 3, 1e22], "<f4"), "0.1 nan inf -inf 3.0 1e+22"),
        (np.array([[np.nan, 1], [np.nan, np.nan]]), "nan,1.0 nan,nan"),
        (np.array([2**64 - 1], "<u8"), "18446744073709551615"),
        (np.array([[b"a,b", b'"'], [b"", b"=1+1"]]), '"a,b","""" ,=1+1'),
        (np.array([b"", b"x\ny"]), '"" "x\ny"'),
    ],
)
def test_the_text_is(array, lines):
    _, _, rows = encoded("csv", form_of(array), [array]).decode().partition("\r\n")
    assert rows == "".join(f"{line}\r\n" for line in lines.split(" "))

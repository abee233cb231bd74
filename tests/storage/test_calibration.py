"""Quantities are what numpy makes of the stored numbers, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.polynomial.polynomial import polyval

from storage.calibration import Calibration, Polynomial, from_json

DTYPES = ["?", "<i2", ">u2", "<i4", "<u8", "<f4", ">f8"]
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(FLOATS, min_size=1, max_size=6).map(tuple)


@given(npst.arrays(st.sampled_from(DTYPES).map(np.dtype), st.integers(0, 20)), ROWS, FLOATS)
def test_a_polynomial_of_one_channel_is_that_of_numpy(numbers, coefficients, origin):
    got = Polynomial((coefficients,), (origin,)).apply(numbers, None)
    with np.errstate(all="ignore"):
        expected = polyval(numbers.astype(np.float64) - origin, coefficients)
    assert got.dtype == np.float64 and got.shape == numbers.shape
    np.testing.assert_array_equal(got, expected)
    assert (np.signbit(got) == np.signbit(expected))[~np.isnan(expected)].all()


@pytest.mark.parametrize("origin", [(0.5,), (1.0, -2.0, 3.25)])
@pytest.mark.parametrize("columns", [None, (2,), (2, 0), (1, 1, 0)])
def test_each_channel_can_have_a_polynomial_of_its_own(origin, columns):
    rows = ((1.0, 2.0, 3.0), (0.1, 0.0, -7.0), (-1e-3, 1e6, 0.0))
    numbers = np.random.default_rng(1).integers(-30_000, 30_000, (50, 3)).astype("<i2")
    channels = list(columns or range(3))
    got = Polynomial(rows, origin).apply(numbers[:, channels], columns)
    for place, channel in enumerate(channels):
        distances = numbers[:, channel].astype("f8") - origin[channel if len(origin) > 1 else 0]
        np.testing.assert_array_equal(got[:, place], polyval(distances, rows[channel]))


def test_one_polynomial_for_all_channels_with_an_origin_each():
    numbers = np.arange(6).reshape(3, 2)
    got = Polynomial(((1.0, 2.0, 1.0),), (0.0, 1.0)).apply(numbers, None)
    np.testing.assert_array_equal(got, (1.0 + numbers - [0, 1]) ** 2)


@pytest.mark.parametrize(
    ("calibration", "is_identity", "is_linear"),
    [
        (Calibration((1.0,)), True, True),
        (Calibration((1.0, 2.0)), False, True),
        (Polynomial(((0.0, 1.0),)), True, True),
        (Polynomial(((0.0, 1.0, 0.0),), (0.0, 0.0)), True, True),
        (Polynomial(((0.0, 1.0),), (2.0,)), False, True),
        (Polynomial(((0.0, 1.0), (1.0, 1.0))), False, True),
        (Polynomial(((3.0,),)), False, True),
        (Polynomial(((0.0, 1.0, 1e-9),)), False, False),
        (Polynomial(((0.0, 1.0, 0.0), (0.0, 1.0, 5.0))), False, False),
    ],
)
def test_what_it_says_of_itself(calibration, is_identity, is_linear):
    assert (calibration.is_identity, calibration.is_linear) == (is_identity, is_linear)
    assert from_json(calibration.as_json()) == calibration


def test_larger_numbers_are_smaller_quantities_where_a_line_falls():
    assert Polynomial(((0.0, -1.0), (0.0, 2.0), (0.0, 0.0))).falls((2, 0)).tolist() == [False, True]
    assert Polynomial(((1.0,),)).falls(None).tolist() == [False]
    assert Calibration((1.0, -2.0)).falls((1,)).tolist() == [True]


def test_what_readers_of_stored_numbers_are_told():
    assert Calibration((2.0,), 1.0).told(None) == {"gain": 2.0, "offset": 1.0}
    assert Calibration((2.0, 3.0)).told((1, 0)) == {"gain": [3.0, 2.0], "offset": 0.0}
    one = Polynomial(((1.0, 2.0, 3.0),), (0.5,))
    assert one.told((0,)) == {"polynomial": [1.0, 2.0, 3.0], "polynomial_origin": 0.5}
    two = Polynomial(((1.0, 2.0), (3.0, 4.0)), (5.0, 6.0))
    assert two.told((1, 0)) == {"polynomial": [[3.0, 4.0], [1.0, 2.0]], "polynomial_origin": [6.0, 5.0]}
    assert two.told((1,)) == {"polynomial": [3.0, 4.0], "polynomial_origin": 6.0}

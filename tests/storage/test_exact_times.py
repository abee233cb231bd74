"""Asking for the time that the API gave for a sample gives that sample, a million times over."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from storage.selection import RegularAxis, SliceQuery, resolve
from storage.units import decimal, hertz, seconds

N_SAMPLES = 10 * 3600 * 50_000
"""Ten hours at the highest rate."""

RATES_HZ = (30000.0, 50000.00000000001, 24414.0625)
T_STARTS = ((0.0, "s"), (12.5, "s"), (-3.7, "s"), (1.6e9, "s"), (0.1, "ms"), (-3.7, "ms"), (1.6e12, "ms"), (0.0, "us"))
PER_CASE = 1_000_000 // (len(RATES_HZ) * len(T_STARTS)) + 1


def axis_of(rate_hz, t_start, unit):
    return RegularAxis(decimal(t_start), decimal(rate_hz) * hertz("Hz") * seconds(unit), N_SAMPLES, unit)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("t_start", "unit"), T_STARTS)
def test_the_time_given_for_a_sample_gives_that_sample(rate_hz, t_start, unit):
    axis = axis_of(rate_hz, t_start, unit)
    picked = random.Random(f"{rate_hz} {t_start} {unit}")
    wrong = []
    for sample in (picked.randrange(N_SAMPLES) for _ in range(PER_CASE)):
        given = Fraction(repr(float(axis.time_of(sample))))
        if axis.at_or_after(given) != sample or axis.at_or_before(given) != sample:
            wrong.append(sample)
    assert not wrong


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("t_start", "unit"), T_STARTS)
def test_the_time_given_for_a_sample_is_the_nearest_float_to_its_exact_time(rate_hz, t_start, unit):
    axis = axis_of(rate_hz, t_start, unit)
    per_unit = {"s": 1, "ms": 1000, "us": 1_000_000}[unit]
    for sample in (0, 1, 2, 1000, 12345678, N_SAMPLES - 1):
        exact = Fraction(Decimal(str(t_start))) + Fraction(sample * per_unit) / Fraction(Decimal(str(rate_hz)))
        assert axis.time_of(sample) == exact


def test_a_window_between_two_given_times_is_all_samples_between_them():
    axis = axis_of(30000.0, 12.5, "s")
    picked = random.Random(5)
    for _ in range(2000):
        start = picked.randrange(N_SAMPLES - 5000)
        stop = start + picked.randrange(1, 5000)
        given = [Fraction(repr(float(axis.time_of(sample)))) for sample in (start, stop - 1)]
        selection = resolve(SliceQuery(start_time=given[0], end_time=given[1]), axis)
        assert (selection.start, selection.stop) == (start, stop)

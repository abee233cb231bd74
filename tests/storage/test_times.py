"""Searching stored times finds what numpy.searchsorted finds in all of them, whatever the blocks."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import count

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.answer import StoredArray
from storage.calibration import Calibration, Polynomial
from storage.hdf5 import sidecar
from storage.objectstore import ObjectStore
from storage.selection import Selection, SliceQuery, resolve
from storage.times import IrregularAxis, TimeBlocks
from storage.timings import Timings
from tests.storage.stored import reader_of, stored_dataset

DTYPES = ["<f8", ">f8", "<f4", ">f4", "<i4", ">i8", "<u4", ">u8", "<i2"]
PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000}
number = count()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ObjectStore(f"file://{tmp_path_factory.mktemp('store')}")


def axis_of(store, times, *, chunk=None, rows_per_block=8, run=None, unit="s", stored_in="s", calibration=None):
    """The axis of a run of rows of stored times."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("times", data=times, chunks=chunk and (chunk,), maxshape=(None,) if chunk else None)
    key = f"times{next(number)}.h5"
    store.put(key, memory.getvalue())
    dataset = stored_dataset(store, key, memory.getvalue(), "times")
    rows = chunk or rows_per_block
    blocks = np.array([(part[0], part[-1]) for part in np.split(times, range(rows, len(times), rows)) if len(part)])
    beside, offsets = sidecar.dump({"blocks": blocks.astype(times.dtype).reshape(-1, 2)})
    beside_key = sidecar.new_key()
    store.put(beside_key, beside)
    first, stop = run or (0, len(times))
    return IrregularAxis(
        reader=reader_of(store),
        times=StoredArray(dataset, first, stop - first, calibration=calibration),
        blocks=TimeBlocks(beside_key, offsets.get("blocks", 0), len(blocks), rows),
        unit=unit,
        per_unit=Fraction(PER_SECOND[stored_in], PER_SECOND[unit]),
        timings=Timings(),
    )


def given_time(axis, index):
    """The time of a sample as the API writes it, read again."""
    return Fraction(repr(float(axis.time_of(index))))


def searched(times, value):
    """What numpy finds, at or after and at or before."""
    return int(np.searchsorted(times, value, "left")), int(np.searchsorted(times, value, "right")) - 1


@st.composite
def searches(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    steps = draw(st.lists(st.sampled_from([0, 0, 1, 2, 5]), max_size=40))
    starts = draw(st.integers(-20 if dtype.kind in "if" else 0, 20))
    times = (np.cumsum([starts, *steps])[: len(steps)]).astype(dtype)
    first = draw(st.integers(0, len(times)))
    stop = draw(st.integers(first, len(times)))
    options = {
        "chunk": draw(st.none() | st.integers(1, 12)),
        "rows_per_block": draw(st.integers(1, 12)),
        "run": (first, stop),
        "unit": draw(st.sampled_from(sorted(PER_SECOND))),
        "stored_in": draw(st.sampled_from(sorted(PER_SECOND))),
    }
    halves = draw(st.lists(st.integers(-50, 350), min_size=1, max_size=6))
    return times, options, [Fraction(half, 2) for half in halves]


@given(searches(), st.booleans())
@settings(max_examples=250, deadline=None)
def test_finds_what_searchsorted_finds(store, case, together):
    times, options, values = case
    axis = axis_of(store, times, **options)
    run = times[slice(*options["run"])].astype("f8")  # exact: these are small whole numbers
    asked = [value / axis.per_unit for value in values]
    if together:
        axis.expect([(time, side) for time in asked for side in ("left", "right")])
    for time, value in zip(asked, values, strict=True):
        assert (axis.at_or_after(time), axis.at_or_before(time)) == searched(run, float(value))
    for index in range(len(run)):
        assert axis.time_of(index) == Fraction(run[index]) / axis.per_unit


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("stored_in", ["s", "ms", "us"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i8"])
def test_the_time_given_for_a_sample_gives_that_sample(store, dtype, stored_in, unit):
    random = np.random.default_rng(7)
    times = np.sort(random.uniform(0, 4000, 3000) * PER_SECOND[stored_in]).astype(dtype)
    times = np.unique(times)
    axis = axis_of(store, times, unit=unit, stored_in=stored_in, rows_per_block=512)
    for index in range(len(times)):
        time = given_time(axis, index)
        assert (axis.at_or_after(time), axis.at_or_before(time)) == (index, index)


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_times_since_1970_find_themselves(store, unit):
    times = np.unique(1.6e9 + np.random.default_rng(2).uniform(0, 100, 2000))
    axis = axis_of(store, times, unit=unit, rows_per_block=256)
    for index in range(len(times)):
        time = given_time(axis, index)
        assert axis.at_or_after(time) <= index <= axis.at_or_before(time)


@pytest.mark.parametrize("chunk", [None, 64])
@pytest.mark.parametrize("stored", ["<i4", ">i8"])
@pytest.mark.parametrize(
    "calibration",
    [Calibration((1 / 30_000,), 0.25), Polynomial(((0.25, 1 / 30_000),)), Polynomial(((0.25, 3e-5, 1e-12),), (-1.0,))],
)
def test_calibrated_times_are_searched_as_quantities(store, chunk, stored, calibration):
    ticks = np.sort(np.random.default_rng(3).integers(0, 30_000 * 60, 1000)).astype(stored)
    axis = axis_of(store, ticks, chunk=chunk, calibration=calibration, run=(100, 900), unit="ms")
    seconds = calibration.apply(ticks[100:900], None)
    for index in (0, 1, 57, 400, 798, 799):
        time = given_time(axis, index)
        assert (axis.at_or_after(time), axis.at_or_before(time)) == searched(seconds, seconds[index])
        assert float(axis.time_of(index)) == pytest.approx(seconds[index] * 1000, rel=1e-15)
    for asked_ms in (-5, 250, 260.5, 31_000, 70_000):
        between = searched(seconds, asked_ms / 1000)
        assert (axis.at_or_after(Fraction(asked_ms)), axis.at_or_before(Fraction(asked_ms))) == between


@pytest.mark.parametrize("dtype", ["<i2", "<u4", ">i8", "<u8", "<f4", "<f8"])
def test_times_far_outside_are_before_or_after_all(store, dtype):
    axis = axis_of(store, np.array([3, 5, 5, 9], dtype), unit="s", stored_in="us")
    for far in (Fraction(10) ** 12, Fraction(10) ** 300):
        assert (axis.at_or_after(far), axis.at_or_before(far)) == (4, 3)
        assert (axis.at_or_after(-far), axis.at_or_before(-far)) == (0, -1)


def test_the_largest_integers_are_compared_exactly(store):
    times = np.array([2**63 - 3, 2**63 - 2, 2**63 - 1], "<i8")
    axis = axis_of(store, times, stored_in="s", rows_per_block=1)
    for index, time in enumerate(times.tolist()):
        assert (axis.at_or_after(Fraction(time)), axis.at_or_before(Fraction(time))) == (index, index)
    assert axis.at_or_after(Fraction(2 * (2**63) - 5, 2)) == 1


def test_a_window_between_whole_numbers_is_silent(store):
    axis = axis_of(store, np.array([3, 5, 5, 9], "<i4"))
    window = SliceQuery(start_time=Fraction("5.2"), end_time=Fraction("5.8"))
    assert resolve(window, axis) == Selection(3, 3)


@pytest.mark.parametrize("chunk", [None, 3])
def test_no_times_at_all(store, chunk):
    axis = axis_of(store, np.array([], "<f8"), chunk=chunk)
    axis.expect([(Fraction(1), "left")])
    assert (axis.at_or_after(Fraction(1)), axis.at_or_before(Fraction(1))) == (0, -1)
    assert axis.describe() == "the array is empty"


def test_an_axis_says_what_it_holds(store):
    axis = axis_of(store, np.array([0.5, 1.25]), unit="ms")
    assert axis.describe() == "the array holds samples 0 to 1, at 500 to 1250 ms"

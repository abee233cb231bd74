"""Which runs of times are sorted, and what bounds each block of them."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.calibration import Calibration, Polynomial
from storage.hdf5.file import describe
from storage.ingest import sorted_times
from storage.ingest.found import Found
from storage.times import BLOCK_ROWS

unsorted = st.lists(st.one_of(st.integers(0, 9), st.just(np.nan), st.just(np.inf)), max_size=60)
places = st.integers(0, 60)
nearly_sorted = st.builds(  # so that a fall may be the only one, and at the edge of a window
    lambda length, fall: [number - 5 * (number == fall) for number in range(length)], places, places
)
values = st.one_of(unsorted, nearly_sorted)


@settings(max_examples=200, deadline=None)
@given(values=values, cuts=st.lists(st.integers(0, 60), max_size=4), chunk=st.sampled_from([None, 1, 4, 7]))
def test_faults_and_blocks_are_those_of_numpy_whatever_the_window(values, cuts, chunk):
    times = np.array(values, float)
    ends = np.array([*sorted(min(cut, len(times)) for cut in cuts), len(times)])
    with h5py.File.in_memory() as file:
        dataset = file.create_dataset("t", data=times, chunks=chunk and (chunk,), maxshape=(None,) if chunk else None)
        whole, sorted_times.WINDOW_ROWS = sorted_times.WINDOW_ROWS, 10
        try:
            blocks, faults = sorted_times.check(dataset, describe(dataset), ends)
        finally:
            sorted_times.WINDOW_ROWS = whole
    rows = chunk or sorted_times.BLOCK_ROWS
    parts = [times[start : start + rows] for start in range(0, len(times), rows)]
    np.testing.assert_array_equal(blocks, np.array([(part[0], part[-1]) for part in parts]).reshape(-1, 2))
    for start, stop, fault in zip([0, *ends[:-1]], ends, faults, strict=True):
        run = times[start:stop]
        if not np.isfinite(run).all():
            odd = np.flatnonzero(~np.isfinite(run))
            assert fault == f"{len(odd)} of its times are not numbers; the first is number {odd[0]}, counted from 0"
        elif (np.diff(run) < 0).any():
            place = np.flatnonzero(np.diff(run) < 0)[0] + 1
            assert fault.endswith(f"not sorted: number {place}, counted from 0, is earlier than number {place - 1}")
        else:
            assert fault is None


@pytest.mark.parametrize(
    ("calibration", "numbers", "fault"),
    [
        (Calibration((0.1,), -3.0), [1, 2, 5], None),
        (Calibration((-0.1,)), [1, 2, 5], "its times are not sorted"),
        (Calibration((-0.1,)), [5, 2, 1], None),
        (Polynomial(((0.0, 0.0, 1.0),)), [1, 2, 5], None),
        (Polynomial(((0.0, 0.0, 1.0),), (3.0,)), [1, 2, 5], "its times are not sorted"),
        (Polynomial(((0.0, 1.0, 1e308),)), [1, 2, 5], "2 of its times are not numbers"),
    ],
)
def test_calibrated_times_are_looked_at_as_quantities(calibration, numbers, fault):
    with h5py.File.in_memory() as file:
        file["t"] = np.array(numbers)
        found = Found()
        path, faults = found.describe_times(file["t"], calibration=calibration)
        assert [None if one is None else re.split("[:;]", one)[0] for one in faults] == [fault]
        assert found.blocks[path].tolist() == [[numbers[0], numbers[-1]]]
        assert (found.describe_times(file["t"])[1] == [None]) == (numbers[0] == 1)


@pytest.mark.parametrize("length", [0, 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS - 1])
def test_blocks_of_times_that_no_file_has_are_those_of_a_contiguous_dataset(length):
    times = np.sort(np.random.default_rng(1).normal(size=length))
    with h5py.File.in_memory() as file:
        dataset = file.create_dataset("t", data=times)
        blocks, _ = sorted_times.check(dataset, describe(dataset), np.array([length]))
    np.testing.assert_array_equal(sorted_times.blocks_of(times), blocks)

"""A chunk that stays shuffled gives what one that is not gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.hdf5.chunk import decoded
from storage.hdf5.filters import SHUFFLE, Filter

DTYPES = ["<i2", ">i2", "<f4", ">f4", "<u8", ">f8", "<f2", "|u1"]


def shuffled(samples):
    """The bytes as HDF5's own filter puts them."""
    planes = np.frombuffer(samples.tobytes(), np.uint8).reshape(samples.size, samples.itemsize)
    return planes.T.tobytes()


@given(st.sampled_from(DTYPES), st.lists(st.integers(1, 7), min_size=1, max_size=3), st.data())
def test_any_part_is_that_part(dtype, shape, data):
    samples = np.arange(np.prod(shape)).astype(dtype).reshape(shape) * 3
    form = {"dtype": samples.dtype, "shape": samples.shape}
    chunk = decoded(shuffled(samples), [Filter(SHUFFLE, (samples.itemsize,))], filter_mask=0, **form)
    bounds = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    place = tuple(slice(*pair) for pair in bounds)
    part = chunk.samples(place)
    np.testing.assert_array_equal(part, samples[place])
    assert part.dtype == samples.dtype.newbyteorder("<")
    target = np.zeros([2 * n for n in samples[place].shape], part.dtype)
    into = tuple(slice(n, 2 * n) for n in samples[place].shape)
    chunk.copy(place, target, into)
    np.testing.assert_array_equal(target[into], samples[place])
    assert np.count_nonzero(target) == np.count_nonzero(samples[place])


@pytest.mark.parametrize("mask", [1, 3, 2**32 - 1])
def test_a_chunk_that_was_not_shuffled_is_taken_as_it_is(mask):
    samples = np.arange(40, dtype="<i4")
    filters = [Filter(SHUFFLE, (4,)), Filter(SHUFFLE, (4,))]
    stored = samples.tobytes() if mask != 1 else shuffled(samples)
    chunk = decoded(stored, filters, filter_mask=mask, dtype=samples.dtype, shape=samples.shape)
    np.testing.assert_array_equal(chunk.samples((slice(None),)), samples)


def test_a_shuffle_of_another_size_is_undone_as_it_says():
    samples = np.arange(40, dtype="<i4")
    stored = shuffled(samples.view("<i2"))
    chunk = decoded(stored, [Filter(SHUFFLE, (2,))], filter_mask=0, dtype=samples.dtype, shape=samples.shape)
    np.testing.assert_array_equal(chunk.samples((slice(None),)), samples)

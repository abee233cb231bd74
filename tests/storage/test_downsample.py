"""Bins are those of the contract, and points are what numpy or exact integers make of each bin."""

from __future__ import annotations

import warnings
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from storage.downsample import Bins, Extrema, Sums, entry_sizes, finest_entry, interleave, merged, part_of


def contract_edges(start, stop, bins, n_samples, n_channels):
    """The formula of the contract, in exact fractions."""
    finest = 256 if n_channels > 32 else 64
    sizes = [finest * 4**k for k in range(40) if finest * 4**k <= Fraction(n_samples, 8)]
    r = Fraction(stop - start, bins)
    g = max([size for size in sizes if size <= r / 8], default=1)
    inner = [g * floor((start + k * r) / g + Fraction(1, 2)) for k in range(1, bins)]
    return [start, *inner, stop]


def edges_of(start, stop, count, n_samples, n_channels=1):
    bins = Bins.of(start, stop, count, entry_sizes(n_samples, finest_entry(n_channels)))
    return bins.edges(0, count).tolist()


@st.composite
def selections(draw, longest=5000):
    n_samples = draw(st.integers(1, longest))
    start = draw(st.integers(0, n_samples - 1))
    stop = draw(st.integers(start + 1, n_samples))
    return n_samples, start, stop, draw(st.integers(1, min(stop - start, 200)))


@given(selections(), st.sampled_from([1, 32, 33]))
@settings(max_examples=500, deadline=None)
def test_edges_are_those_of_the_contract(case, n_channels):
    n_samples, start, stop, count = case
    assert edges_of(start, stop, count, n_samples, n_channels) == contract_edges(
        start, stop, count, n_samples, n_channels
    )


@given(selections(longest=10**12))
@settings(max_examples=300, deadline=None)
def test_edges_of_very_long_arrays_are_exact(case):
    n_samples, start, stop, count = case
    assert edges_of(start, stop, count, n_samples) == contract_edges(start, stop, count, n_samples, 1)


@given(selections())
def test_no_bin_is_empty_and_none_is_far_from_the_even_grid(case):
    n_samples, start, stop, count = case
    edges = edges_of(start, stop, count, n_samples)
    assert all(low < high for low, high in zip(edges, edges[1:], strict=False))
    r = Fraction(stop - start, count)
    allowed = max(r / 16, Fraction(1, 2))
    assert all(abs(edge - (start + k * r)) <= allowed for k, edge in enumerate(edges))


@given(selections(), st.integers(1, 3000))
def test_groups_are_all_bins_in_order(case, max_bins):
    n_samples, start, stop, count = case
    bins = Bins.of(start, stop, count, entry_sizes(n_samples, 64))
    groups = [edges.tolist() for edges in bins.groups(max_bins)]
    assert all(low[-1] == high[0] for low, high in zip(groups, groups[1:], strict=False))
    joined = [edge for edges in groups for edge in edges[:-1]] + [groups[-1][-1]]
    assert joined == bins.edges(0, count).tolist()


@pytest.mark.parametrize(
    ("n_samples", "n_channels", "expected"),
    [
        (511, 1, []),
        (512, 1, [64]),
        (512, 33, []),
        (2048, 32, [64, 256]),
        (2048, 33, [256]),
        (108_000_000, 1, [64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304]),
    ],
)
def test_levels_are_all_up_to_an_eighth_of_the_array(n_samples, n_channels, expected):
    assert entry_sizes(n_samples, finest_entry(n_channels)) == expected


@pytest.mark.parametrize("count", [0, 6])
def test_more_bins_than_samples_are_refused(count):
    with pytest.raises(ValueError, match="bins of 5 samples"):
        Bins.of(0, 5, count, [])


# Below the largest, so that no sum of a few overflows on one way of adding and not on another.
FLOATS = st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf])


def arrays(dtype):
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, max_side=40)
    return hnp.arrays(dtype, shapes, elements=FLOATS if dtype == "f8" else None)


def cut(samples, data):
    """Some edges over all of the samples."""
    inner = data.draw(st.sets(st.integers(1, len(samples) - 1)) if len(samples) > 1 else st.just(set()))
    return np.array([0, *sorted(inner), len(samples)])


def by_bin(function, samples, edges):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of bins of only NaN
        return np.array([function(samples[low:high]) for low, high in zip(edges, edges[1:], strict=False)])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_points_of_floats_are_numpys_with_nan_left_out(dtype, data):
    samples = data.draw(arrays(dtype))
    edges = cut(samples, data)
    extrema = Extrema.of(samples, edges)
    np.testing.assert_array_equal(extrema.minimum, by_bin(lambda part: np.nanmin(part, axis=0), samples, edges))
    np.testing.assert_array_equal(extrema.maximum, by_bin(lambda part: np.nanmax(part, axis=0), samples, edges))
    assert extrema.minimum.dtype == samples.dtype
    means = by_bin(lambda part: np.nanmean(part.astype("f8"), axis=0), samples, edges)
    scale = np.nanmax(np.abs(samples[np.isfinite(samples)]), initial=0).astype("f8")
    np.testing.assert_allclose(Sums.of(samples, edges).mean(), means, rtol=1e-12, atol=float(scale) * 1e-12)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_points_of_integers_are_exact(dtype, data):
    samples = data.draw(arrays(dtype))
    edges = cut(samples, data)
    extrema = Extrema.of(samples, edges)
    np.testing.assert_array_equal(extrema.minimum, by_bin(lambda part: part.min(axis=0), samples, edges))
    np.testing.assert_array_equal(extrema.maximum, by_bin(lambda part: part.max(axis=0), samples, edges))
    assert extrema.minimum.dtype == samples.dtype
    exact = by_bin(exact_mean, samples, edges)
    np.testing.assert_array_equal(Sums.of(samples, edges).mean(), exact.astype("f8"))


def exact_mean(part):
    """The mean of each channel as an exact fraction, rounded once."""
    flat = part.reshape(len(part), -1)
    means = [float(Fraction(sum(map(int, channel)), len(part))) for channel in flat.T.tolist()]
    return np.array(means).reshape(part.shape[1:])


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("i8", [2**63 - 1] * 7),
        ("i8", [-(2**63)] * 7),
        ("i8", [2**63 - 1, -(2**63), 2**63 - 1]),
        ("u8", [2**64 - 1] * 7),
        ("u8", [2**64 - 1, 0, 1]),
        ("i4", [-(2**31)] * 5),
        ("u4", [2**32 - 1] * 5),
        ("?", [True, True, False]),
    ],
)
def test_extremes_of_each_integer_are_averaged_exactly(dtype, values):
    samples = np.array(values, dtype)
    edges = np.array([0, len(values)])
    expected = float(Fraction(sum(values), len(values)))
    assert Sums.of(samples, edges).mean().tolist() == [expected]
    halves = [Sums.of(samples[:2], np.array([0, 2])), Sums.of(samples[2:], np.array([0, len(values) - 2]))]
    assert merged(halves).mean().tolist() == [expected]


def test_long_runs_of_large_integers_do_not_overflow():
    samples = np.full(1 << 20, 2**63 - 1, "i8")
    assert Sums.of(samples, np.array([0, len(samples)])).mean().tolist() == [float(2**63 - 1)]


@pytest.mark.parametrize(
    ("values", "mean", "low", "high"),
    [
        ([np.inf, 1.0], np.inf, 1.0, np.inf),
        ([np.inf, -np.inf], np.nan, -np.inf, np.inf),
        ([np.nan, np.nan], np.nan, np.nan, np.nan),
        ([np.nan, 3.0], 3.0, 3.0, 3.0),
        ([np.nan, -np.inf], -np.inf, -np.inf, -np.inf),
    ],
)
def test_nan_is_left_out_and_infinities_are_not(values, mean, low, high):
    samples, edges = np.array(values), np.array([0, 2])
    extrema = Extrema.of(samples, edges)
    np.testing.assert_array_equal(Sums.of(samples, edges).mean(), [mean])
    np.testing.assert_array_equal((extrema.minimum, extrema.maximum), ([low], [high]))


def test_float16_sums_do_not_overflow():
    samples = np.full(1000, 60000, "f2")
    assert Sums.of(samples, np.array([0, 1000])).mean().tolist() == [60000.0]


@pytest.mark.parametrize("method", ["mean", "extrema"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i8", "u8", "?"])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_parts_of_a_bin_merge_to_the_whole(method, dtype, data):
    samples = data.draw(arrays(dtype))
    whole = part_of(method, samples, np.array([0, len(samples)]))
    pieces = cut(samples, data).tolist()
    parts = [
        part_of(method, samples[low:high], np.array([0, high - low]))
        for low, high in zip(pieces, pieces[1:], strict=False)
    ]
    together = merged(parts)
    if method == "extrema":
        np.testing.assert_array_equal(together.minimum, whole.minimum)
        np.testing.assert_array_equal(together.maximum, whole.maximum)
    else:
        scale = float(np.nanmax(np.abs(samples.astype("f8"))[np.isfinite(samples)], initial=0))
        np.testing.assert_allclose(together.mean(), whole.mean(), rtol=1e-12, atol=scale * 1e-12)


def test_extrema_stand_as_pairs_of_minimum_and_maximum():
    low, high = np.array([[1, 2], [3, 4]], "i2"), np.array([[5, 6], [7, 8]], "i2")
    points = interleave(low, high)
    assert points.tolist() == [[1, 2], [5, 6], [3, 4], [7, 8]]
    assert points.dtype == np.dtype("i2")

"""Points by overviews are those by samples: extrema to the bit, means of integers too, those of floats nearly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.answer import ReadRequest, prepare
from storage.calibration import Calibration, Polynomial
from storage.downsample import Bins, entry_sizes, finest_entry
from storage.objectstore import ObjectStore
from storage.overviews import build as building
from storage.overviews import zoom as zooming
from storage.overviews.array_form import is_built_in
from storage.selection import Selection
from storage.timings import Timings
from tests.storage.overviews.made import stored, with_overview
from tests.storage.stored import assert_same_bits, read, reader_of

DTYPES = ["<i1", ">i2", "<u2", "<i4", "<u4", ">i8", "<u8", "?", "<f2", "<f4", ">f8"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ObjectStore(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def reader(store):
    return reader_of(store)


def samples_of(random, dtype, shape, kind):
    """Samples with what makes reducing hard: extremes, gaps, infinities of both signs, constants, both zeros."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return random.random(shape) < 0.5
    if dtype.kind in "iu":
        edges = np.iinfo(dtype)
        if kind == "constant":
            return np.full(shape, random.choice([edges.min, edges.max]), dtype)
        return random.integers(edges.min, edges.max, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)
    scale = {2: 1e3, 4: 1e30, 8: 1e250}[dtype.itemsize] if kind == "large" else 1.0
    found = (random.standard_normal(shape) * scale).astype(dtype)
    if kind == "constant":
        found[...] = 1 + random.random()
    elif kind == "zeros":
        found[...] = random.choice([0.0, -0.0], shape)
    elif kind == "odd":
        for value in (np.nan, np.inf, -np.inf):
            for _ in range(random.integers(0, 4)):
                first = random.integers(0, shape[0])
                length = int(random.choice([1, 7, 300, 5000]))
                channel = () if len(shape) == 1 else (random.integers(0, shape[1]),)
                found[(slice(first, first + length), *channel)] = value
    return found


@st.composite
def arrays(draw):
    """Seed, dtype, shape, kind of samples, chunks, calibration."""
    across = draw(st.sampled_from([(), (), (1,), (3,), (9,), (17,), (33,), (40,), (400,)]))
    most = {(): 120_000, (400,): 9_000}.get(across, 40_000)
    n_samples = draw(st.sampled_from([1, 511, 512, 513, 2047, 2048, 2049]) | st.integers(1, most))
    chunk = draw(st.none() | st.integers(1, n_samples) | st.just(4096))
    chunks = None
    if chunk is not None:
        chunks = (min(max(chunk, n_samples // 200 + 1), n_samples), *(min(draw(st.integers(1, 64)), n) for n in across))
        if across == (400,):
            chunks = (max(chunks[0], n_samples // 4 + 1) if n_samples > 4 else n_samples, max(chunks[1], 50))
    dtype = draw(st.sampled_from(DTYPES))
    kind = draw(st.sampled_from(["plain", "large", "constant", "zeros", "odd", "odd"]))
    gains = draw(st.sampled_from([None, None, "one", "each", "bent"]))
    return draw(st.integers(0, 2**32)), dtype, (n_samples, *across), kind, chunks, gains


def calibration_of(gains, shape):
    n_channels = shape[1] if len(shape) == 2 else 1
    if gains == "one":
        return Calibration((-2.5,), 1.0)
    if gains == "each":
        return Calibration(tuple((-1.0) ** k * (k + 1) for k in range(n_channels)), 0.0)
    return Polynomial(((0.5, 0.25, 1e-6),)) if gains == "bent" else None


@given(case=arrays(), data=st.data())
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_points_by_overview_are_those_by_samples(store, reader, case, data):
    seed, dtype, shape, kind, chunks, gains = case
    random = np.random.default_rng(seed)
    samples = samples_of(random, dtype, shape, kind)
    calibration = None if dtype == "?" else calibration_of(gains, shape)
    with np.errstate(all="ignore"):
        array = stored(store, samples, chunks=chunks, calibration=calibration)
        strip, window = data.draw(st.sampled_from([(1 << 27, 8 << 20), (1 << 14, 1 << 12), (1 << 18, 1 << 15)]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(building, "STRIP_NBYTES", strip)
            patch.setattr(building, "WINDOW_NBYTES", window)
            patch.setattr(building, "WIDE_NBYTES", data.draw(st.sampled_from([1, 1 << 25])))
            zoomed, _, built = with_overview(store, reader, array)
        _assert_extent(built, array, samples)
        for _ in range(6):
            _assert_same(reader, zoomed, array, samples, data.draw)


@given(case=st.tuples(st.integers(0, 2**32), st.sampled_from(DTYPES), st.integers(10**6, 10**7)), data=st.data())
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_long_ones_too(store, reader, case, data):
    seed, dtype, n_samples = case
    samples = samples_of(np.random.default_rng(seed), dtype, (n_samples,), data.draw(st.sampled_from(["plain", "odd"])))
    array = stored(store, samples)
    zoomed, _, built = with_overview(store, reader, array)
    _assert_extent(built, array, samples)
    for _ in range(4):
        _assert_same(reader, zoomed, array, samples, data.draw)


def _assert_extent(built, array, samples):
    """The extent is that of all samples, for each channel."""
    flat = samples.reshape(len(samples), -1).astype(samples.dtype.newbyteorder("="))
    if is_built_in(array):
        flat = array.calibration.apply(flat, None).astype(array.dtype)
    np.testing.assert_array_equal(built.extent.minimum, np.fmin.reduce(flat, axis=0))
    np.testing.assert_array_equal(built.extent.maximum, np.fmax.reduce(flat, axis=0))


def _assert_same(reader, zoomed, array, samples, draw):
    n_samples = len(samples)
    start = draw(st.integers(0, n_samples // 3) | st.integers(0, n_samples - 1))
    stop = draw(st.integers(start + 1, n_samples) | st.integers((start + n_samples + 1) // 2, n_samples))
    if stop == start:
        return
    method = draw(st.sampled_from(["mean", "extrema"]))
    paired = 2 if method == "extrema" else 1
    widest = max(1, (stop - start) // (8 * finest_entry(array.n_channels) * paired))
    points = paired * draw(st.integers(1, widest) | st.integers(1, widest) | st.integers(1, 60))
    if points >= stop - start:
        return
    channels = None
    if samples.ndim == 2 and draw(st.booleans()):
        n = samples.shape[1]
        channels = tuple(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=12, unique=True)))
    scaled = draw(st.booleans())
    more = {"points": points, "method": method, "channels": channels, "scaled": scaled}
    expected = read(reader, array, start, stop, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zooming, "GROUP_NBYTES", draw(st.sampled_from([1, 1 << 12, 8 << 20])))
        got = read(reader, zoomed, start, stop, **more)
    is_bent = scaled and is_built_in(array)
    if method == "extrema" or (samples.dtype.kind in "biu" and not is_bent):
        assert_same_bits(got, expected)
        return
    _assert_near(got, expected, array, samples, start, stop, points, channels, scaled)


def _assert_near(got, expected, array, samples, start, stop, points, channels, scaled):
    """Means are within 4 ulp of the largest number in their bin, and odd where the samples make them so."""
    flat = samples.reshape(len(samples), -1).astype("f8")
    flat = flat if channels is None else flat[:, list(channels)]
    if scaled and array.calibration is not None:
        flat = array.calibration.apply(flat, channels)
    sizes = entry_sizes(len(samples), finest_entry(array.n_channels))
    edges = Bins.of(start, stop, points, sizes).edges(0, points)
    got, expected = got.reshape(points, -1), expected.reshape(points, -1)
    for low, high, one, other in zip(edges[:-1], edges[1:], got, expected, strict=True):
        largest = np.fmax.reduce(np.abs(flat[low:high]), axis=0).astype(got.dtype)
        np.testing.assert_array_equal(np.isfinite(one), np.isfinite(other))
        odd = ~np.isfinite(one)
        np.testing.assert_array_equal(one[odd], other[odd])
        bound = 4 * np.spacing(largest[~odd])
        assert (np.abs(one[~odd] - other[~odd]) <= bound).all()


def test_overviews_are_used_wherever_bins_are_wide_enough(store, reader):
    samples = np.arange(100_000, dtype="<f4")
    zoomed, _, _ = with_overview(store, reader, stored(store, samples))
    for points, is_used in ((100, True), (194, True), (196, False), (50_000, False)):
        answer = prepare(zoomed, ReadRequest(Selection(7, 99_999), points, "mean"), Timings())
        assert (reader.zoom(answer) is not None) == is_used
    lost = replace(zoomed, calibration=Polynomial(((0.0, 0.0, 1.0),)))
    answer = prepare(lost, ReadRequest(Selection(7, 99_999), 100, "mean"), Timings())
    assert reader.zoom(answer) is None  # it is of another calibration


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_of_sorted_times_the_first_of_each_bin(store, reader, data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n_samples = data.draw(st.integers(512, 60_000))
    dtype = data.draw(st.sampled_from(["<f8", ">f4", "<i8", "<u4"]))
    times = np.sort(random.integers(0, data.draw(st.sampled_from([10, 10**9])), n_samples)).astype(dtype)
    calibration = data.draw(st.sampled_from([None, Calibration((0.001,), -5.0), Calibration((-2.0,))]))
    if calibration is not None and calibration.falls(None).all():
        times = times[::-1]  # it is the times that never fall, not the numbers that are stored
    array = stored(store, times, chunks=data.draw(st.sampled_from([None, (500,)])), calibration=calibration)
    zoomed, _, built = with_overview(store, reader, array, has_sums=False)
    assert {name for name, _ in zoomed.overview.offsets} == {"extrema"} and built.n_done == n_samples
    for _ in range(4):
        start = data.draw(st.integers(0, n_samples - 512))
        stop = data.draw(st.integers(start + 512, n_samples))
        points = data.draw(st.integers(1, max(1, (stop - start) // 512)))
        doubled = data.draw(st.booleans())
        more = {"points": points, "method": "stride", "is_sorted": True, "doubled": doubled}
        if doubled:
            more["points"] = 2 * points
        answer = prepare(zoomed, ReadRequest(Selection(start, stop), **more), Timings())
        assert reader.zoom(answer) is not None
        assert_same_bits(read(reader, zoomed, start, stop, **more), read(reader, array, start, stop, **more))


@pytest.mark.parametrize("pattern", [[0x80000000, 0, 0x80000000], [0x7FC00001, 0xFFC00002, 0x7FC00003]])
def test_zeros_have_one_sign_and_nan_one_form_however_samples_are_read(store, reader, pattern):
    samples = np.tile(np.array(pattern, "<u4"), 20_000).view("<f4")
    array = stored(store, samples)
    zoomed, _, _ = with_overview(store, reader, array)
    for one in (array, zoomed):
        points = read(reader, one, 5, 59_000, points=100, method="extrema")
        assert points.tobytes() == np.full(100, np.nan if np.isnan(samples[0]) else 0.0, "<f4").tobytes()

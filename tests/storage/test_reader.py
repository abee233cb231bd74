"""Points of stored arrays are what numpy makes of the whole array, in however many windows they were read."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import reader as reading
from storage.calibration import Calibration, Polynomial
from storage.downsample import Bins, entry_sizes, finest_entry
from storage.objectstore import ObjectStore
from tests.storage.stored import assert_same_bits, read, reader_of, stored_array


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ObjectStore(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(params=[64, 4096, 8 << 20], ids="windows of {} bytes".format)
def window_nbytes(request, monkeypatch):
    monkeypatch.setattr(reading, "WINDOW_NBYTES", request.param)


def points_of(samples, method, start, stop, points, n_samples):
    """The answer by whole-array numpy, in float64."""
    n_bins = points // 2 if method == "extrema" else points
    n_channels = int(np.prod(samples.shape[1:]))
    edges = Bins.of(start, stop, n_bins, entry_sizes(n_samples, finest_entry(n_channels))).edges(0, n_bins)
    parts = [samples[low:high] for low, high in zip(edges[:-1], edges[1:], strict=True)]
    if method == "stride":
        return np.stack([part[0] for part in parts])
    if method == "mean":
        return np.stack([part.astype("f8").mean(axis=0) for part in parts])
    return np.stack([extreme(part, axis=0) for part in parts for extreme in (np.min, np.max)])


@st.composite
def requests(draw):
    n_samples = draw(st.integers(2, 900))
    across = draw(st.sampled_from([(), (), (3,), (5,)]))
    start = draw(st.integers(0, n_samples - 2))
    stop = draw(st.integers(start + 2, n_samples))
    method = draw(st.sampled_from(["mean", "extrema", "stride"]))
    points = draw(st.integers(1, min(40, (stop - start) // 2))) * (2 if method == "extrema" else 1)
    chunks = draw(st.none() | st.integers(1, min(64, n_samples)))
    gains = draw(st.sampled_from([None, (0.25,), (-2.0,), tuple(-1.5 + k for k in range(*(across or (1,))))]))
    channels = None
    if across and draw(st.booleans()):
        channels = tuple(draw(st.lists(st.integers(0, across[0] - 1), min_size=1, unique=True)))
    dtype = draw(st.sampled_from(["<i2", ">i4", "<f4", ">f8", "<u1"]))
    is_transposed = bool(across) and draw(st.booleans())
    return n_samples, across, start, stop, method, points, chunks, gains, channels, dtype, is_transposed


@given(case=requests())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_points_are_those_of_the_whole_array(store, window_nbytes, case):
    n_samples, across, start, stop, method, points, chunks, gains, channels, dtype, is_transposed = case
    random = np.random.default_rng(n_samples)
    samples = random.integers(0, 200, (n_samples, *across)).astype(dtype)
    chunk_shape = chunks and (chunks, *across)
    content = (
        content_of(samples.T, chunk_shape and chunk_shape[::-1]) if is_transposed else content_of(samples, chunk_shape)
    )
    store.put("points.h5", content)
    calibration = gains and Calibration(gains, 0.5)
    array = stored_array(store, "points.h5", content, calibration=calibration, is_transposed=is_transposed)
    got = read(reader_of(store), array, start, stop, points=points, method=method, channels=channels)
    quantities = samples.astype("f8") * np.array(gains) + 0.5 if gains else samples
    expected = points_of(quantities, method, start, stop, points, n_samples)
    if channels is not None:
        expected = expected[:, list(channels)]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    if method != "mean" and not gains:
        assert_same_bits(got, expected.astype(np.dtype(dtype).newbyteorder("<")))


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("chunks", [None, (7, 2)])
@pytest.mark.parametrize("channels", [None, (1,), (2, 0)])
@pytest.mark.parametrize(
    "more", [{}, {"points": 6}, {"points": 6, "method": "extrema"}, {"points": 5, "method": "stride"}]
)
def test_some_channels_of_a_dataset_are_an_array_of_their_own(store, chunks, channels, more, is_transposed):
    samples = np.random.default_rng(6).integers(-99, 99, (60, 6)).astype("<i2")
    content = content_of(samples.T, chunks and chunks[::-1]) if is_transposed else content_of(samples, chunks)
    store.put("some.h5", content)
    calibration = Calibration((2.0, -3.0, 0.5), 1.0)
    array = stored_array(
        store, "some.h5", content, columns=(2, 5), calibration=calibration, is_transposed=is_transposed
    )
    assert (array.shape, array.n_channels) == ((60, 3), 3)
    own = content_of(samples[:, 2:5])
    store.put("own.h5", own)
    alone = stored_array(store, "own.h5", own, calibration=calibration)
    answers = [read(reader_of(store), one, 3, 57, channels=channels, **more) for one in (array, alone)]
    assert_same_bits(*answers)


CURVES = {
    "a parabola": Polynomial(((1.0, -3.0, 0.5),), (4.0,)),
    "a falling line": Polynomial(((1.0, -3.0),), (4.0,)),
    "one each": Polynomial(((0.0, 1.0, 0.25), (5.0, -2.0, 0.0), (0.0, 0.0, -1e-3)), (0.0, 10.0, -3.0)),
}


@pytest.mark.parametrize("method", ["mean", "extrema", "stride"])
@pytest.mark.parametrize("channels", [None, (2, 0)])
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("points", [2, 16, 160])
def test_points_by_a_polynomial_are_made_of_quantities(store, window_nbytes, curve, channels, method, points):
    samples = np.random.default_rng(8).integers(-100, 100, (700, 3)).astype("<i4")
    content = content_of(samples, (50, 2))
    store.put("curve.h5", content)
    polynomial = CURVES[curve]
    array = stored_array(store, "curve.h5", content, calibration=polynomial)
    got = read(reader_of(store), array, 13, 690, points=points, method=method, channels=channels)
    quantities = polynomial.apply(samples, None)
    expected = points_of(quantities, method, 13, 690, points, 700)
    np.testing.assert_allclose(got, expected if channels is None else expected[:, channels], rtol=1e-12, atol=1e-9)
    if method != "mean":
        np.testing.assert_array_equal(got, expected if channels is None else expected[:, channels])
    assert_same_bits(
        read(reader_of(store), array, 13, 690, points=points, method=method, scaled=False),
        read(reader_of(store), stored_array(store, "curve.h5", content), 13, 690, points=points, method=method),
    )


def content_of(samples, chunks=None):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("signal", data=samples, chunks=chunks)
    return memory.getvalue()


@pytest.mark.parametrize("method", ["mean", "extrema"])
def test_one_very_long_bin_is_reduced_in_windows(store, window_nbytes, method):
    samples = np.random.default_rng(4).integers(-(2**31), 2**31, 5000, dtype="<i4").astype("<i8") * 2**31
    content = content_of(samples, (100,))
    store.put("long.h5", content)
    n_points = 2 if method == "extrema" else 1
    got = read(reader_of(store), stored_array(store, "long.h5", content), 3, 4990, points=n_points, method=method)
    part = samples[3:4990].tolist()
    assert got.tolist() == ([min(part), max(part)] if method == "extrema" else [sum(part) / len(part)])


@pytest.mark.parametrize(
    ("dtype", "scaled", "whole"),
    [("<i2", "<f4", "<f4"), ("<i4", "<f8", "<f8"), ("<f4", "<f8", "<f8"), ("?", "<f4", "<f4"), ("<f2", "<f8", "<f8")],
)
def test_quantities_are_rounded_once_to_the_dtype_of_the_contract(store, dtype, scaled, whole):
    samples = np.arange(100).astype(dtype)
    content = content_of(samples)
    store.put("scaled.h5", content)
    array = stored_array(store, "scaled.h5", content, calibration=Calibration((0.1,), 0.0))
    assert_same_bits(read(reader_of(store), array), (samples.astype("f8") * 0.1).astype(scaled))
    assert_same_bits(read(reader_of(store), array, scaled=False), samples)
    assert read(reader_of(store), array, points=10, method="mean").dtype == np.dtype(whole)


def test_times_beside_extrema_stand_twice(store):
    samples = np.arange(100, dtype="<f8")
    content = content_of(samples)
    store.put("times.h5", content)
    array = stored_array(store, "times.h5", content)
    got = read(reader_of(store), array, points=8, method="stride", doubled=True)
    assert got.tolist() == [0, 0, 25, 25, 50, 50, 75, 75]


def test_one_column_of_a_dataset_is_an_array_of_its_own(store):
    samples = np.arange(300, dtype="<i2").reshape(100, 3)
    content = content_of(samples, (10, 2))
    store.put("column.h5", content)
    array = stored_array(store, "column.h5", content, column=2)
    assert_same_bits(read(reader_of(store), array, 5, 95), samples[5:95, 2])


@pytest.mark.parametrize("chunks", [None, (2, 10)])
def test_one_row_of_a_dataset_of_channels_down_is_an_array_of_its_own(store, chunks):
    samples = np.arange(300, dtype="<i2").reshape(3, 100)
    content = content_of(samples, chunks)
    store.put("row.h5", content)
    array = stored_array(store, "row.h5", content, column=2, is_transposed=True)
    assert array.shape == (100,)
    assert_same_bits(read(reader_of(store), array, 5, 95), samples[2, 5:95])


@pytest.mark.parametrize(("stop", "kept"), [(1000, True), (40_000, False)])
def test_a_read_of_a_whole_recording_does_not_push_out_the_rest(store, stop, kept):
    samples = np.arange(40_000.0)
    content = content_of(samples, chunks=(1000,))
    store.put("long.h5", content)
    reader = reader_of(store, chunk_nbytes=100_000)
    array = stored_array(store, "long.h5", content)
    np.testing.assert_array_equal(read(reader, array, 0, stop), samples[:stop])
    assert bool(reader.datasets.chunk_cache.nbytes) == kept

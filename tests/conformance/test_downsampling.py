"""The contract's section on downsampling, from the query string to the points."""

from __future__ import annotations

import io
from fractions import Fraction
from math import floor

import h5py
import numpy as np
import pytest

from tests.archive import TIMES
from tests.conformance.conftest import CHANNELS, SAMPLES

N_SAMPLES = 20_000


@pytest.fixture(scope="module")
def noise():
    """Samples long enough for overview levels, some of them missing."""
    samples = np.random.default_rng(5).normal(size=N_SAMPLES).astype(np.float32)
    samples[3000:3500] = np.nan
    samples[::97] = np.nan
    return samples


@pytest.fixture(scope="module")
def noisy(archive, noise):
    """The link of the array of ``noise``."""
    return archive.add("noise", noise, chunks=(999,), compression="lzf")["signal"]["data"]


def edges_of(start, stop, bins, n_samples, entry=64):
    """Return the edges of bins as the contract writes them."""
    r = Fraction(stop - start, bins)
    sizes = []
    while entry <= Fraction(n_samples, 8):
        sizes.append(entry)
        entry *= 4
    g = max((size for size in sizes if size <= r / 8), default=1)
    inner = [g * floor((start + k * r) / g + Fraction(1, 2)) for k in range(1, bins)]
    return [start, *inner, stop]


def bins_of(samples, edges):
    return [samples[first:last] for first, last in zip(edges[:-1], edges[1:], strict=True)]


@pytest.mark.parametrize(("start", "stop"), [(0, N_SAMPLES), (17, 19_001), (2_990, 3_600)])
@pytest.mark.parametrize("points", [2, 4, 10, 100, 306])
class TestMethods:
    def points(self, archive, link, start, stop, points, method):
        found = archive.values(f"{link}?start_index={start}&end_index={stop}&downsample={points}&method={method}")
        return np.array(found, np.float32)  # JSON has the shortest digits that give the float32

    def test_mean_is_the_mean_of_each_bin_nan_left_out(self, archive, noisy, noise, start, stop, points):
        found = self.points(archive, noisy, start, stop, points, "mean")
        bins = bins_of(noise.astype(float), edges_of(start, stop, points, N_SAMPLES))
        expected = [np.nan if np.isnan(one).all() else np.nanmean(one) for one in bins]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)

    def test_extrema_are_minimum_and_maximum_of_each_of_half_as_many_bins(
        self, archive, noisy, noise, start, stop, points
    ):
        found = self.points(archive, noisy, start, stop, points, "extrema")
        bins = bins_of(noise, edges_of(start, stop, points // 2, N_SAMPLES))
        np.testing.assert_array_equal(found[0::2], [np.fmin.reduce(one) for one in bins])
        np.testing.assert_array_equal(found[1::2], [np.fmax.reduce(one) for one in bins])

    def test_stride_is_the_first_sample_of_each_bin(self, archive, noisy, noise, start, stop, points):
        found = self.points(archive, noisy, start, stop, points, "stride")
        np.testing.assert_array_equal(found, noise[edges_of(start, stop, points, N_SAMPLES)[:-1]])


def test_a_bin_of_only_nan_is_null_in_json(archive, noisy):
    assert archive.values(f"{noisy}?start_index=3000&end_index=3500&downsample=2") == [None, None]


@pytest.mark.parametrize("points", [4000, 4001, 10**12])
def test_as_many_points_as_samples_or_more_answer_the_samples_in_their_dtype(archive, signal, points):
    answer = archive.get(f"{signal['signal']['data']}?downsample={points}&format=npy")
    samples = np.load(io.BytesIO(answer.data))
    assert samples.dtype == SAMPLES.dtype
    np.testing.assert_array_equal(samples, SAMPLES)


def test_two_dimensional_signals_are_downsampled_per_channel(archive, array):
    link = f"{array['signal']['data']}?downsample=8&channels=6,1"
    expected = CHANNELS[:, [6, 1]].astype(float).reshape(8, 500, 2).mean(axis=1)
    np.testing.assert_allclose(archive.values(link), expected)


def test_one_point_is_one_bin(archive, signal):
    np.testing.assert_allclose(archive.values(signal["signal"]["data"] + "?downsample=1"), [SAMPLES.mean()], rtol=1e-6)


@pytest.mark.parametrize("method", ["mean", "extrema"])
def test_times_labels_and_waveforms_have_no_other_method_than_stride(archive, ids, method):
    fields = archive.fields(f"/electrophysiology/spiketrain/{ids['spiketrain']}?downsample=4")
    assert archive.values(fields["times"]["data"]) == TIMES[::2].tolist()
    assert len(archive.values(fields["waveforms"]["data"])) == 4
    for type_name in ("spiketrain", "eventarray", "epocharray"):
        query = f"downsample=4&method={method}"
        assert archive.error(f"/electrophysiology/{type_name}/{ids[type_name]}?{query}", 400)["details"]["method"]
    archive.error(f"{fields['waveforms']['data']}&method={method}", 400)


def test_times_and_signal_of_an_irregular_signal_share_the_bins(archive, ids):
    address = f"/electrophysiology/irsaanalogsignal/{ids['irsaanalogsignal']}"
    fields = archive.fields(f"{address}?downsample=4")
    assert fields["times"]["data"].endswith("?downsample=4&method=stride")
    assert archive.values(fields["times"]["data"]) == TIMES[::2].tolist()
    assert archive.values(fields["signal"]["data"]) == [[1, 2], [5, 6], [9, 10], [13, 14]]


def test_beside_extrema_each_bins_first_time_stands_twice(archive, ids):
    address = f"/electrophysiology/irsaanalogsignal/{ids['irsaanalogsignal']}"
    fields = archive.fields(f"{address}?downsample=4&method=extrema")
    assert archive.values(fields["signal"]["data"]) == [[0, 1], [6, 7], [8, 9], [14, 15]]
    assert archive.values(fields["times"]["data"]) == [TIMES[0], TIMES[0], TIMES[4], TIMES[4]]


def test_the_hdf5_dataset_tells_the_rate_of_its_points(archive, signal):
    answer = archive.get(signal["signal"]["data"] + "?start_index=1000&end_index=3000&downsample=20&method=stride")
    with h5py.File(io.BytesIO(answer.data)) as file:
        told = dict(file[signal["signal"]["guid"]].attrs)
    assert told["sampling_rate"] == 200 and told["sampling_rate_units"] == "Hz"
    assert told["t_start"] == 50 and told["t_start_units"] == "ms" and told["units"] == "mv"
    assert (told["start_index"], told["end_index"], told["method"]) == (1000, 3000, "stride")

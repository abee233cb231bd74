"""What points by an overview cost, counted: requests, rounds and bytes, from ten seconds to a hundred hours."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from storage.answer import ReadRequest, StoredArray, prepare
from storage.hdf5.layout import Contiguous, Dataset
from storage.objectstore import ObjectStore
from storage.overviews.array_form import form_of
from storage.overviews.form import StoredOverview
from storage.overviews.overview_file import OverviewFile
from storage.selection import Selection
from storage.timings import Timings
from tests.s3 import rounds
from tests.storage.overviews.made import FILTERS, stored, stored_content, with_overview
from tests.storage.stored import assert_same_bits, read, reader_of

RATE_HZ = 30_000
CHUNK = 65_536
HOURS = 100


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return ObjectStore(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def endless(local, tmp_path_factory):
    """A hundred hours of one channel of float32 and its overview, both of them holes: 47 GB that take no room."""
    folder = tmp_path_factory.mktemp("endless")
    n_samples = HOURS * 3600 * RATE_HZ
    with open(folder / "samples", "wb") as file:
        file.truncate(n_samples * 4)
    name = f"file://{folder}/samples"
    dataset = Dataset(name, local.stat(name).pin, np.dtype("<f4"), (n_samples,), Contiguous(0), bytes(4))
    array = StoredArray(dataset, first_row=0, n_samples=n_samples)
    with open(folder / "overview", "w+b", buffering=0) as file:
        made = OverviewFile(file, form_of(array))
        made.end()
    overview = StoredOverview(f"file://{folder}/overview", made.form, made.offsets)
    return replace(array, overview=StoredOverview.from_json(overview.key, json.loads(json.dumps(overview.as_json()))))


def windows(random, n_samples, n_seconds):
    """Start and stop of a window of this length, or of nearly all there is, at an odd place."""
    length = min(n_seconds * RATE_HZ, n_samples - 2 * RATE_HZ)
    start = int(random.integers(1, n_samples - length - 1)) | 1
    return start, start + length - int(random.integers(0, RATE_HZ)) - 1


@pytest.mark.parametrize("method", ["extrema", "mean"])
@pytest.mark.parametrize("n_seconds", [60, 600, 3600, 36_000, 100 * 3600])
def test_two_thousand_points_of_any_length_are_few_and_short_ranges(local, endless, method, n_seconds):
    reader, random = reader_of(local), np.random.default_rng(n_seconds)
    for _ in range(20):
        start, stop = windows(random, endless.n_samples, n_seconds)
        answer = prepare(endless, ReadRequest(Selection(start, stop), 2000, method), Timings())
        zoom = reader.zoom(answer)
        assert zoom is not None and len(list(zoom.groups())) == 1
        plan = reader.plan_zoom(zoom)
        assert len(plan.records) + len(plan.samples.ranges) <= 24
        assert sum(part.nbytes for part in plan.records) <= 1_000_000
        assert sum(part.nbytes for part in plan.samples.ranges) <= 2 * CHUNK * 4
    points = read(reader, endless, start, stop, points=2000, method=method)
    assert points.shape == (2000,) and not points.any()


@pytest.fixture
def ten_minutes(s3):
    """Ten minutes in S3, with an overview."""
    store = ObjectStore("s3://recordings/zoom")
    samples = np.random.default_rng(1).standard_normal(600 * RATE_HZ).astype("<f4")
    array, _, _ = with_overview(store, reader_of(store), stored(store, samples, chunks=(CHUNK,)))
    s3.clear()
    return store, array, samples


@pytest.mark.parametrize("method", ["extrema", "mean"])
def test_points_are_one_round_once_index_rows_are_known(s3, ten_minutes, method):
    store, array, samples = ten_minutes
    random = np.random.default_rng(5)
    for n_seconds in (10, 60, 600):
        for _ in range(2):
            reader = reader_of(store, chunk_nbytes=0)
            start, stop = windows(random, len(samples), n_seconds)
            read(reader, array, start, start + 1)
            read(reader, array, stop - 1, stop)
            s3.clear()
            s3.delay_s = 0.05
            try:
                got = read(reader, array, start, stop, points=2000, method=method)
            finally:
                s3.delay_s = 0.0
            assert rounds(s3.requests) == 1 and len(s3.requests) <= 24
            of_overview = [one for one in s3.requests if one.path.endswith(array.overview.key)]
            assert sum(one.nbytes for one in of_overview) <= 1_000_000
            if n_seconds == 10:  # bins are too narrow for any level
                assert not of_overview and sum(one.nbytes for one in s3.requests) <= 1_000_000 + 2 * CHUNK * 4
                continue
            assert len(s3.requests) - len(of_overview) <= 2
            answer = prepare(array, ReadRequest(Selection(start, stop), 2000, method), Timings())
            plan = reader.plan_zoom(reader.zoom(answer))
            assert len(s3.requests) == len(plan.records) + len(plan.samples.ranges)
            if method == "extrema":
                assert_same_bits(
                    got, read(reader, replace(array, overview=None), start, stop, points=2000, method=method)
                )


def test_a_minute_of_some_of_many_channels_is_one_round(s3):
    """384 channels of int16 in chunks of (40960, 64): 64 of them, 1000 points."""
    store = ObjectStore("s3://recordings/probe")
    n_samples, content = 70 * RATE_HZ, io.BytesIO()
    with h5py.File(content, "w") as file:
        signal = file.create_dataset("signal", (n_samples, 384), "<i2", chunks=(40_960, 64), **FILTERS)
        asked = np.zeros((n_samples, 64), "<i2")
        asked[:, 6] = np.random.default_rng(2).integers(-500, 500, n_samples)
        asked[123_457, 6] = 9999
        signal[:, 64:128] = asked
    array, whole, _ = with_overview(store, reader_of(store), stored_content(store, content))
    assert len(whole) <= 0.03 * n_samples * 384 * 2
    reader = reader_of(store, chunk_nbytes=0)
    channels, start, stop = tuple(range(64, 128)), 100_001, 100_001 + 60 * RATE_HZ
    read(reader, array, 0, 1)
    s3.clear()
    s3.delay_s = 0.2
    try:
        points = read(reader, array, start, stop, points=1000, method="extrema", channels=channels)
    finally:
        s3.delay_s = 0.0
    assert points[:, 6].max() == 9999
    assert rounds(s3.requests) <= 2
    nbytes = sum(one.nbytes for one in s3.requests if one.path.endswith(array.overview.key))
    raw = (stop - start) * 64 * 2

    assert nbytes < raw / 50

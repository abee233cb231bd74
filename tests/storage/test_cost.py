"""What reading costs, counted by the store: requests, rounds and bytes, and nothing asked beside."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from hashlib import md5

import h5py
import numpy as np
import pytest

from storage.answer import ReadRequest, prepare
from storage.errors import FileChanged
from storage.hdf5 import sidecar
from storage.objectstore import ObjectStore
from storage.selection import Selection, SliceQuery, resolve
from storage.times import BLOCK_ROWS, IrregularAxis, TimeBlocks
from storage.timings import Timings
from tests.s3 import rounds
from tests.storage.stored import assert_same_bits, read, reader_of, stored_array

CHUNK, N_CHUNKS, N_CHANNELS = 1000, 40, 6
N_DOWN, LONG = 4, 10
GAP_NBYTES = 64 * 1024


def recording():
    """Noise, so that chunks do not compress away; two arrays whose chunks lie among each other."""
    random = np.random.default_rng(1)
    samples = random.integers(-30_000, 30_000, CHUNK * N_CHUNKS, dtype="<i2")
    channels = random.normal(size=(CHUNK * N_CHUNKS, N_CHANNELS)).astype("<f4")
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("chunked", samples.shape, "<i2", chunks=(CHUNK,), compression="gzip", shuffle=True)
        file.create_dataset("channels", channels.shape, "<f4", chunks=(CHUNK, 2), compression="gzip")
        for start in range(0, len(samples), CHUNK):
            file["chunked"][start : start + CHUNK] = samples[start : start + CHUNK]
            file["channels"][start : start + CHUNK] = channels[start : start + CHUNK]
        file["contiguous"] = samples
        file["down"] = samples.reshape(N_DOWN, -1)
        file.create_dataset(
            "chunks down", (N_DOWN, len(samples) // N_DOWN), "<i2", chunks=(2, CHUNK), compression="gzip"
        )
        file["chunks down"][...] = samples.reshape(N_DOWN, -1)
        file["long"] = np.tile(samples, LONG).reshape(2, -1)
    return memory.getvalue(), samples, channels


CONTENT, SAMPLES, CHANNELS = recording()
KEY = "cost.h5"


@pytest.fixture
def store(s3):
    store = ObjectStore("s3://recordings/cost")
    store.put(KEY, CONTENT)
    return store


@pytest.fixture
def array(s3, store, request):
    path = getattr(request, "param", "chunked")
    found = stored_array(store, KEY, CONTENT, path, is_transposed=path in ("down", "chunks down", "long"))
    s3.clear()
    return found


def data_requests(s3):
    return [request for request in s3.requests if request.path.endswith(KEY)]


def assert_only_pinned_ranges(s3):
    """Nothing but GETs of ranges, each of the data with the pin."""
    assert {request.method for request in s3.requests} <= {"GET"}
    assert all(request.range and not request.query for request in s3.requests)
    etag = f'"{md5(CONTENT).hexdigest()}"'
    assert all(request.if_match == etag for request in data_requests(s3))


def chunk_nbytes(first, last, name="chunked"):
    """Stored bytes of a run of chunks, by h5py."""
    with h5py.File(io.BytesIO(CONTENT), "r") as file:
        dataset = file[name].id
        return sum(dataset.get_chunk_info_by_coord((k * CHUNK,)).size for k in range(first, last + 1))


@pytest.mark.parametrize(
    ("start", "stop"), [(100, 200), (0, 1000), (2500, 2501), (1990, 2010), (3500, 6500), (39_999, 40_000)]
)
def test_a_slice_of_adjacent_chunks_is_one_get_once_the_index_is_loaded(s3, store, array, start, stop):
    reader = reader_of(store, chunk_nbytes=0)
    read(reader, array, 20_000, 20_001)
    s3.clear()
    assert_same_bits(read(reader, array, start, stop), SAMPLES[start:stop])
    assert len(s3.requests) == len(data_requests(s3)) == 1
    first, last = start // CHUNK, (stop - 1) // CHUNK
    assert s3.requests[0].nbytes <= chunk_nbytes(first, last) + (last - first) * GAP_NBYTES
    assert_only_pinned_ranges(s3)


def test_with_empty_caches_a_slice_is_the_index_rows_and_the_data(s3, store, array):
    assert_same_bits(read(reader_of(store), array, 3500, 6500), SAMPLES[3500:6500])
    assert len(s3.requests) == 2
    assert s3.requests[0].nbytes == 16 * N_CHUNKS
    assert_only_pinned_ranges(s3)


def test_a_slice_that_was_read_before_costs_nothing(s3, store, array):
    reader = reader_of(store)
    read(reader, array, 3500, 6500)
    s3.clear()
    assert_same_bits(read(reader, array, 3600, 6400), SAMPLES[3600:6400])
    assert s3.requests == []


@pytest.mark.parametrize("array", ["contiguous"], indirect=True)
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (100, 3333), (0, 40_000)])
def test_a_contiguous_slice_is_one_get_of_its_bytes(s3, store, array, start, stop):
    assert_same_bits(read(reader_of(store), array, start, stop), SAMPLES[start:stop])
    assert [request.nbytes for request in s3.requests] == [2 * (stop - start)]
    assert_only_pinned_ranges(s3)


@pytest.mark.parametrize("array", ["channels"], indirect=True)
def test_a_channel_costs_the_chunks_that_hold_it(s3, store, array):
    reader = reader_of(store)
    read(reader, array, 0, 1)
    s3.clear()
    got = read(reader, array, 5100, 5200, channels=(3, 2))
    assert_same_bits(got, CHANNELS[5100:5200, [3, 2]])
    with h5py.File(io.BytesIO(CONTENT), "r") as file:
        expected = file["channels"].id.get_chunk_info_by_coord((5000, 2)).size
    assert [request.nbytes for request in s3.requests] == [expected]


DOWN = SAMPLES.reshape(N_DOWN, -1).T


@pytest.mark.parametrize("array", ["long"], indirect=True)
@pytest.mark.parametrize("channels", [None, (1,), (1, 0)])
def test_of_contiguous_channels_each_costs_its_own_bytes(s3, store, array, channels):
    s3.delay_s = 0.05
    got = read(reader_of(store), array, 100, 400, channels=channels)
    s3.delay_s = 0
    whole = np.tile(SAMPLES, LONG).reshape(2, -1).T
    assert_same_bits(got, whole[100:400] if channels is None else whole[100:400, list(channels)])
    assert [request.nbytes for request in s3.requests] == [600] * len(channels or (0, 1))
    assert rounds(s3.requests) == 1
    assert_only_pinned_ranges(s3)


@pytest.mark.parametrize("array", ["down"], indirect=True)
def test_contiguous_channels_that_are_near_come_together(s3, store, array):
    assert_same_bits(read(reader_of(store), array, 100, 400), DOWN[100:400])
    assert [request.nbytes for request in s3.requests] == [(3 * len(DOWN) + 300) * 2]


@pytest.mark.parametrize("array", ["down", "long"], indirect=True)
def test_all_of_contiguous_channels_is_read_once(s3, store, array):
    read(reader_of(store), array)
    assert sum(request.nbytes for request in s3.requests) == array.n_samples * array.dataset.row_nbytes


@pytest.mark.parametrize("array", ["chunks down"], indirect=True)
def test_of_channels_down_a_slice_costs_the_chunks_that_hold_it(s3, store, array):
    reader = reader_of(store)
    read(reader, array, 0, 1)
    s3.clear()
    got = read(reader, array, 5100, 5200, channels=(3, 2))
    assert_same_bits(got, DOWN[5100:5200, [3, 2]])
    with h5py.File(io.BytesIO(CONTENT), "r") as file:
        expected = file["chunks down"].id.get_chunk_info_by_coord((2, 5000)).size
    assert [request.nbytes for request in s3.requests] == [expected]


@pytest.mark.parametrize("array", ["down", "long", "chunks down"], indirect=True)
@pytest.mark.parametrize("more", [{}, {"points": 8}, {"points": 4, "method": "stride"}, {"channels": (1,)}], ids=str)
def test_a_plan_of_channels_down_is_what_reading_then_asks(s3, store, array, more):
    reader = reader_of(store)
    answer = prepare(array, ReadRequest(Selection(35, 8500), **more), Timings())
    plan = reader.plan(answer)
    s3.clear()
    list(reader.read(answer))
    asked = sorted(request.range for request in data_requests(s3))
    assert asked == sorted(f"bytes={part.byte_offset}-{part.end - 1}" for part in plan.ranges)


def test_far_chunks_are_fetched_side_by_side(s3, store, array):
    reader = reader_of(store)
    read(reader, array, 0, 1)
    s3.clear()
    s3.delay_s = 0.1
    runs = [(0, 10), (15_000, 15_010), (30_000, 30_010), (39_000, 39_010)]
    reader.datasets.read_runs(array.dataset, runs, None, keep=True, timings=Timings())
    s3.delay_s = 0
    assert len(s3.requests) == 3
    assert rounds(s3.requests) == 1


def test_sixteen_threads_that_ask_for_one_chunk_cause_one_get(s3, store, array):
    reader = reader_of(store)
    read(reader, array, 20_000, 20_001)
    s3.clear()
    s3.delay_s = 0.1
    together = threading.Barrier(16)

    def ask(k):
        together.wait(5)
        return read(reader, array, 5000 + k, 5100 + k)

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(16)))
    s3.delay_s = 0
    for k, got in enumerate(answers):
        assert_same_bits(got, SAMPLES[5000 + k : 5100 + k])
    assert len(s3.requests) == 1


def test_a_file_that_was_replaced_is_told_and_never_mixed(s3, store, array):
    reader = reader_of(store)
    answer = prepare(array, ReadRequest(Selection(0, 3000)), Timings())
    read(reader, array, 0, 1)
    store.put(KEY, CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(FileChanged, match=r"cost\.h5"):
        list(reader.read(answer))
    s3.clear()
    with pytest.raises(FileChanged):
        read(reader_of(store), array, 2000, 2001)
    assert {request.status for request in data_requests(s3)} == {412}


def test_a_plan_is_what_reading_then_asks(s3, store, array):
    reader = reader_of(store)
    answer = prepare(array, ReadRequest(Selection(3500, 20_500)), Timings())
    plan = reader.plan(answer)
    s3.clear()
    list(reader.read(answer))
    asked = sorted(request.range for request in data_requests(s3))
    assert asked == sorted(f"bytes={part.byte_offset}-{part.end - 1}" for part in plan.ranges)
    assert plan.n_chunks == 18


def test_making_an_answer_asks_for_nothing(s3, store, array):
    prepare(array, ReadRequest(Selection(0, 3000), points=10), Timings())
    assert s3.requests == []


@pytest.fixture(params=[None, 512], ids=["contiguous", "chunked"])
def times(request):
    return np.sort(np.random.default_rng(5).uniform(0, 1000, 50_000)), request.param


@pytest.fixture
def axis(s3, store, times):
    values, chunk = times
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("times", data=values, chunks=chunk and (chunk,))
    store.put("times.h5", memory.getvalue())
    rows = chunk or BLOCK_ROWS
    blocks = np.array([(part[0], part[-1]) for part in np.split(values, range(rows, len(values), rows))])
    beside, offsets = sidecar.dump({"blocks": blocks})
    store.put("beside.h5", beside)
    axis = IrregularAxis(
        reader=reader_of(store),
        times=stored_array(store, "times.h5", memory.getvalue(), "times"),
        blocks=TimeBlocks("beside.h5", offsets["blocks"], len(blocks), rows),
        unit="s",
        per_unit=Fraction(1),
        timings=Timings(),
    )
    s3.clear()
    return axis


def test_a_time_window_with_empty_caches_reads_two_blocks_of_times(s3, axis, times):
    values, chunk = times
    window = [(Fraction(100), "left"), (Fraction(900), "right")]
    s3.delay_s = 0.05
    axis.expect(window)
    selection = resolve(SliceQuery(start_time=Fraction(100), end_time=Fraction(900)), axis)
    s3.delay_s = 0
    assert (selection.start, selection.stop) == tuple(np.searchsorted(values, [100, 900]))
    assert rounds(s3.requests) == 2  # the index of the times is fetched beside their blocks
    assert sum(r.path.endswith("times.h5") for r in s3.requests) == 2
    assert {r.method for r in s3.requests} == {"GET"}
    assert sum(r.nbytes for r in s3.requests) <= len(values) * 8 * (0.1 if chunk else 0.4)


def test_points_further_apart_than_a_window_are_fetched_side_by_side(s3, store, array, monkeypatch):
    monkeypatch.setattr("storage.reader.WINDOW_NBYTES", 4 * CHUNK * array.dtype.itemsize)
    monkeypatch.setattr("storage.reader.MAX_GAP_NBYTES", 1)
    answer = prepare(array, ReadRequest(Selection(0, array.n_samples), points=4, method="stride"), Timings())
    assert array.n_samples / 4 > 4 * CHUNK
    reader = reader_of(store)
    planned = reader.plan(answer)
    s3.clear()
    s3.delay_s = 0.05
    list(reader.read(answer))
    s3.delay_s = 0
    assert len(s3.requests) == len(planned.ranges) > 1
    assert rounds(s3.requests) == 1

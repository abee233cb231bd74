"""The HDF5 file that a recording becomes, against what h5py reads from it."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest

from storage.ingest import imported_file
from storage.ingest.imported_file import CHUNK_NBYTES, ImportedFile, Misfit

RANDOM = np.random.default_rng(11)
BOUND = 1 << 30


def written(path, arrays, steps):
    """Write arrays side by side, some rows at a time; return what is told of them."""
    with path.open("w+b") as content, ImportedFile(content, BOUND) as target:
        for name, rows in arrays.items():
            target.create(name, rows.dtype, rows.shape)
        left = {name: rows for name, rows in arrays.items() if len(rows)}
        while left:
            for name in list(left):
                n_rows = next(steps)
                target.append(name, memoryview(np.ascontiguousarray(left[name][:n_rows]).reshape(-1).view(np.uint8)))
                left[name] = left[name][n_rows:]
                if not len(left[name]):
                    del left[name]
        assert target.n_open == 0
        return target.describe({name: {"units": "mV"} for name in arrays})


def cycled(*numbers):
    while True:
        yield from numbers


ARRAYS = {
    "/segment_0/signal_0": RANDOM.integers(-999, 999, (700_000, 2)).astype("<i2"),
    "/segment_0/signal_1": RANDOM.standard_normal(300_000),
    "/segment_0/events_0/times": np.sort(RANDOM.random(200_001)),
    "/segment_0/events_0/labels": np.array([b"a", "löcher".encode()] * 5),
    "/segment_0/spikes_0/waveforms": RANDOM.integers(-9, 9, (500, 4, 32)).astype("<i2"),
    "/segment_1/signal_0": np.empty((0, 3), "<i2"),
}


@pytest.mark.parametrize("waiting_nbytes", [imported_file.MAX_WAITING_NBYTES, 100_000])
@pytest.mark.parametrize("steps", [(10**9,), (1777, 60_000, 3)])
def test_it_has_what_was_told_in_chunks_of_a_megabyte(tmp_path, steps, waiting_nbytes, monkeypatch):
    monkeypatch.setattr(imported_file, "MAX_WAITING_NBYTES", waiting_nbytes)
    found = written(tmp_path / "a.h5", ARRAYS, cycled(*steps))
    with h5py.File(tmp_path / "a.h5") as file:
        for name, rows in ARRAYS.items():
            np.testing.assert_array_equal(file[name][()].astype(rows.dtype), rows)
            told = found.datasets[name]
            assert told.shape == rows.shape and told.dtype == rows.dtype and told.chunk_shape == file[name].chunks
            if rows.size:
                nbytes = np.prod(file[name].chunks) * rows.dtype.itemsize
                assert nbytes <= CHUNK_NBYTES and (nbytes > CHUNK_NBYTES // 2 or file[name].chunks == rows.shape)
                assert (file[name].compression, file[name].shuffle) == ("gzip", True)
            assert file[name].attrs["units"] == "mV"


def test_sorted_rows_are_told_by_the_first_and_last_of_each_chunk(tmp_path):
    found = written(tmp_path / "a.h5", ARRAYS, cycled(1777, 60_000))
    times = ARRAYS["/segment_0/events_0/times"]
    rows = found.datasets["/segment_0/events_0/times"].chunk_shape[0]
    expected = [[times[start], times[start : start + rows][-1]] for start in range(0, len(times), rows)]
    np.testing.assert_array_equal(found.blocks["/segment_0/events_0/times"], expected)
    assert "/segment_0/signal_1" not in found.blocks


@pytest.mark.parametrize("values", [[1.0, 3.0, 2.0], [1.0, np.nan, 2.0], [0.0, np.inf]])
def test_what_cannot_be_times_has_no_blocks(tmp_path, values):
    assert written(tmp_path / "a.h5", {"/times": np.array(values)}, cycled(1)).blocks == {}


def test_no_more_is_taken_than_was_told(tmp_path):
    with io.BytesIO() as content, ImportedFile(content, 100) as target:
        target.create("/a", np.dtype("<i2"), (10,))
        with pytest.raises(Misfit, match="more samples than files of this length"):
            target.create("/b", np.dtype("<i2"), (1000,))
        with pytest.raises(Misfit, match="more samples than were announced"):
            target.append("/a", memoryview(bytes(22)))
        with pytest.raises(Misfit, match="an array in a place where none is"):
            target.create("/../a", np.dtype("<i2"), (1,))

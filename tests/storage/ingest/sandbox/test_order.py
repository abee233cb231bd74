"""The order of long times as the sandbox finds it, what a file calls itself, and what lies about either come to."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from storage.errors import Refused
from storage.hdf5.file import Description
from storage.ingest import sorted_times
from storage.ingest.found import Found, FoundArray, FoundObject, Refusal
from storage.ingest.inspect import RUN_ENDS
from storage.ingest.sandbox import findings
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Order, sandbox
from storage.ingest.sandbox.verified import Findings, Lie
from storage.objectstore import ObjectStore
from storage.times import BLOCK_ROWS
from tests.storage.ingest.test_register import write_nwb

N_LONG = sorted_times.AT_ONCE_NBYTES // 8 + 1


def order_of(path, dataset, runs):
    store = ObjectStore(f"file://{path.parent}")
    return sandbox().order(store, path.name, store.stat(path.name), dataset, runs)


@pytest.mark.parametrize("creation", [{}, {"chunks": (7,), "compression": "gzip"}, {"dtype": ">f4"}, {"dtype": "<i8"}])
def test_it_is_that_of_numpy_for_any_runs(tmp_path, creation):
    times = np.random.default_rng(1).integers(0, 50, 300).astype(creation.get("dtype", "<f8"))
    times[20:60], times[100:250] = np.sort(times[20:60]), np.sort(times[100:250])
    if times.dtype.kind == "f":
        times[280] = np.nan
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("deep/times", data=times, **creation)
    runs = [(0, 20), (20, 60), (25, 50), (60, 60), (100, 250), (99, 250), (279, 282), (0, 300)]
    order = order_of(tmp_path / "a.h5", "/deep/times", runs)
    for (start, stop), fault, ends in zip(runs, order.faults, order.ends, strict=True):
        run = times[start:stop]
        is_right = bool(np.isfinite(run).all() and (np.diff(run) >= 0).all())
        assert (fault is None) == is_right
        np.testing.assert_array_equal(ends, run[[0, -1]] if len(run) else [0, 0])
    rows = creation.get("chunks", (BLOCK_ROWS,))[0]
    blocks = [times[first : first + rows][[0, -1]] for first in range(0, 300, rows)]
    np.testing.assert_array_equal(order.found.blocks["/deep/times"], blocks)


@pytest.mark.parametrize("dataset", ["/none", "/text", "/group", "/two"])
def test_what_holds_no_times_is_refused(tmp_path, dataset):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["text"], file["two"] = ["a", "b"], np.zeros((2, 2))
        file.create_group("group")
    with pytest.raises(Refused, match="no times at"):
        order_of(tmp_path / "a.h5", dataset, [(0, 1)])


def told(runs=2, ends=None, **changes):
    """Return what a process could have told of a dataset of four times in two runs."""
    ends = np.zeros((2, 2)) if ends is None else ends
    found = Found(refusals=[Refusal("1", "its times are not sorted")])
    found.datasets = {
        "/t": Description(np.dtype("<f8"), (4,), bytes(8), byte_offset=8),
        RUN_ENDS: Description(ends.dtype, ends.shape, bytes(ends.dtype.itemsize), values=ends),
    }
    found.blocks = {"/t": np.zeros((1, 2))}
    found.arrays = {"0": FoundArray("0", "/t", "0", 2)}
    for name, value in changes.items():
        setattr(found, name, value)
    return Order.of(found, "/t", runs)


def test_what_was_found_of_runs_is_taken_and_a_run_of_which_nothing_is_said_is_not_sorted():
    assert told().faults == [None, "its times are not sorted"]
    assert told(refusals=[]).faults == [None, "its times are not sorted"]
    assert told(arrays={}).faults == ["its times are not sorted"] * 2
    both = {str(number): FoundArray(str(number), "/t", "x", 2) for number in range(2)}
    assert told(arrays=both).faults == [None, "its times are not sorted"]


@pytest.mark.parametrize(
    "changes",
    [
        {"runs": 3},
        {"ends": np.zeros((1, 2))},
        {"ends": np.zeros((2, 2), np.float32)},
        {"blocks": {}},
        {"datasets": {}},
        {"objects": [FoundObject("block", "/", {"name": "b"})]},
    ],
)
def test_what_was_not_asked_for_is_refused(changes):
    with pytest.raises(Refused, match="told of other"):
        told(**changes)


class TestIdentity:
    def test_it_comes_out_of_the_sandbox_as_it_is_in_the_file(self, tmp_path):
        for said, expected in (("an id", "nwb an id"), (" ü ", "nwb ü"), ("", None), ("a\nb", None), ("x" * 300, None)):
            with h5py.File(write_nwb(tmp_path / "a.nwb"), "r+") as file:
                file["identifier"] = said
            store = ObjectStore(f"file://{tmp_path}")
            assert sandbox().inspect(store, "a.nwb", store.stat("a.nwb")).identity == expected

    @pytest.mark.parametrize("lie", ["x" * 256, "a\nb", "\x1b[2J", 5, None, ["a"], "a\0"])
    def test_what_it_cannot_be_is_a_lie(self, lie):
        with pytest.raises(Lie):
            Findings(100, Limits()).take("identity", lie, [])

    def test_a_file_calls_itself_one_thing(self):
        believed = Findings(100, Limits())
        believed.take("identity", "nwb a", [])
        with pytest.raises(Lie):
            believed.take("identity", "nwb b", [])
        assert believed.found.identity == "nwb a"


@pytest.mark.parametrize(
    ("shape", "dtype", "is_believed"),
    [((N_LONG,), "<f8", True), ((N_LONG - 1,), "<f8", False), ((N_LONG, 2), "<f8", False), ((N_LONG,), "|S8", False)],
)
def test_only_long_times_may_be_told_without_their_order(shape, dtype, is_believed):
    found = Found()
    dtype = np.dtype(dtype)
    found.datasets = {"/t": Description(dtype, shape, bytes(dtype.itemsize), byte_offset=0)}
    found.arrays = {"/t": FoundArray("/t", "/t", "t", shape[0], units="s")}
    fields = {"name": "a", "t_start": 0.0, "t_start_units": "s", "annotations": {}}
    one = FoundObject("irsaanalogsignal", "/a", fields, arrays={"signal": "/t", "times": "/t"})
    believed = Findings(1 << 30, Limits())
    believed.found.datasets, believed.found.arrays = found.datasets, found.arrays
    sent = findings._object(one)
    if is_believed:
        believed.take("object", sent, [])
    else:
        with pytest.raises(Lie, match="not told to be sorted"):
            believed.take("object", sent, [])

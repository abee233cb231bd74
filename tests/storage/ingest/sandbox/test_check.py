"""Uploaded files: exactly one array in the root is taken, and of anything else it is said what it is."""

from __future__ import annotations

import io
import pickle

import h5py
import numpy as np
import pytest

from storage.errors import Refused
from storage.ingest import sorted_times
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox, sandbox
from storage.objectstore import ObjectStore

MEGA = 1 << 20


@pytest.fixture
def store(tmp_path):
    return ObjectStore(f"file://{tmp_path}")


@pytest.fixture
def check(store):
    """Check what a function writes into a file."""

    def check(write, by=None):
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            write(file)
        store.put("a.h5", memory.getvalue())
        return (by or sandbox()).check(store, "a.h5", store.stat("a.h5"))

    return check


@pytest.mark.parametrize("shape", [(), (0,), (5,), (5, 2), (3, 0), (2, 3, 4), (1,) * 32])
@pytest.mark.parametrize("dtype", ["<f8", ">i2", "|u1", "|S3", "|b1"])
def test_one_array_of_any_shape_is_taken(check, shape, dtype):
    def write(file):
        file["my data"] = np.zeros(shape, dtype)

    found = check(write)
    (array,) = found.arrays.values()
    told = found.datasets[array.dataset]
    assert (array.name, array.source_path, array.first_row) == ("my data", "/my data", 0)
    assert told.shape == (shape or (1,)) and told.dtype == dtype and array.n_samples == told.shape[0]
    assert found.objects == [] and found.refusals == []


@pytest.mark.parametrize("units", ["mV", np.bytes_(b"mV"), np.array(["mV"], h5py.string_dtype())])
def test_units_are_those_of_the_attribute(check, units):
    def write(file):
        file["x"] = 1.0
        file["x"].attrs["units"] = units

    assert check(write).arrays["/x"].units == "mV"


def test_strings_of_variable_length_are_copied(check):
    def write(file):
        file.create_dataset("x", data=["ä", "bc"], dtype=h5py.string_dtype())

    assert check(write).datasets["/x"].values.tolist() == ["ä".encode(), b"bc"]


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i8", "<u4"])
@pytest.mark.parametrize("creation", [{}, {"chunks": (700,)}, {"chunks": (700,), "compression": "gzip"}])
def test_sorted_numbers_can_be_times(check, dtype, creation):
    times = np.sort(np.random.default_rng(1).integers(0, 10**6, 10_000)).astype(dtype)
    found = check(lambda file: file.create_dataset("t", data=times, **creation))
    expected, faults = sorted_times.check(times, found.datasets["/t"], np.array([len(times)]))
    assert faults == [None]
    assert found.blocks["/t"].dtype == dtype and found.blocks["/t"].tolist() == expected.tolist()


@pytest.mark.parametrize("values", [[1.0, 0.5], [0.0, np.nan], [0.0, np.inf], [-np.inf, 0.0]])
@pytest.mark.parametrize("n_before", [0, 3 * MEGA])
def test_others_cannot(check, values, n_before):
    samples = np.concatenate([np.zeros(n_before), values])
    assert check(lambda file: file.create_dataset("t", data=samples, chunks=(MEGA,) if n_before else None)).blocks == {}


@pytest.mark.parametrize("values", [np.zeros((5, 1)), np.array([b"a", b"b"]), np.array([False, True])])
def test_tables_texts_and_truths_are_no_times(check, values):
    assert check(lambda file: file.create_dataset("t", data=values)).blocks == {}


def test_a_fall_between_two_windows_is_seen(check):
    samples = np.concatenate([np.ones(MEGA), np.zeros(MEGA)])
    assert check(lambda file: file.create_dataset("t", data=samples)).blocks == {}


def test_a_signal_costs_one_window(check):
    """Far less than all of it may be fetched."""
    frugal = Sandbox(Limits(file_reads=0, more_fetched_nbytes=10 * MEGA))
    samples = np.random.default_rng(1).normal(size=8 * MEGA).astype("<f4")
    assert check(lambda file: file.create_dataset("t", data=samples), frugal).arrays["/t"].n_samples == 8 * MEGA
    with pytest.raises(Refused, match="more bytes than"):
        check(lambda file: file.create_dataset("t", data=np.sort(samples)), frugal)
    frugal.close()


def _several(file):
    file["a"], file["b"] = 1.0, 2.0


def _compound(file):
    file["a"] = np.zeros(3, "i4,f8")


def _group(file):
    file.create_group("g")["a"] = 1.0


def _soft(file):
    file["a"] = h5py.SoftLink("/elsewhere")


def _external_link(file):
    file["a"] = h5py.ExternalLink("/etc/passwd", "/a")


def _external_samples(file):
    file.create_dataset("a", (10,), "u1", external=[("/etc/passwd", 0, 10)])


def _virtual(file):
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "a", (10,))
    file.create_virtual_dataset("a", layout)


REFUSED = {
    "nothing": (lambda file: None, "0 entries in its root"),
    "several": (_several, "2 entries in its root, not one array"),
    "compound": (_compound, "compound is neither numbers nor strings"),
    "a group": (_group, "'g' is a group, not an array"),
    "a named type": (lambda file: file.__setitem__("t", np.dtype("f8")), "'t' is a named type"),
    "a soft link": (_soft, "'a' is a link to another place"),
    "an external link": (_external_link, "'a' is a link to another file"),
    "external samples": (_external_samples, "its samples lie in another file"),
    "a virtual dataset": (_virtual, "virtual dataset"),
    "no space": (lambda file: file.create_dataset("a", data=h5py.Empty("f4")), "null dataspace"),
    "NWB": (
        lambda file: file.attrs.update(nwb_version="2.0"),
        "an NWB file; its arrays are served once it is imported",
    ),
    "NIX": (lambda file: file.attrs.update(format="nix"), "a NIX file; its arrays are served once it is imported"),
    "long double": (lambda file: file.create_dataset("a", (3,), np.longdouble), "long double"),
    "a filter": (lambda file: file.create_dataset("a", (90,), "i4", chunks=(9,), scaleoffset=3), "scaleoffset"),
    "references": (lambda file: file.create_dataset("a", data=np.array([file.ref], h5py.ref_dtype)), "reference"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_of_anything_else_it_is_said_what_it_is(check, name):
    write, reason = REFUSED[name]
    with pytest.raises(Refused, match=reason):
        check(write)


@pytest.mark.parametrize("content", [b"", b"\x89HDF", pickle.dumps({"a": 1}), b"PK\x03\x04" * 1000, b"RIFF" * 10])
def test_what_is_not_hdf5_is_said_to_be_none(store, content):
    store.put("a.h5", content)
    with pytest.raises(Refused, match="it is not an HDF5 file"):
        sandbox().check(store, "a.h5", store.stat("a.h5"))

"""Every dataset of other projects' odd HDF5 files reads as h5py reads it, or is refused for a known reason."""

from __future__ import annotations

import io
import os
from pathlib import Path

import h5py
import pytest

from storage.errors import Refused
from storage.objectstore import ObjectStore
from tests.storage.stored import assert_same_bits, expected_of, read, reader_of, stored_array

SAMPLES = Path(os.environ.get("EPHYSTORE_SAMPLES", "")) / "odd-hdf5"

pytestmark = pytest.mark.skipif(
    "EPHYSTORE_SAMPLES" not in os.environ, reason="EPHYSTORE_SAMPLES names no folder of sample files"
)

BIG = "hdfgroup/be_data.h5"
SCALED = [
    f"/Scale_offset_{kind}_data_{order}"
    for kind in ("char", "short", "int", "long_long", "float", "double")
    for order in ("be", "le")
]
REFUSED = {
    **{(BIG, name): "scaleoffset (6)" for name in SCALED},
    (BIG, "/Szip_float_data_be"): "szip (4)",
    (BIG, "/Szip_float_data_le"): "szip (4)",
    (BIG, "/Nbit_float_data_be"): "only some of their bits",
    (BIG, "/Nbit_float_data_le"): "only some of their bits",
    ("hdfgroup/h5repack_nbit.h5", "/dset_int31"): "only some of their bits",
    ("hdfgroup/h5repack_nbit.h5", "/dset_nbit"): "only some of their bits",
    ("hdfgroup/h5repack_soffset.h5", "/dset_scaleoffset"): "scaleoffset (6)",
    ("hdfgroup/h5repack_szip.h5", "/dset_szip"): "szip (4)",
    ("hdfgroup/noencoder.h5", "/noencoder_szip_dset.h5"): "szip (4)",
    ("hdfgroup/noencoder.h5", "/noencoder_szip_shuffle_fletcher_dset.h5"): "szip (4)",
    ("hdfgroup/tldouble.h5", "/dset"): "long double",
    ("hdfgroup/vds/1_vds.h5", "/vds_dset"): "virtual dataset",
    ("jhdf/opaque_datasets_latest.hdf5", "/opaque_2d_string"): "opaque",
}
"""Where, and what the reason says."""


def readable_datasets(content):
    """Paths of all datasets of numbers and strings in a file that h5py can read, each once."""
    with h5py.File(io.BytesIO(content), "r") as file:
        return [thing.name for thing in datasets_in(file, set()) if is_readable(thing)]


def datasets_in(group, seen):
    """All datasets below a group that h5py can open; soft links lead to nothing else in the same file."""
    for name in group:
        if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            continue
        try:
            thing = group[name]
        except (KeyError, OSError, RuntimeError):
            continue
        if thing in seen:
            continue
        seen.add(thing)
        if isinstance(thing, h5py.Group):
            yield from datasets_in(thing, seen)
        elif isinstance(thing, h5py.Dataset):
            yield thing


def is_readable(dataset):
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    if dataset.shape is None or not (dataset.dtype.kind in "biufS" or is_text):
        return False
    try:
        dataset[...]
    except OSError:
        return False
    return True


def files():
    return sorted(path for path in SAMPLES.rglob("*") if path.suffix in (".h5", ".hdf5"))


def outcome(store, reader, key, content, name):
    """None where the dataset reads as h5py reads it; otherwise why it was refused."""
    try:
        array = stored_array(store, key, content, name)
    except Refused as error:
        return str(error)
    got, wanted = read(reader, array), expected_of(content, name)
    if wanted.dtype.kind == "O":  # strings of any length, which are answered in one width
        assert got.tolist() == wanted.tolist()
    else:
        assert_same_bits(got, wanted)
    middle = len(got) // 2
    stop = min(middle + 1, len(got))
    assert_same_bits(read(reader, array, middle, stop), got[middle:stop])
    return None


def test_every_dataset_reads_as_h5py_reads_it_or_is_on_the_list_of_refusals(tmp_path):
    store = ObjectStore(f"file://{tmp_path}")
    reader = reader_of(store)
    refused, read_equal = {}, 0
    for path in files():
        key, content = str(path.relative_to(SAMPLES)), path.read_bytes()
        store.put(key, content)
        for name in readable_datasets(content):
            reason = outcome(store, reader, key, content, name)
            read_equal += reason is None
            if reason is not None:
                refused[key, name] = reason
    unlike = {
        place: refused.get(place, "it was read")
        for place in REFUSED.keys() | refused.keys()
        if place not in REFUSED or REFUSED[place] not in refused.get(place, "")
    }
    assert not unlike
    assert read_equal > 150

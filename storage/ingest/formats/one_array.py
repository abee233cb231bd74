"""An uploaded file: HDF5 with one array in its root, and nothing else."""

from __future__ import annotations

import h5py

from storage.errors import NotOneArray, Refused
from storage.ingest import sorted_times
from storage.ingest.formats import attributes, nwb
from storage.ingest.found import Found, Refusal, as_path, storable
from storage.progress import DatasetProgress, untold

MAX_ROWS_AT_ONCE = 1 << 24
"""Chunks of more rows are not looked into; nothing in earnest has times in them."""

IMPORTABLE = "its arrays are served once it is imported"
FORMATS = ("NWB", "NIX", "HDF5")
"""What HDF5 files that are more than one array can be imported as."""


def check(file: h5py.File, progress: DatasetProgress = untold) -> Found:
    """Find the one array, numeric or of strings, of any number of axes.

    Parameters
    ----------
    file : h5py.File
    progress : DatasetProgress
        Is told how many of its chunks are indexed.

    Returns
    -------
    Found
        One array, named after the dataset. It can be the times of others if ``blocks`` has it.

    Raises
    ------
    Refused
        Saying what the file is instead.
    """
    dataset = _only_dataset(file)
    found = Found(progress=progress)
    path = found.describe(dataset)
    found.whole(path, path.lstrip("/"), attributes.text(dataset.attrs.get("units")))
    told = found.datasets[path]
    rows_at_once = told.chunk_shape[0] if told.chunk_shape else 1
    if len(told.shape) == 1 and told.dtype.kind in "iuf" and rows_at_once <= MAX_ROWS_AT_ONCE:
        try:
            blocks = sorted_times.blocks_if_sorted(dataset, told)
        except (OSError, RuntimeError, ValueError, MemoryError) as error:
            # What is told of the dataset itself may say better why; that is looked at next.
            found.refusals.append(Refusal(path, storable(f"its samples cannot be read: {error or 'too large'}")))
        else:
            if blocks is not None:
                found.blocks[path] = blocks
    return found


def _only_dataset(file: h5py.File) -> h5py.Dataset:
    if nwb.is_nwb(file):
        raise NotOneArray(f"it is an NWB file; {IMPORTABLE}", "NWB")
    if attributes.text(file.attrs.get("format")) == "nix":
        raise NotOneArray(f"it is a NIX file; {IMPORTABLE}", "NIX")
    n_entries = file.id.get_num_objs()
    if n_entries != 1:
        told = f"it is an HDF5 file with {n_entries} entries in its root, not one array"
        raise NotOneArray(told, "HDF5") if n_entries else Refused(told)
    (name,) = file.id
    link = file.id.links.get_info(name).type
    if link != h5py.h5l.TYPE_HARD:
        where = "another file" if link == h5py.h5l.TYPE_EXTERNAL else "another place"
        raise Refused(f"its only entry {as_path(name)!r} is a link to {where}, not an array")
    kind = h5py.h5g.get_objinfo(file.id, name).type
    if kind != h5py.h5g.DATASET:
        what = "a group" if kind == h5py.h5g.GROUP else "a named type"
        told = f"its only entry {as_path(name)!r} is {what}, not an array"
        raise NotOneArray(told, "HDF5") if kind == h5py.h5g.GROUP else Refused(told)
    return h5py.Dataset(h5py.h5d.open(file.id, name))

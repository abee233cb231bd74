"""NWB files in Neo's words, one Block per file: what each of its parts becomes.

Read by attributes with h5py alone: what a newer or extended schema calls its types does not matter.
"""

from __future__ import annotations

import h5py

from storage.errors import Refused
from storage.ingest.formats import (
    nwb_electrodes,
    nwb_events,
    nwb_intervals,
    nwb_series,
    nwb_session,
    nwb_sweeps,
    nwb_tree,
    nwb_units,
)
from storage.ingest.formats.nwb_electrodes import Electrodes
from storage.ingest.formats.nwb_sweeps import Sweeps
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.found import Found, Refusal
from storage.progress import DatasetProgress, untold

NOT_SERVED = {
    "FeatureExtraction": "features of spikes, spikes × channels × features",
    "ClusterWaveforms": "mean waveforms of clusters without their spikes",
    "Images": "pictures",
    "PlaneSegmentation": "a table of masks",
    "DynamicTable": "a table without times",
}
"""What arrays of some types are, in words."""

ONLY = "only signals, spikes, events and intervals are served"


def is_nwb(file: h5py.File) -> bool:
    """Whether a file says that it is NWB."""
    return nwb_tree.type_of(file) == "NWBFile" or "nwb_version" in file.attrs


def inspect(file: h5py.File, name: str, progress: DatasetProgress = untold) -> Found:
    """Find everything in an NWB file that can be served, and why the rest cannot.

    Parameters
    ----------
    file : h5py.File
    name : str
        What the Block will be called.
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.
    """
    found, tree = Found(progress=progress), Tree(file)
    with found.refusing(nwb_session.ROOT):
        tree.walk()
    nwb_session.add(found, tree, name)
    electrodes = nwb_electrodes.add(found, tree)
    sweeps = nwb_sweeps.add(found, tree)
    for group in tree.groups:
        with found.refusing(nwb_tree.path_of(group)):
            _add(found, tree, group, electrodes, sweeps)
    _refuse_loose(found, tree)
    _refuse_outside(found, tree)
    nwb_session.leave_out_empty_segment(found)
    return found


def _add(found: Found, tree: Tree, group: h5py.Group, electrodes: Electrodes, sweeps: Sweeps) -> None:
    """Add what a typed group tells of, by what lies in it."""
    if nwb_units.is_units(group):
        nwb_units.add(found, tree, group, electrodes)
    elif nwb_tree.has(group, "start_time") and nwb_tree.has(group, "stop_time"):
        nwb_intervals.add_table(found, tree, group)
    elif nwb_tree.type_of(group) == "IntervalSeries":
        nwb_intervals.add_series(found, group)
    elif nwb_events.is_of_events(group):
        nwb_events.add_events(found, tree, group)
    elif nwb_series.is_series(group):
        nwb_series.add(found, group, electrodes, sweeps)
    else:
        _refuse_arrays(found, group)


def _refuse_arrays(found: Found, group: h5py.Group) -> None:
    """Raise Refused for arrays that are neither signals, spikes nor times, so that none is passed over in silence.

    What ``general`` describes, and what a series that is refused has below it, is not listed.
    """
    path = nwb_tree.path_of(group)
    parent = path.rpartition("/")[0]
    if _is_described(path) or path == nwb_session.ROOT or any(one.path == parent for one in found.refusals):
        return
    if any(map(_is_array, nwb_tree.datasets_in(group))):
        type_name = nwb_tree.type_of(group)
        raise Refused(f"it is {NOT_SERVED.get(type_name, f'of the type {type_name}')}: {ONLY}")


def _refuse_loose(found: Found, tree: Tree) -> None:
    """List arrays that lie in groups without a type."""
    for group in tree.untyped:
        if not _is_described(nwb_tree.path_of(group)):
            for dataset in filter(_is_array, nwb_tree.datasets_in(group)):
                found.refusals.append(Refusal(nwb_tree.path_of(dataset), f"it belongs to no series or table: {ONLY}"))


def _is_described(path: str) -> bool:
    """Whether something is told by annotations, or tells only how the file is made."""
    return f"{path}/".startswith(("/general/", "/specifications/"))


def _is_array(dataset: h5py.Dataset) -> bool:
    return bool(dataset.shape) and h5py.check_ref_dtype(dataset.dtype) is None


def _refuse_outside(found: Found, tree: Tree) -> None:
    """List links to other files, unless what has them is listed for that already."""
    listed = {refusal.path for refusal in found.refusals}
    for path, file_name in tree.outside:
        if path.rpartition("/")[0] not in listed:
            found.refusals.append(Refusal(path, nwb_tree.lies_in(file_name)))

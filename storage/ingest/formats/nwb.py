"""NWB files in Neo's words, one Block per file: what each of its parts becomes.

Read by attributes with h5py alone: what a newer or extended schema calls its types does not matter.
"""

from __future__ import annotations

import h5py

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


def _refuse_outside(found: Found, tree: Tree) -> None:
    """List links to other files, unless what has them is listed for that already."""
    listed = {refusal.path for refusal in found.refusals}
    for path, file_name in tree.outside:
        if path.rpartition("/")[0] not in listed:
            found.refusals.append(Refusal(path, nwb_tree.lies_in(file_name)))

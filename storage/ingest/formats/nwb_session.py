"""What an NWB file says of the whole session: its Block, and the Segment of what belongs to no sweep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import h5py

from storage.ingest.formats import nwb_tree
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.found import Found, FoundObject

ROOT = "/"
"""``source_path`` of the Block and of the Segment that stand for the file."""
SEGMENT = {"segment": ROOT}

BLOCK_TEXTS = (
    "session_description",
    "identifier",
    "nwb_version",
    "session_start_time",
    "timestamps_reference_time",
)
SUBJECT = "subject"
"""Annotation of the Block that is kept only where the operator says so."""


def add(found: Found, tree: Tree, name: str) -> None:
    """Add the Block and its Segment: all clocks of an NWB file agree."""
    annotations = {"nwb_path": ROOT, **nwb_tree.texts(tree.file, *BLOCK_TEXTS)}
    started = _moment(annotations.get("session_start_time"))
    if started is not None:
        # filedatetime is told in UTC; where the recording was made is told by its own spelling.
        annotations["time_zone"] = str(started.tzinfo) if started.tzinfo else "not told, taken as UTC"
        started = started if started.tzinfo else started.replace(tzinfo=UTC)
    with found.refusing("/general"):
        annotations = _general(tree) | annotations
    said = {"name": name, "filedatetime": started}
    found.objects.append(FoundObject("block", ROOT, {**said, "annotations": annotations}))
    found.objects.append(
        FoundObject("segment", ROOT, {**said, "annotations": {"nwb_path": ROOT}}, parents={"block": ROOT})
    )


def leave_out_empty_segment(found: Found) -> None:
    """Remove the Segment of the session where all that there is belongs to sweeps."""
    segments = [one for one in found.objects if one.type_name == "segment"]
    if len(segments) > 1 and not any(("segment", ROOT) in one.parent_keys() for one in found.objects):
        found.objects.remove(segments[0])


def without_subject(found: Found) -> None:
    """Remove what is said of the subject."""
    for one in found.objects:
        if one.type_name == "block":
            one.fields["annotations"].pop(SUBJECT, None)


def _general(tree: Tree) -> dict[str, Any]:
    """Return what is said of the session, its devices and its subject."""
    general = nwb_tree.group_in(tree.file, "general")
    if general is None:
        return {}
    told = nwb_tree.everything(general, leave_out=frozenset({SUBJECT}))
    subject = nwb_tree.group_in(general, SUBJECT)
    parts = {SUBJECT: {} if subject is None else nwb_tree.everything(subject)}
    devices = [group for group in tree.groups if nwb_tree.path_of(group).startswith("/general/devices/")]
    electrodes = [group for group in tree.groups if nwb_tree.type_of(group) == "IntracellularElectrode"]
    for name, groups in (("devices", devices), ("intracellular_electrodes", electrodes)):
        parts[name] = {nwb_tree.name_of(nwb_tree.path_of(group)): _with_device(tree, group) for group in groups}
    return told | {name: part for name, part in parts.items() if part}


def _with_device(tree: Tree, group: h5py.Group) -> dict[str, Any]:
    """Return what is said of a device or electrode, and by which device that is held."""
    told, device = nwb_tree.everything(group), tree.linked(group, "device")
    return told if device is None else {**told, "device": nwb_tree.name_of(device)}


def _moment(said: Any) -> datetime | None:
    """Return a date as it is told; None for what is none, or cannot be told in UTC."""
    try:
        moment = datetime.fromisoformat(str(said)) if said else None
        return moment if moment is None or moment.astimezone(UTC) else None
    except (ValueError, OverflowError):
        return None

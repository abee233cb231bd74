"""NIX files in Neo's words: Blocks with one Segment each, or the tree that Neo wrote.

Read by attributes with h5py alone, of all versions of the format up to 1.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats import attributes, nix_arrays, nix_neo, nix_tags
from storage.ingest.formats.clocks import Clock
from storage.ingest.formats.members import group_in, groups_in
from storage.ingest.formats.nix_arrays import DataArray, data_array
from storage.ingest.formats.nix_entities import Metadata, linked, moment_of, name_of, text_of
from storage.ingest.found import Found, FoundObject, Refusal, as_path, identity
from storage.progress import DatasetProgress, untold

NEO_METADATA = "neo.metadata"


def is_nix(file: h5py.File) -> bool:
    """Whether a file says that it is NIX."""
    return attributes.text(file.attrs.get("format")) == "nix"


def inspect(file: h5py.File, name: str, progress: DatasetProgress = untold) -> Found:
    """Find everything in a NIX file that can be served, and why the rest cannot.

    Parameters
    ----------
    file : h5py.File
    name : str
        What a Block without a name will be called.
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.
    """
    found, metadata = Found(progress=progress), Metadata()
    about_file = {"nix_file_id": attributes.text(file.attrs.get("id"))}
    with found.refusing("/metadata"):
        about_file |= _unlinked_sections(file, metadata)
    for index, block in enumerate(groups_in(file["/"], "data")):
        with found.refusing(as_path(block.name)):
            if text_of(block, "type") == nix_neo.BLOCK:
                nix_neo.add_block(found, block, index, name, about_file, metadata)
            else:
                _add_block(found, block, index, about_file, metadata)
    if not found.objects and not found.refusals:
        found.refusals.append(Refusal("/", "it has no blocks"))
    return found


def _unlinked_sections(file: h5py.File, metadata: Metadata) -> dict[str, Any]:
    """Return the sections of a file that belong to no Block: what is said of the whole file."""
    blocks = [group_in(block, "metadata") for block in groups_in(file["/"], "data")]
    known = {identity(section) for section in blocks if section is not None}
    sections = [
        section
        for section in groups_in(file["/"], "metadata")
        if identity(section) not in known and text_of(section, "type") != NEO_METADATA
    ]
    told = {name_of(section): metadata.section(section) for section in sections}
    return {"sections": told} if told else {}


def _add_block(found: Found, block: h5py.Group, index: int, about_file: dict[str, Any], metadata: Metadata) -> None:
    """Add a Block as a Block and its one Segment: nothing in it says what was recorded when."""
    path = as_path(block.name)
    annotations = {key: value for key, value in about_file.items() if value} | metadata.of(block, path)
    groups = linked(block, "groups")
    if groups:
        annotations["nix_groups"] = groups
    said = {"name": name_of(block), "filedatetime": moment_of(block)}
    found.objects.append(FoundObject("block", path, {**said, "index": index, "annotations": annotations}))
    told = {**said, "index": 0, "annotations": {"nix_path": path}}
    found.objects.append(FoundObject("segment", path, told, {"block": path}))
    for kind, add in _PARTS.items():
        others = nix_tags.needed_by_others(block) if kind == "data_arrays" else set()
        for one in groups_in(block, kind):
            where = f"{path}/{kind}/{as_path(one.name).rpartition('/')[2]}"
            with found.refusing(where):
                if identity(one) in others and not _is_signal(one):
                    continue
                add(found, one, where, metadata, {"segment": path})


def _is_signal(group: h5py.Group) -> bool:
    """Whether a DataArray that others need has an axis of time that is not its own values."""
    array = data_array(group)
    return array.time_axis is not None and not array.is_own_axis


def _add_array(found: Found, group: h5py.Group, path: str, metadata: Metadata, parents: dict[str, str]) -> None:
    """Add a DataArray: a signal, or, where its values are their own axis, moments."""
    array = data_array(group)
    annotations = metadata.of(group, path)
    axis = _time_axis(array)
    if array.is_own_axis:
        times = nix_arrays.add_positions(found, group, array.data, array.dimensions[axis].clock or Clock("s"))
        told = {"annotations": {**annotations, "name": array.name}}
        found.objects.append(FoundObject("eventarray", path, told, parents, {"times": times.path}))
        return
    nix_arrays.add_signal(found, array, axis, FoundObject("", path, {"annotations": annotations}, parents))


def _time_axis(array: DataArray) -> int:
    if len(array.dimensions) < array.data.ndim:
        raise Refused(f"it has {array.data.ndim} axes but {len(array.dimensions)} dimensions")
    axis = array.time_axis
    if axis is None:
        told = [one.unit or f"no unit ({one.kind})" for one in array.dimensions]
        raise Refused(f"none of its dimensions is time: {', '.join(told) or 'it has none'}")
    return axis


def _refuse_table(*_: Any) -> None:
    raise Refused("it is a table (DataFrame), which is not served")


_PARTS: dict[str, Callable[..., None]] = {
    "data_arrays": _add_array,
    "data_frames": _refuse_table,
    "tags": nix_tags.add_tag,
    "multi_tags": nix_tags.add_multi_tag,
}

"""The tree that Neo's NixIO writes into NIX files: Blocks, Segments, signals, spike trains, events, epochs, groups.

A signal of several channels is a DataArray per channel there, and so an analogsignal each here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import nix_arrays, nix_tags, time_arrays
from storage.ingest.formats.clocks import Clock, clock
from storage.ingest.formats.members import group_in, groups_in
from storage.ingest.formats.nix_arrays import data_array
from storage.ingest.formats.nix_entities import (
    Metadata,
    array_annotations,
    moment_of,
    name_of,
    quantity_of,
    text_of,
    text_property,
)
from storage.ingest.formats.nix_neo_groups import Groups, groups_of, number_of
from storage.ingest.formats.time_arrays import Times
from storage.ingest.found import Found, FoundArray, FoundObject, as_path, identity, written_out
from storage.selection import require_axis

BLOCK = "neo.block"
SEGMENT = "neo.segment"
SIGNALS = ("neo.analogsignal", "neo.irregularlysampledsignal")
PICTURES = "neo.imagesequence"
ARRAY_ANNOTATIONS = "array_annotations"
NOT_ANNOTATIONS = ("neo_name", "t_start", "t_stop")
"""Properties that become fields."""


@dataclass(frozen=True, slots=True)
class _Section:
    """What Neo wrote of one object beside its arrays."""

    name: str | None = None
    annotations: dict[str, Any] = field(default_factory=dict)
    times: dict[str, tuple[float, str | None]] = field(default_factory=dict)
    """``t_start`` and ``t_stop``, where they are told."""
    length: int = 0
    """About how many characters the annotations take."""


def _section(group: h5py.Group, metadata: Metadata) -> _Section:
    before = metadata.left
    told = metadata.properties(group)
    arrays = {key: told.pop(key) for key in array_annotations(group) if key in told}
    kept = {key: value for key, value in told.items() if key not in NOT_ANNOTATIONS}
    times = {name: quantity_of(group, name) for name in ("t_start", "t_stop")}
    name = text_property(group, "neo_name")
    return _Section(
        name=None if name is None else written_out(name),
        annotations={**kept, **({ARRAY_ANNOTATIONS: arrays} if arrays else {})},
        times={key: value for key, value in times.items() if value is not None},
        length=before - metadata.left,
    )


@dataclass(slots=True)
class _Block:
    """One Block while it is read."""

    found: Found
    group: h5py.Group
    path: str
    metadata: Metadata
    groups: Groups = field(default_factory=Groups)
    used: set[tuple[str, str]] = field(default_factory=set)
    """Kinds and paths of what a Segment has; one may be in several."""

    _last: tuple[Hashable, _Section] | None = None

    def section_of(self, entity: h5py.Group) -> _Section:
        """Return what the metadata of an object say; all channels of a signal, one after another, share theirs."""
        group = group_in(entity, "metadata")
        if group is None:
            return _Section()
        own = identity(group)
        if self._last is None or self._last[0] != own:
            self._last = own, _section(group, self.metadata)
        elif not self.metadata.has_room(self._last[1].length):
            return replace(self._last[1], annotations={})
        return self._last[1]

    def place(self, kind: str, path: str, segment: str | None) -> str:
        """Return the ``source_path`` of an object of a Segment."""
        own = path if (kind, path) not in self.used else f"{path}@{segment}"
        self.used.add((kind, own))
        return own


def add_block(
    found: Found, group: h5py.Group, index: int, name: str, about_file: dict[str, Any], metadata: Metadata
) -> None:
    """Add a Block as Neo wrote it, with all that is in it.

    Parameters
    ----------
    found : Found
    group : h5py.Group
    index : int
        Of the Block in its file.
    name : str
        What it will be called if it has no name.
    about_file : dict
        What its annotations tell of the file.
    metadata : Metadata
    """
    path = as_path(group.name)
    block = _Block(found, group, path, metadata)
    section = block.section_of(group)
    annotations = {key: value for key, value in about_file.items() if value} | section.annotations
    annotations |= metadata.plain(group, path)
    said = {"name": section.name or name, "filedatetime": moment_of(group), "index": index}
    found.objects.append(FoundObject("block", path, {**said, "annotations": annotations}))
    block.groups = groups_of(found, group, path, metadata)
    for number, segment in enumerate(one for one in groups_in(group, "groups") if text_of(one, "type") == SEGMENT):
        where = as_path(segment.name)
        with found.refusing(where):
            section = block.section_of(segment)
            told: dict[str, Any] = {"name": section.name or f"segment {number}", "index": number}
            told |= {"filedatetime": moment_of(segment)}
            told["annotations"] = {**section.annotations, **metadata.plain(segment, where)}
            found.objects.append(FoundObject("segment", where, told, {"block": path}))
        _add_children(block, segment, where)
    _add_children(block, group, None)


def _add_children(block: _Block, around: h5py.Group, segment: str | None) -> None:
    """Add the objects of a Segment, or, without one, those of the Block that are in none."""
    parents = {} if segment is None else {"segment": segment}
    entities = [(kind, name_of(one), one) for kind in ("data_arrays", "multi_tags") for one in groups_in(around, kind)]
    n_channels = Counter(name.rpartition(".")[0] for kind, name, _ in entities if kind == "data_arrays")
    of_block = {kind: group_in(block.group, kind) for kind in ("data_arrays", "multi_tags")}
    for kind, name, linked in entities:
        path, there = f"{block.path}/{kind}/{name}", of_block[kind]
        if segment is None and (kind, path) in block.used:
            continue
        # Reached from the Block, where its name is its own, rather than by one of the links to it, which are ids.
        one = (there is not None and group_in(there, name)) or linked
        type_name = text_of(one, "type")
        place = block.place(kind, path, segment)
        with block.found.refusing(path):
            if type_name in SIGNALS:
                _add_signal(block, one, place, parents, n_channels[name.rpartition(".")[0]])
            elif type_name == PICTURES:
                raise Refused("it is a sequence of pictures, which are not served")
            elif type_name == "neo.spiketrain":
                _add_spike_train(block, one, place, parents)
            elif type_name in ("neo.event", "neo.epoch"):
                _add_moments(block, one, place, parents, type_name)


def _add_signal(block: _Block, group: h5py.Group, path: str, parents: dict[str, str], n_channels: int) -> None:
    """Add one channel of a signal."""
    array, section = data_array(group), block.section_of(group)
    if array.time_axis is None or array.data.ndim != 1:
        raise Refused("it has not one axis, of time, as Neo writes signals")
    channel = number_of(group)
    annotations = {**section.annotations, **block.metadata.plain(group, path)}
    name = section.name or name_of(group).rpartition(".")[0]
    if n_channels > 1:
        of_channel = _of_one(annotations.pop(ARRAY_ANNOTATIONS, {}), channel)
        annotations |= {"channel": channel, **({ARRAY_ANNOTATIONS: of_channel} if of_channel else {})}
        name = f"{name} {of_channel.get('channel_names', channel)}"
    fields: dict[str, Any] = {"name": name, "annotations": annotations}
    start = section.times.get("t_start")
    told = None if start is None else clock(start[1])
    if start is not None and told is not None and array.dimensions[0].kind == "sample":
        fields |= {"t_start": told.time(start[0]), "t_start_units": told.unit}
        require_axis(1.0, fields["t_start"])
    recorded_by = block.groups.channel_of(group, channel)
    more = {} if recorded_by is None else {"recordingchannel": recorded_by}
    nix_arrays.add_signal(block.found, array, 0, FoundObject("", path, fields, {**parents, **more}))


def _add_spike_train(block: _Block, tag: h5py.Group, path: str, parents: dict[str, str]) -> None:
    times, _ = _times_of(block.found, tag)
    section = block.section_of(tag)
    fields: dict[str, Any] = {"name": section.name}
    annotations = _in_order({**section.annotations, **block.metadata.plain(tag, path)}, times)
    for name, spike, outer in (("t_start", times.first, min), ("t_stop", times.last, max)):
        quantity = section.times.get(name)
        told = None if quantity is None else clock(quantity[1])
        if quantity is not None and told is not None:
            fields |= {name: told.time(quantity[0]), f"{name}_units": told.unit}
        else:
            fields |= {name: outer(0.0, spike), f"{name}_units": times.unit}
            annotations[f"{name}_source"] = "spikes"
    arrays = {"times": times.path}
    for feature in groups_in(tag, "features"):
        data = group_in(feature, "data")
        if data is not None and text_of(data, "type") == "neo.waveforms":
            with block.found.refusing(as_path(data.name)):
                arrays["waveforms"] = _add_waveforms(block.found, data, times, annotations)
            break
    unit = block.groups.unit_of(tag)
    more = {} if unit is None else {"unit": unit}
    fields["annotations"] = annotations
    block.found.objects.append(FoundObject("spiketrain", path, fields, {**parents, **more}, arrays))


def _add_waveforms(found: Found, group: h5py.Group, times: Times, annotations: dict[str, Any]) -> str:
    """Add the waveforms of a spike train: spikes × channels × samples; tells their rate in its annotations."""
    array = data_array(group)
    if array.data.shape[:1] != (times.n_times,):
        raise Refused(f"there are waveforms of the shape {array.data.shape} for {times.n_times} spikes")
    rate = next((one for one in array.dimensions if one.kind == "sample" and one.clock is not None), None)
    if rate is not None:
        told = nix_arrays.regular_fields(rate)
        annotations["waveforms_sampling_rate"] = {"data": told["sampling_rate"], "units": "Hz"}
    left_sweep = quantity_of(group_in(group, "metadata"), "left_sweep")
    if left_sweep is not None:
        annotations["left_sweep"] = {"data": left_sweep[0], "units": left_sweep[1]}
    units = text_of(group, "unit")
    if times.order is not None:
        values, path = time_arrays.values_of(array.data), f"{as_path(array.data.name)}#sorted"
        return time_arrays.add_made(found, path, times.ordered(values), units)
    path = found.describe(array.data)
    calibration = nix_arrays.calibration_of(group)
    return found.add_array(FoundArray(path, path, path.lstrip("/"), times.n_times, 0, units, calibration))


def _add_moments(block: _Block, tag: h5py.Group, path: str, parents: dict[str, str], kind: str) -> None:
    """Add an Event or an Epoch, which are arrays in Neo."""
    found = block.found
    times, positions = _times_of(found, tag)
    arrays = {"times": times.path}
    labels = nix_tags.labels_of_positions(data_array(positions))
    if labels is not None:
        arrays["labels"] = nix_tags.add_beside(found, f"{path}#labels", times, labels, None, "labels")
    if kind == "neo.epoch":
        extents = group_in(tag, "extents")
        if extents is None:
            raise Refused("it is an epoch without extents")
        data = data_array(extents).data
        told = clock(text_of(extents, "unit")) or Clock(times.unit)
        durations = told.times(time_arrays.values_of(data))
        if np.less(durations, 0).any():
            raise Refused("some of its durations are negative")
        arrays["durations"] = nix_tags.add_beside(found, f"{path}#durations", times, durations, told.unit, "durations")
    section = block.section_of(tag)
    annotations = _in_order({**section.annotations, **block.metadata.plain(tag, path)}, times)
    fields = {"annotations": {**annotations, **({"name": section.name} if section.name else {})}}
    type_name = "epocharray" if kind == "neo.epoch" else "eventarray"
    found.objects.append(FoundObject(type_name, path, fields, parents, arrays))


def _times_of(found: Found, tag: h5py.Group) -> tuple[Times, h5py.Group]:
    """Add the positions of a MultiTag as times; return also the DataArray that has them."""
    positions = group_in(tag, "positions")
    if positions is None:
        raise Refused("it has no positions")
    told = clock(text_of(positions, "unit"))
    if told is None:
        raise Refused(f"its times are in {text_of(positions, 'unit')!r}, which is no unit of time")
    return nix_arrays.add_positions(found, positions, data_array(positions).data, told), positions


def _of_one(arrays: dict[str, Any], channel: int) -> dict[str, Any]:
    """Return what array annotations say of one channel."""
    told = {key: value.get("data") if isinstance(value, dict) else value for key, value in arrays.items()}
    return {key: values[channel] for key, values in told.items() if isinstance(values, list) and channel < len(values)}


def _in_order(annotations: dict[str, Any], times: Times) -> dict[str, Any]:
    """Return annotations whose values for each time are in the order of the times."""
    if times.order is None or ARRAY_ANNOTATIONS not in annotations:
        return annotations
    arrays = {}
    for key, told in annotations[ARRAY_ANNOTATIONS].items():
        values = told.get("data") if isinstance(told, dict) else told
        if isinstance(values, list) and len(values) == times.n_times:  # of others only the beginning is told
            ordered = [values[row] for row in times.order.tolist()]
            arrays[key] = {**told, "data": ordered} if isinstance(told, dict) else ordered
    return {**annotations, ARRAY_ANNOTATIONS: arrays}

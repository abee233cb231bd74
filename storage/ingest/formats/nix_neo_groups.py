"""Which channels and units the objects of a Neo Block belong to, as NixIO wrote it.

Since Neo 0.10 these are Groups and ChannelViews; before it wrote a ChannelIndex and its Units as sources.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import nix_arrays, time_arrays
from storage.ingest.formats.members import group_in, groups_in
from storage.ingest.formats.nix_entities import Metadata, name_of, quantity_of, text_of
from storage.ingest.found import Found, FoundObject, as_path, identity

GROUPS = ("neo.group", "neo.subgroup")
CHANNEL_INDEX = "neo.channelindex"
UNIT = "neo.unit"


@dataclass(slots=True)
class Groups:
    """What is known of the groups of a Block."""

    channels: dict[Hashable, dict[int, str]] = field(default_factory=dict)
    """Of a DataArray, or of a source that it points to: paths of recordingchannels by the channel's number."""
    units: dict[Hashable, str] = field(default_factory=dict)
    """Of a MultiTag, or of a source that it points to: the path of its unit."""

    def take(self, others: Groups) -> None:
        """Add what is known of other groups, as far as nothing is known yet."""
        for array, channels in others.channels.items():
            self.channels[array] = {**channels, **self.channels.get(array, {})}
        self.units = {**others.units, **self.units}

    def channel_of(self, array: h5py.Group, channel: int) -> str | None:
        """Return the recordingchannel of a DataArray that is one channel of a signal."""
        for one in (array, *groups_in(array, "sources")):
            known = self.channels.get(identity(one), {})
            if channel in known:
                return known[channel]
        return None

    def unit_of(self, tag: h5py.Group) -> str | None:
        """Return the unit of a spike train."""
        known = (self.units.get(identity(one)) for one in (tag, *groups_in(tag, "sources")))
        return next((unit for unit in known if unit is not None), None)


def groups_of(found: Found, block: h5py.Group, path: str, metadata: Metadata) -> Groups:
    """Add the groups of a Block, with their channels, and its units."""
    groups = Groups()
    for kind, types, add in (("groups", GROUPS, _add_group), ("sources", (CHANNEL_INDEX,), _add_channel_index)):
        for one in groups_in(block, kind):
            if text_of(one, "type") in types:
                own = Groups()
                with found.refusing(as_path(one.name)):
                    add(found, one, path, metadata, own)
                    groups.take(own)
    return groups


def _add_group(found: Found, group: h5py.Group, block: str, metadata: Metadata, groups: Groups) -> None:
    """Add a Group: as a unit if it has spike trains, as a recordingchannelgroup if it has channels, or neither."""
    path, tags = as_path(group.name), groups_in(group, "multi_tags")
    trains = [tag for tag in tags if text_of(tag, "type") == "neo.spiketrain"]
    views = [tag for tag in tags if text_of(tag, "type") == "neo.channelview"]
    arrays = groups_in(group, "data_arrays")
    told = _told(group, path, metadata)
    if trains:
        found.objects.append(FoundObject("unit", path, told))
        for train in trains:
            groups.units.setdefault(identity(train), path)
        if not arrays and not views:
            return
    found.objects.append(FoundObject("recordingchannelgroup", path, told, {"block": block}))
    known: set[int] = set()
    for channel, array in _channels(arrays, views):
        own = f"{path}[{channel}]"
        if channel not in known:
            known.add(channel)
            told = {"name": str(channel), "index": channel, "annotations": {"nix_path": path}}
            found.objects.append(FoundObject("recordingchannel", own, told, {"recordingchannelgroup": path}))
        groups.channels.setdefault(identity(array), {}).setdefault(channel, own)


def _channels(arrays: list[h5py.Group], views: list[h5py.Group]) -> list[tuple[int, h5py.Group]]:
    """Return the channels that a Group has, as signals or as parts of signals, and the DataArrays of each."""
    found = [(number_of(array), array) for array in arrays]
    for view in views:
        positions = group_in(view, "positions")
        if positions is None:
            raise Refused("it has a ChannelView without channels")
        index = time_arrays.values_of(nix_arrays.data_array(positions).data)
        viewed = set(np.ravel(index).tolist())
        found += [(number, one) for one in groups_in(view, "references") if (number := number_of(one)) in viewed]
    return sorted(found, key=lambda one: one[0])


def number_of(array: h5py.Group) -> int:
    """Return which channel of its signal a DataArray is: the number at the end of its name."""
    number = name_of(array).rpartition(".")[2]
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def _add_channel_index(found: Found, source: h5py.Group, block: str, metadata: Metadata, groups: Groups) -> None:
    """Add a ChannelIndex with its channels and units, as Neo wrote them before version 0.10."""
    path = as_path(source.name)
    told = _told(source, path, metadata)
    found.objects.append(FoundObject("recordingchannelgroup", path, told, {"block": block}))
    for place, one in enumerate(groups_in(source, "sources")):
        own = as_path(one.name)
        told = _told(one, own, metadata)
        if text_of(one, "type") == UNIT:
            found.objects.append(FoundObject("unit", own, told))
            groups.units.setdefault(identity(one), own)
        elif text_of(one, "type") == CHANNEL_INDEX:
            index = quantity_of(group_in(one, "metadata"), "index")
            number = place if index is None else int(index[0])
            parents = {"recordingchannelgroup": path}
            found.objects.append(FoundObject("recordingchannel", own, {**told, "index": number}, parents))
            groups.channels.setdefault(identity(source), {}).setdefault(number, own)


def _told(entity: h5py.Group, path: str, metadata: Metadata) -> dict[str, Any]:
    told = metadata.properties(group_in(entity, "metadata"))
    name = told.pop("neo_name", None)
    return {"name": str(name or name_of(entity)), "annotations": {**told, **metadata.plain(entity, path)}}

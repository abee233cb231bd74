"""Tags and MultiTags of a NIX file: stretches and moments of time."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.formats import attributes, time_arrays
from storage.ingest.formats.clocks import Clock, clock
from storage.ingest.formats.members import dataset_in, group_in, groups_in
from storage.ingest.formats.nix_arrays import (
    DataArray,
    add_positions,
    data_array,
    labels_of,
    linked_group,
    quantities_of,
)
from storage.ingest.formats.nix_entities import Metadata, linked, name_of, text_of
from storage.ingest.formats.time_arrays import Times
from storage.ingest.found import Found, FoundObject, identity


@dataclass(frozen=True, slots=True)
class Place:
    """Where in time a tag counts."""

    axis: int
    """Which number of a position is the time."""
    clock: Clock


def add_multi_tag(found: Found, tag: h5py.Group, path: str, metadata: Metadata, parents: dict[str, str]) -> None:
    """Add a MultiTag: epochs if it has extents, else events."""
    positions = _part(tag, "positions")
    extents = group_in(tag, "extents")
    place = place_of(tag, positions)
    times = add_positions(found, positions.group, positions.data, place.clock, _column(positions, place))
    arrays = {"times": times.path}
    labels = labels_of_positions(positions)
    if labels is not None:
        arrays["labels"] = add_beside(found, f"{path}#labels", times, labels, None, "labels")
    if extents is not None:
        durations, unit = _durations(data_array(extents), place)
        arrays["durations"] = add_beside(found, f"{path}#durations", times, durations, unit, "extents")
    told = {"annotations": {**metadata.of(tag, path), "name": name_of(tag), **_of_references(tag)}}
    type_name = "eventarray" if extents is None else "epocharray"
    found.objects.append(FoundObject(type_name, path, told, parents, arrays))


def add_tag(found: Found, tag: h5py.Group, path: str, metadata: Metadata, parents: dict[str, str]) -> None:
    """Add a Tag: an epoch if it has an extent, else an event."""
    position, extent = dataset_in(tag, "position"), dataset_in(tag, "extent")
    if position is None:
        raise Refused("it has no position")
    place = place_of(tag, None)
    moment = place.clock.time(_number(time_arrays.values_of(position), place, "position"))
    fields: dict[str, Any] = {"label": name_of(tag), "time": moment, "time_units": place.clock.unit}
    fields["annotations"] = {**metadata.of(tag, path), **_of_references(tag)}
    if extent is not None and extent.size:
        fields["duration"] = place.clock.time(_number(time_arrays.values_of(extent), place, "extent"))
        if fields["duration"] < 0:
            raise Refused(f"its extent is {fields['duration']} {place.clock.unit}: it ends before it begins")
        fields["duration_units"] = place.clock.unit
    found.objects.append(FoundObject("epoch" if "duration" in fields else "event", path, fields, parents))


def place_of(tag: h5py.Group, positions: DataArray | None) -> Place:
    """Return where in time a tag counts: as its units say, else its positions, else the arrays that it is about."""
    dimensions = _dimensions_of_references(tag)
    units = [str(attributes.plain(one) or "") for one in np.ravel(_units(tag))]
    told = [clock(unit) for unit in units]
    if any(told):
        axis = next(place for place, one in enumerate(told) if one is not None)
        return Place(axis, told[axis] or Clock("s"))
    own = None if positions is None else clock(text_of(positions.group, "unit"))
    axis, of_array = next(((place, one) for place, one in enumerate(dimensions) if one is not None), (0, None))
    if own is not None or of_array is not None:
        return Place(axis, own or of_array or Clock("s"))
    raise Refused("neither its units nor its positions nor the arrays that it is about tell a unit of time")


def add_beside(found: Found, path: str, times: Times, values: NDArray[np.generic], units: str | None, what: str) -> str:
    """Add what a file tells of each of some times, in their order."""
    if len(values) != times.n_times:
        raise Refused(f"it has {len(values)} {what} for {times.n_times} positions")
    return time_arrays.add_made(found, path, times.ordered(values), units)


def labels_of_positions(positions: DataArray) -> NDArray[np.bytes_] | None:
    """Return what the first dimension of positions calls them."""
    return labels_of(positions.dimensions[0]) if positions.dimensions else None


def needed_by_others(block: h5py.Group) -> set[Hashable]:
    """Return the identities of DataArrays that are positions, extents, ticks or labels of others."""
    found: list[h5py.Group | None] = []
    for tag in groups_in(block, "multi_tags"):
        found += [group_in(tag, "positions"), group_in(tag, "extents")]
    needed = {identity(one) for one in found if one is not None}
    for array in groups_in(block, "data_arrays"):
        links = map(linked_group, groups_in(array, "dimensions"))
        needed |= {identity(one) for one in links if one is not None} - {identity(array)}
    return needed


def _part(tag: h5py.Group, name: str) -> DataArray:
    group = group_in(tag, name)
    if group is None:
        raise Refused(f"it has no {name}")
    return data_array(group)


def _column(positions: DataArray, place: Place) -> list[int] | None:
    """Return which part of positions is the time: a column where each has a number per axis."""
    return [-1, place.axis] if positions.data.ndim == 2 else None


def _durations(extents: DataArray, place: Place) -> tuple[NDArray[np.generic], str]:
    told = clock(text_of(extents.group, "unit")) or place.clock
    values, _ = quantities_of(extents.group, extents.data, _column(extents, place))
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or np.less(values, 0).any():
        raise Refused("its extents are not all numbers that are not negative")
    return told.times(values), told.unit


def _number(values: NDArray[np.generic], place: Place, what: str) -> float:
    if place.axis >= values.size:
        raise Refused(f"its {what} has {values.size} numbers, none of them for the axis of time")
    return attributes.number(values[place.axis], what)


def _units(tag: h5py.Group) -> Any:
    """Return the units of a tag, which are a dataset or, of older files, an attribute."""
    stored = dataset_in(tag, "units")
    return tag.attrs.get("units", []) if stored is None else stored[()] if stored.size else []


def _dimensions_of_references(tag: h5py.Group) -> list[Clock | None]:
    """Return, for each axis of the first array that a tag is about, how its times are told."""
    for group in groups_in(tag, "references"):
        return [one.clock for one in data_array(group).dimensions]
    return []


def _of_references(tag: h5py.Group) -> dict[str, list[str]]:
    told = {"references": linked(tag, "references")}
    features = [group_in(one, "data") for one in groups_in(tag, "features")]
    told["features"] = [name_of(one) for one in features if one is not None]
    return {key: names for key, names in told.items() if names}

"""The entities of a NIX file: what each says of itself, and the sections of metadata that it points to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import attributes
from storage.ingest.formats.members import dataset_in, group_in, groups_in, members
from storage.ingest.found import as_path, written_out

ARRAY_ANNOTATION = "ARRAYANNOTATION"
"""Type of a property that has one value for each channel or time of its object, as Neo writes it."""
EMPTY_LIST = "EMPTYLIST"

MAX_DEPTH = 3
"""Sections in sections that are told."""
MAX_PROPERTIES = 500
"""Of one entity that are told."""
MAX_VALUES = 100
"""Of one property that are told."""
MAX_LENGTH = 1_000_000
"""Characters of the metadata of one entity that are told, about."""
MAX_FILE_LENGTH = 16_000_000
"""Characters of all metadata of a file that are told, about: many entities may point to one large section."""


def text_of(entity: h5py.Group, name: str) -> str | None:
    """Return an attribute that is text and not empty."""
    return attributes.text(entity.attrs.get(name)) or None


def name_of(entity: h5py.Group) -> str:
    """Return what an entity is called; that of a link to it may be its id."""
    return written_out(text_of(entity, "name") or "") or as_path(entity.name).rpartition("/")[2]


def moment_of(entity: h5py.Group) -> datetime | None:
    """Return when an entity was created, which is told like ``20171005T144242``."""
    try:
        # Not strptime(), which imports what the sandbox does not let it import.
        return datetime.fromisoformat(text_of(entity, "created_at") or "").replace(tzinfo=UTC)
    except ValueError:
        return None


def linked(entity: h5py.Group, name: str) -> list[str]:
    """Return the names of the entities that one points to."""
    return [name_of(one) for one in groups_in(entity, name)][:MAX_VALUES]


@dataclass(slots=True)
class Metadata:
    """Tells what is said of entities, as long as it is not too much."""

    left: int = MAX_FILE_LENGTH
    """Characters that can still be told."""

    def of(self, entity: h5py.Group, path: str) -> dict[str, Any]:
        """Return the annotations of an entity: what it says itself, and its metadata under their own key."""
        said = self.plain(entity, path)
        section = group_in(entity, "metadata")
        told = {} if section is None else self.section(section)
        return {**said, "metadata": told} if told else said

    def plain(self, entity: h5py.Group, path: str) -> dict[str, Any]:
        """Return what an entity says itself."""
        said = {"nix_path": path, "nix_id": text_of(entity, "entity_id"), "nix_type": text_of(entity, "type")}
        said |= {"description": text_of(entity, "definition"), "label": text_of(entity, "label")}
        said = {key: attributes.plain(value) for key, value in said.items() if value is not None}
        sources = linked(entity, "sources")
        return {**said, "sources": sources} if sources else said

    def has_room(self, length: int) -> bool:
        """Take room for what is told once more; whether there was enough."""
        self.left -= length
        return self.left > 0

    def section(self, section: h5py.Group) -> dict[str, Any]:
        """Return the properties of a section, and the sections in it by their names."""
        return self._section(section, _Room(), 1)

    def properties(self, section: h5py.Group | None) -> dict[str, Any]:
        """Return the properties of a section alone, as plain values, lists, or quantities."""
        return {} if section is None else self._properties(section, _Room())

    def _properties(self, section: h5py.Group, left: _Room) -> dict[str, Any]:
        told: dict[str, Any] = {}
        around = group_in(section, "properties")
        for name, found in () if around is None else members(around):
            if left.n_properties <= 0 or left.length <= 0 or self.left <= 0:
                told["…"] = "more properties are not told"
                break
            if isinstance(found, h5py.Dataset):
                left.n_properties -= 1
                told[name], length = _value(found)
                left.length -= length
                self.left -= length
        return told

    def _section(self, section: h5py.Group, left: _Room, depth: int) -> dict[str, Any]:
        told = self._properties(section, left)
        inner = groups_in(section, "sections")
        if inner and depth >= MAX_DEPTH:
            told["…"] = "sections in this one are not told"
            return told
        for one in inner:
            if left.n_properties <= 0:
                break
            name = name_of(one)
            told[f"{name} (section)" if name in told else name] = self._section(one, left, depth + 1)
        return told


@dataclass(slots=True)
class _Room:
    """What of one entity can still be told."""

    n_properties: int = MAX_PROPERTIES
    length: int = MAX_LENGTH


def _value(stored: h5py.Dataset) -> tuple[Any, int]:
    """Return what a property says, and about how many characters that takes."""
    values = [attributes.plain(value) for value in _values(stored)]
    length = 40 + sum(len(value) if isinstance(value, str) else 8 for value in values)
    if not values:
        return [] if attributes.text(stored.attrs.get("definition")) == EMPTY_LIST else "", length
    if len(stored) > len(values):
        values.append(f"… ({len(stored)} in all)")
    said: Any = values[0] if len(values) == 1 else values
    unit = attributes.text(stored.attrs.get("unit"))
    return {"data": said, "units": unit} if unit else said, length


def text_property(section: h5py.Group | None, name: str) -> str | None:
    """Return a property that is one text; None where there is none, or an empty one."""
    around = None if section is None else group_in(section, "properties")
    stored = None if around is None else dataset_in(around, name)
    values = [] if stored is None else [attributes.text(value) for value in _values(stored)]
    return values[0] or None if len(values) == 1 else None


def array_annotations(section: h5py.Group) -> list[str]:
    """Return the names of the properties that have one value for each channel or time, as Neo writes them."""
    around = group_in(section, "properties")
    stored = [] if around is None else list(members(around))
    return [name for name, one in stored if attributes.text(one.attrs.get("type")) == ARRAY_ANNOTATION]


def quantity_of(section: h5py.Group | None, name: str) -> tuple[float, str | None] | None:
    """Return a property that is one number, and its unit; None where there is no such."""
    around = None if section is None else group_in(section, "properties")
    stored = None if around is None else dataset_in(around, name)
    if stored is None:
        return None
    values = list(_values(stored))
    try:
        return (attributes.number(values[0], name), attributes.text(stored.attrs.get("unit"))) if values else None
    except Refused:
        return None


def _values(stored: h5py.Dataset) -> Iterable[Any]:
    """Return the first values of a property; before version 1.1.1 each stood in a record of its own."""
    if not stored.size or stored.ndim != 1:
        return []
    values = stored[: min(len(stored), MAX_VALUES)]
    names = values.dtype.names
    return list(values["value"] if names and "value" in names else np.asarray(values))

"""The tree of an NWB file: its typed groups, wherever they lie, and what hangs on them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats.attributes import plain, text
from storage.ingest.formats.members import opened
from storage.ingest.found import as_path, identity

MAX_DEPTH = 64
MAX_LISTED = 1000
"""Values of a list of text or numbers that are told in annotations."""


@dataclass(slots=True)
class Tree:
    """What of a file has a ``neurodata_type``.

    Only hard links are followed, so that no cycle and no other file is met.
    """

    file: h5py.File
    groups: list[h5py.Group] = field(default_factory=list)
    """Each once, parents before children."""
    paths: dict[Hashable, str] = field(default_factory=dict)
    """Where each lies, by its identity."""
    untyped: list[h5py.Group] = field(default_factory=list)
    """Groups that only hold others, or what no type tells the meaning of."""
    outside: list[tuple[str, str]] = field(default_factory=list)
    """Links to other files: where they are, and the names of these files."""

    def walk(self) -> None:
        """Fill in everything, as far as the file can be read."""
        seen: set[Hashable] = set()
        below = [(self.file["/"], 0)]
        while below:
            group, depth = below.pop()
            own = identity(group)
            if own in seen or depth > MAX_DEPTH:
                continue
            seen.add(own)
            if type_of(group):
                self.groups.append(group)
                self.paths[own] = path_of(group)
            else:
                self.untyped.append(group)
            below += [(inner, depth + 1) for inner in reversed(list(self._groups_in(group)))]

    def target(self, reference: Any) -> h5py.Group | h5py.Dataset | None:
        """Return what an object reference means; None where that is nothing, or cannot be opened."""
        if not isinstance(reference, h5py.Reference) or not reference:
            return None
        try:
            found = self.file[reference]
        except (KeyError, ValueError, RuntimeError, OSError):  # what it means is gone
            return None
        return found if isinstance(found, h5py.Group | h5py.Dataset) else None

    def path_to(self, reference: Any) -> str | None:
        """Return where the typed group lies that an object reference means."""
        found = self.target(reference)
        return None if found is None else self.paths.get(identity(found))

    def linked(self, group: h5py.Group, name: str) -> str | None:
        """Return where the typed group lies that is, or is linked as, a member of a group."""
        found = group_in(group, name)
        return None if found is None else self.paths.get(identity(found))

    def _groups_in(self, group: h5py.Group) -> Iterator[h5py.Group]:
        """Yield the groups that lie in a group, also those whose names are not Unicode."""
        for name in group.id:
            kind = group.id.links.get_info(name).type
            if kind == h5py.h5l.TYPE_EXTERNAL:
                file_name = as_path(group.id.links.get_val(name)[0])
                self.outside.append((as_path(group.name).rstrip("/") + "/" + as_path(name), file_name))
            if kind != h5py.h5l.TYPE_HARD:
                continue
            try:
                if h5py.h5g.get_objinfo(group.id, name).type == h5py.h5g.GROUP:
                    yield h5py.Group(h5py.h5g.open(group.id, name))
            except (KeyError, RuntimeError, OSError):  # an object that libhdf5 cannot open; the rest can be served
                continue


def path_of(group: h5py.Group | h5py.Dataset) -> str:
    """Return where in the file a group or dataset lies."""
    return as_path(group.name)


def name_of(path: str) -> str:
    """Return the last part of a path."""
    return path.rpartition("/")[2]


def type_of(group: h5py.Group | h5py.Dataset) -> str:
    """Return the ``neurodata_type``, empty where there is none."""
    return text(group.attrs.get("neurodata_type")) or ""


def has(group: h5py.Group, name: str) -> bool:
    """Whether a group has a link of this name; where that leads is not looked at."""
    return bool(group.id.links.exists(name.encode()))


def dataset_in(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return a dataset of a group, also by a link within the file; None where there is none.

    Raises
    ------
    Refused
        If it lies in another file.
    """
    link = group.get(name, getlink=True)
    if link is None:
        return None
    if isinstance(link, h5py.ExternalLink):
        raise Refused(lies_in(as_path(link.filename), f"its {name}"))
    found = opened(group, name)
    return found if isinstance(found, h5py.Dataset) else None


def datasets_in(group: h5py.Group) -> Iterator[h5py.Dataset]:
    """Yield the datasets that lie in a group itself, whatever their names, of those that can be opened."""
    for name in group.id:
        if group.id.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            continue
        with suppress(KeyError, RuntimeError, OSError):
            if h5py.h5g.get_objinfo(group.id, name).type == h5py.h5g.DATASET:
                yield h5py.Dataset(h5py.h5d.open(group.id, name))


def group_in(group: h5py.Group, name: str) -> h5py.Group | None:
    """Return a group of a group, also by a link within the file; None where there is none."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink | h5py.SoftLink):
        return None
    found = opened(group, name)
    return found if isinstance(found, h5py.Group) else None


def lies_in(file_name: str, what: str = "its data") -> str:
    """Return why something is refused that lies in another file, which is never opened."""
    return f"{what} lie in {file_name}, which this file links to; register that file"


def texts(group: h5py.Group | h5py.Dataset, *names: str) -> dict[str, Any]:
    """Return those attributes and, of a group, scalar text datasets that it has."""
    found: dict[str, Any] = {}
    for name in names:
        value = group.attrs.get(name)
        is_group = value is None and isinstance(group, h5py.Group)
        if is_group and isinstance(group.get(name, getlink=True), h5py.HardLink):
            dataset = dataset_in(group, name)
            value = dataset[()] if dataset is not None and dataset.shape == () else None
        said = plain(value)
        if said not in (None, ""):
            found[name] = said
    return found


def everything(group: h5py.Group, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return all that a group tells in attributes, and in short datasets of text and numbers, as annotations.

    Parameters
    ----------
    group : h5py.Group
    leave_out : frozenset of str
        Names of what is not looked at.
    """
    found: dict[str, Any] = {}
    for name in group.attrs:
        if name not in leave_out | NOT_TOLD:
            found[name] = _told(group.attrs, name)
    for name in group:
        if name in leave_out or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        dataset = dataset_in(group, name)
        if dataset is None or dataset.shape is None or dataset.ndim > 1 or dataset.size > MAX_LISTED:
            continue
        found[name] = listed(dataset)
        units = text(dataset.attrs.get("unit"))
        if units and found[name] is not None:
            found[f"{name}_units"] = units
    return {as_path(name): value for name, value in found.items() if value not in (None, "", [])}


NOT_TOLD = frozenset({"namespace", "object_id", "neurodata_type", "help", "ancestry"})
"""Attributes that say nothing about a recording, or are told anyway."""


def listed(dataset: h5py.Dataset) -> Any:
    """Return a scalar, such as a position, or a list of text or numbers, as JSON has it; None for what is neither."""
    if dataset.dtype.names is not None and dataset.size == 1:
        value = np.ravel(dataset[()])[0]
        return {as_path(name): plain(value[name]) for name in dataset.dtype.names}
    if h5py.check_string_dtype(dataset.dtype) is None and dataset.dtype.kind not in "biufS":
        return None
    return _plain(dataset[()])


def _told(attributes: h5py.AttributeManager, name: str) -> Any:
    try:
        return _plain(attributes[name])
    except (OSError, RuntimeError, TypeError, ValueError):  # a type that h5py does not know
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return [plain(one) for one in value[:MAX_LISTED]] if value.dtype.kind in "biufSOU" else None
    return plain(value)

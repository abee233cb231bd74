"""The tree of an NWB file: its typed groups, wherever they lie, and what hangs on them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats.attributes import plain, text
from storage.ingest.found import as_path, identity

MAX_DEPTH = 64


def typed_groups(file: h5py.File) -> Iterator[h5py.Group]:
    """Yield each group that has a ``neurodata_type``, once.

    Only hard links are followed, so that no cycle and no other file is met.
    """
    seen: set[Hashable] = set()
    below = [(file["/"], 0)]
    while below:
        group, depth = below.pop()
        if identity(group) in seen or depth > MAX_DEPTH:
            continue
        seen.add(identity(group))
        if type_of(group):
            yield group
        below += [(inner, depth + 1) for inner in reversed(list(_groups_in(group)))]


def path_of(group: h5py.Group) -> str:
    """Return where in the file a group lies."""
    return as_path(group.name)


def type_of(group: h5py.Group) -> str:
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
        raise Refused(f"its {name} lies in another file ({link.filename!r}); register that")
    found = group.get(name)
    return found if isinstance(found, h5py.Dataset) else None


def texts(group: h5py.Group, *names: str) -> dict[str, Any]:
    """Return those attributes and scalar text datasets that a group has."""
    found: dict[str, Any] = {}
    for name in names:
        value = group.attrs.get(name)
        if value is None and isinstance(group.get(name, getlink=True), h5py.HardLink):
            dataset = dataset_in(group, name)
            value = dataset[()] if dataset is not None and dataset.shape == () else None
        said = plain(value)
        if said not in (None, ""):
            found[name] = said
    return found


def _groups_in(group: h5py.Group) -> Iterator[h5py.Group]:
    """Yield the groups that lie in a group, also those whose names are not Unicode."""
    for name in group.id:
        if group.id.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            continue
        try:
            if h5py.h5g.get_objinfo(group.id, name).type == h5py.h5g.GROUP:
                yield h5py.Group(h5py.h5g.open(group.id, name))
        except (KeyError, RuntimeError, OSError):  # an object that libhdf5 cannot open; the rest can be served
            continue

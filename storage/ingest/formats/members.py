"""What lies in a group of an HDF5 file, by name, without ever leaving the file."""

from __future__ import annotations

from collections.abc import Iterator

import h5py

from storage.errors import Refused


def dataset_in(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return a dataset of a group; None where there is none.

    Raises
    ------
    Refused
        If it lies in another file.
    """
    found = _member(group, name)
    return found if isinstance(found, h5py.Dataset) else None


def group_in(group: h5py.Group, name: str) -> h5py.Group | None:
    """Return a group of a group; None where there is none, Refused as for ``dataset_in``."""
    found = _member(group, name)
    return found if isinstance(found, h5py.Group) else None


def groups_in(group: h5py.Group, name: str) -> list[h5py.Group]:
    """Return the groups that lie in a group of a group, in their order; none where there is no such group."""
    around = group_in(group, name)
    return [] if around is None else [one for _, one in members(around) if isinstance(one, h5py.Group)]


def members(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield the groups and datasets in a group, in the order that the file tells; what cannot be opened is left out."""
    for name in group:
        try:
            found = _member(group, name)
        except Refused:
            continue
        if isinstance(found, h5py.Group | h5py.Dataset):
            yield name, found


def opened(group: h5py.Group, name: str) -> object:
    """Return what a link within the file leads to; None where that is nothing that can be opened."""
    try:
        return group.get(name)
    except (KeyError, RuntimeError, OSError, ValueError):  # as where a link leads to itself
        return None


def _member(group: h5py.Group, name: str) -> object:
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise Refused(f"its {name} lies in another file ({link.filename!r}); register that")
    return None if link is None else opened(group, name)

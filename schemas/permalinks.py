"""Permalinks: what objects are called in documents."""

from __future__ import annotations

import re

from storage.catalog.models import ALIASES, TYPES

PERMALINK = re.compile(r"/electrophysiology/([a-z]+)/([0-9]{1,19})/?")

DATAFILE = re.compile(r"(?:/datafiles/)?([0-9]{1,19})/?")


def object_permalink(type_name: str, id_: int) -> str:
    """Return the permalink of a Neo object."""
    return f"/electrophysiology/{type_name}/{id_}"


def datafile_permalink(id_: int) -> str:
    """Return the permalink of a datafile: its whole array."""
    return f"/datafiles/{id_}"


def upload_permalink(id_: str) -> str:
    """Return the permalink of an upload by parts."""
    return f"/datafiles/uploads/{id_}"


def part_link(upload_id: str, number: int) -> str:
    """Return the address of the service that takes a part of an upload."""
    return f"{upload_permalink(upload_id)}/parts/{number}"


def datafile_reference(text: str) -> int:
    """Return the id in ``5`` or ``/datafiles/5``; raises ValueError for anything else, such as a part of an array."""
    match = DATAFILE.fullmatch(text)
    if match is None:
        told = "names a part of an array" if text.startswith("/datafiles/") and "?" in text else "is no datafile"
        raise ValueError(f"{told}: give the id or the permalink of a datafile, such as /datafiles/5")
    return int(match[1])


def user_permalink(id_: int) -> str:
    """Return the permalink of a user."""
    return f"/user/{id_}"


def reference(text: str, type_name: str) -> int:
    """Return the id in ``3`` or ``/electrophysiology/segment/3``; raises ValueError for anything else."""
    match = PERMALINK.fullmatch(text)
    if match is not None and ALIASES.get(match[1], match[1]) == type_name:
        return int(match[2])
    if re.fullmatch("[0-9]{1,19}", text):
        return int(text)
    kind = type_name if type_name in TYPES else "object"
    raise ValueError(f"{text[:40]!r} is neither the id nor the permalink of a {kind}")

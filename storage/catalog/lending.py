"""Which arrays a caller may read through objects: each object lends its readers what its owner may write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.files import Datafile
from storage.catalog.permissions import Caller, may_read, may_read_array
from storage.catalog.uses import links


def lent(session: Session, caller: Caller, datafile_ids: Iterable[int]) -> set[int]:
    """Return which of some datafiles a caller may read through an object of their owner."""
    ids = sorted(set(datafile_ids))
    if not ids:
        return set()
    owned = select(Datafile.id, Datafile.owner_id).where(Datafile.id.in_(ids))
    owners = {row.id: row.owner_id for row in session.execute(owned)}
    uses = session.execute(links(lambda linked: linked.in_(ids)))
    return {use.datafile_id for use in uses if use.owner_id == owners[use.datafile_id] and may_read(caller, use)}


def hidden_arrays(session: Session, caller: Caller, rows: Sequence[Any]) -> Mapping[int, list[str]]:
    """Return the array fields of objects of one type that are others' arrays, kept private, by the id of the object.

    Where such an array lies in time is told as little as its samples.
    """
    asked = {row.id: dict(_not_its_own(caller, row)) for row in rows}
    open_ = lent(session, caller, (id_ for fields in asked.values() for id_ in fields.values()))
    return {row_id: [name for name, id_ in fields.items() if id_ not in open_] for row_id, fields in asked.items()}


def _not_its_own(caller: Caller, row: Any) -> Iterator[tuple[str, int]]:
    """Yield field and id of the arrays that an object alone gives its reader no leave to read."""
    for name in row.array_fields:
        datafile = getattr(row, name)
        if datafile is not None and not may_read_array(caller, datafile, [row]):
            yield name, datafile.id

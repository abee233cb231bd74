"""What a person changed of what a file says: it stays, and what the file says is kept beside it.

A row of a registered file has, for each column that a person changed, what the file says there; by that a person may
take the change back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from storage.catalog.base import ACTIVE, UTCDateTime

UNITS = "units"
STATE = "current_state"


def note(row: Any, changed: Mapping[str, Any]) -> None:
    """Note columns that a person is about to change on a row, from what they are now; nothing of what no file says.

    Parameters
    ----------
    row : NeoObject or Datafile
    changed : mapping of str to object
        New values, by column.
    """
    if row.file_id is None or row.source_path is None:
        return
    known = dict(row.corrections or {})
    columns = row.__table__.columns
    for name in changed:
        field = name.removesuffix("_units")
        # A number and its unit are corrected together: either alone would change its meaning with the file.
        for one in (field, f"{field}_units", name):
            if one in columns:
                known.setdefault(one, _as_json(getattr(row, one)))
    row.corrections = known


def kept(row: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file says in columns that nobody corrected; what it says in the others is noted on the row."""
    known = row.corrections
    if not known:
        return dict(columns)
    said = {name: _as_json(columns[name]) for name in known if name in columns}
    if any(known[name] != value for name, value in said.items()):
        row.corrections = {**known, **said}
    return {name: value for name, value in columns.items() if name not in known}


def said_by_file(row: Any, columns: Iterable[str]) -> dict[str, Any]:
    """Return what the file says in columns that were corrected."""
    known = row.corrections or {}
    types = row.__table__.columns
    return {name: _from_json(types[name].type, known[name]) for name in columns if name in known}


def forget(row: Any, columns: Iterable[str]) -> None:
    """Forget that columns were corrected; they are whatever they are now."""
    gone = set(columns)
    row.corrections = {name: value for name, value in (row.corrections or {}).items() if name not in gone} or None


def take_back(row: Any) -> bool:
    """Give all corrected columns of a row what the file says; return whether there were any."""
    said = said_by_file(row, row.corrections or {})
    for name, value in said.items():
        setattr(row, name, value)
    row.corrections = None
    return bool(said)


def fields(row: Any) -> list[str]:
    """Return the fields of a row that a person corrected, as documents name them."""
    names = {name.removesuffix("_units") for name in row.corrections or {} if name != STATE}
    linked = {*type(row).array_fields, *type(row).parent_fields}
    own = {name.removesuffix("_id") if name.removesuffix("_id") in linked else name for name in names}
    return sorted(own.union(of_arrays(row)))


def of_arrays(row: Any) -> dict[str, Any]:
    """Return the arrays of a row, by field, of which a person corrected the unit that the row's file says."""
    linked = {name: getattr(row, name) for name in type(row).array_fields}
    return {
        name: one
        for name, one in linked.items()
        if one is not None and one.file_id == row.file_id and UNITS in (one.corrections or {})
    }


def columns_of(row: Any, names: Iterable[str]) -> list[str]:
    """Return the corrected columns of fields."""
    spelled = {one for name in names for one in (name, f"{name}_units", f"{name}_id")}
    return [name for name in row.corrections or {} if name in spelled]


def is_archived_by_hand(row: Any) -> bool:
    """Whether a person archived what the file has."""
    return row.current_state != ACTIVE and STATE in (row.corrections or {})


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _from_json(column_type: Any, value: Any) -> Any:
    is_moment = isinstance(column_type, UTCDateTime) and value is not None
    return datetime.fromisoformat(value) if is_moment else value

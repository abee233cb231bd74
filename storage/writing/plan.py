"""What becomes of one object, once every field was checked against the catalog."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog import corrections
from storage.catalog.base import now
from storage.catalog.files import Datafile
from storage.catalog.models import TYPES
from storage.catalog.permissions import Caller
from storage.catalog.uses import MAX_ID
from storage.writing import arrays, parents, rules, taking_back
from storage.writing.arrays import Candidate, Field
from storage.writing.given import Faults, Given, GivenArray, Invalid
from storage.writing.inline_arrays import INLINE
from storage.writing.rules import KnownEnds


@dataclass(frozen=True, slots=True)
class Plan:
    """What an object gets: every field of it was found right."""

    given: Given
    candidates: Mapping[str, Candidate | None]
    """Arrays that were given, by field."""
    taken_back: Collection[str] = ()
    """Columns that are given what the file says: they are not corrected any more."""

    def apply(self, session: Session, row: Any, stored: Mapping[str, Datafile]) -> bool:
        """Set what differs on a row, and say on datafiles what was said of them; return whether anything differs."""
        columns = dict(self.given.columns)
        columns |= {f"{name}_id": id_ for name, id_ in self.given.parents.items()}
        for name, candidate in self.candidates.items():
            columns[f"{name}_id"] = _datafile_id(candidate, stored.get(name))
        differs = {name: value for name, value in columns.items() if _is_other(getattr(row, name), value)}
        if "safety_level" in differs:
            _follow(row, differs["safety_level"])
        if row.id is not None:
            corrections.note(row, {name: value for name, value in differs.items() if name not in self.taken_back})
        for name, value in differs.items():
            setattr(row, name, value)
        if self.taken_back:
            corrections.forget(row, self.taken_back)
        several = [_set_several(session, row, name, ids) for name, ids in self.given.several.items()]
        says_units = self._say_units(session)
        return bool(differs) or any(several) or says_units or bool(self.taken_back)

    def _say_units(self, session: Session) -> bool:
        """Write units that datafiles did not have, or had in another spelling or before a correction."""
        said = False
        for candidate in self.candidates.values():
            if candidate is None or candidate.datafile is None:
                continue
            if candidate.new_units is None and not candidate.is_taken_back:
                continue
            datafile = session.get(Datafile, candidate.datafile.id)
            if datafile is None:
                continue
            if candidate.is_taken_back:
                corrections.take_back(datafile)
            else:
                corrections.note(datafile, {"units": candidate.new_units})
                datafile.units = candidate.new_units
            datafile.last_modified, said = now(), True
        return said


def inline(given: Given) -> dict[str, GivenArray]:
    """Return the arrays that are to be stored, by field."""
    return {name: one for name, one in given.arrays.items() if one is not None and one.values is not None}


def lock_arrays(session: Session, given: Given, rows: Sequence[Any]) -> None:
    """Keep linked datafiles as they are until the end of the transaction, and know them as they are by then."""
    ids = {one.datafile_id for one in given.arrays.values() if one is not None}
    ids |= {getattr(row, f"{name}_id") for row in rows for name in given.arrays}
    known = sorted(id_ for id_ in ids if id_ is not None and id_ <= MAX_ID)
    if known:
        locked = select(Datafile).where(Datafile.id.in_(known)).order_by(Datafile.id).with_for_update(of=Datafile)
        session.scalars(locked.execution_options(populate_existing=True)).all()


def made(session: Session, caller: Caller, model: type[Any], row: Any, given: Given, ends: KnownEnds) -> Plan:
    """Check what was given of one object against the catalog.

    Parameters
    ----------
    session : Session
    caller : Caller
    model : type of NeoObject
    row : NeoObject or None
        None for one that is to be created.
    given : Given
    ends : KnownEnds

    Raises
    ------
    Invalid
        Naming every field that is wrong, also those that were found wrong before.
    """
    faults: Faults = {name: list(said) for name, said in given.faults.items()}

    def fault(name: str, reason: str) -> None:
        faults.setdefault(name, []).append(reason)

    given, taken_back = taking_back.expanded(row, given, fault)
    _check_parents(session, caller, row, given, fault)
    candidates: dict[str, Candidate | None] = {}
    for name, one in given.arrays.items():
        if one is None:
            candidates[name] = None
        else:
            candidates[name] = arrays.checked(session, caller, one, Field(row, name), partial(fault, name))
    for name, reason in arrays.contradictions(candidates):
        fault(name, reason)
    kept = {name: arrays.kept(session, caller, getattr(row, name, None)) for name in model.array_fields}
    result = {**kept, **candidates} | dict.fromkeys(faults.keys() & set(model.array_fields))

    def value(name: str) -> Any:
        if name.removesuffix("_units") in faults:
            return None
        return given.columns[name] if name in given.columns else getattr(row, name, None)

    sent = {*given.arrays, *given.columns}
    for name, reason in list(rules.faults(model, result, value, sent, ends)):
        fault(name, reason)
    if faults:
        raise Invalid(faults)
    return Plan(given, candidates, taken_back)


def _check_parents(session: Session, caller: Caller, row: Any, given: Given, fault: Any) -> None:
    """Check those parents that the object does not have yet."""
    for name, id_ in given.parents.items():
        if id_ is not None and id_ != getattr(row, f"{name}_id", None):
            reason = parents.fault(session, caller, name, [id_])
            if reason is not None:
                fault(name, reason)
    for name, ids in given.several.items():
        current = {one.id for one in getattr(row, f"{name}s", ())}
        reason = parents.fault(session, caller, name, set(ids) - current)
        if reason is not None:
            fault(name, reason)


def _datafile_id(candidate: Candidate | None, stored: Datafile | None) -> int | None:
    if stored is not None:
        return stored.id
    return None if candidate is None or candidate.datafile is None else candidate.datafile.id


def _is_other(before: Any, after: Any) -> bool:
    if isinstance(before, dict):  # in Python 1 is True, in JSON not
        return json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)
    return bool(before != after)


def _set_several(session: Session, row: Any, name: str, ids: tuple[int, ...]) -> bool:
    """Set several parents of one type; return whether they are others than before."""
    attribute = f"{name}s"
    if row.id is not None and {one.id for one in getattr(row, attribute)} == set(ids):
        return False
    model = TYPES[name]
    setattr(row, attribute, list(session.scalars(select(model).where(model.id.in_(ids)))))
    return bool(ids) or row.id is not None


def _follow(row: Any, safety_level: int) -> None:
    """Give the arrays that were sent with an object its level: nobody else decides on it for them."""
    for name in type(row).array_fields:
        datafile = getattr(row, name)
        if datafile is not None and datafile.owner_id == row.owner_id and datafile.file.options.get(INLINE):
            datafile.safety_level, datafile.last_modified = safety_level, now()

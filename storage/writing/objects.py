"""Creating, changing and archiving objects, each in one transaction.

What is sent is checked twice: once while nothing is locked, reading samples where a rule needs them, and again in the
transaction that writes, against what the catalog says then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from storage.catalog import corrections
from storage.catalog.base import ACTIVE, ARCHIVED, PRIVATE, new_guid, now
from storage.catalog.permissions import Caller, readable, require_login, require_write
from storage.catalog.uses import MAX_ID
from storage.errors import NotFound, StorageError
from storage.writing import inline_arrays, plan
from storage.writing.given import Given, Invalid, Stale
from storage.writing.inline_arrays import StoredInline
from storage.writing.rules import KnownEnds, Unread
from storage.writing.services import Writing

MAX_AT_ONCE = 1000
"""Objects that one request may change."""
ATTEMPTS = 5
"""At a change whose object others change at the same time."""


class TooMany(StorageError):
    """More objects are selected than one request may change."""


class Contended(StorageError):
    """Others change the same objects all the time."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which objects are to be changed: one by its id, or all that meet some conditions."""

    model: type[Any]
    id: int | None = None
    conditions: Sequence[ColumnElement[bool]] = ()
    is_current: Callable[[str], bool] | None = None
    """Whether the caller knows the object as it is, by its guid; None where that does not matter."""

    def rows(self, session: Session, caller: Caller, *, locked: bool) -> list[Any]:
        """Return the objects; if ``locked``, they stay as they are until the end of the transaction.

        Raises
        ------
        NotFound, LoginNeeded, Forbidden, Stale, TooMany
        """
        matches = [self.model.current_state == ACTIVE]
        if self.id is not None:
            matches.append(self.model.id == (self.id if self.id <= MAX_ID else 0))
        else:
            matches += [readable(self.model, caller), *self.conditions]
        chosen = select(self.model.id).where(*matches).order_by(self.model.id).limit(MAX_AT_ONCE + 1)
        ids = list(session.scalars(chosen.with_for_update() if locked else chosen))
        if self.id is not None and not ids:
            raise NotFound(f"there is no {self.model.type_name} {self.id}")
        if len(ids) > MAX_AT_ONCE:
            raise TooMany(f"more than {MAX_AT_ONCE} objects are selected; select fewer at once")
        # A statement of its own: what the rows join is to be as new as the rows that were waited for.
        rows = list(session.scalars(select(self.model).where(self.model.id.in_(ids)).order_by(self.model.id)).unique())
        for row in rows:
            require_write(caller, row)
            if self.is_current is not None and not self.is_current(row.guid):
                raise Stale(f"this was changed since: its guid is {row.guid} by now; read it again")
        return rows


def create(writing: Writing, caller: Caller, model: type[Any], given: Given) -> Any:
    """Create an object that belongs to the caller; return its row.

    Raises
    ------
    LoginNeeded
    Invalid
        Naming every field that is wrong.
    """
    owner_id = require_login(caller)
    for name in given.told:
        given.fault(name, "is given by the service: leave it out")
    ends, stored = KnownEnds(writing.reader), None
    for _ in range(ATTEMPTS):
        ends.may_read = True
        with writing.session() as session:
            plan.made(session, caller, model, None, given, ends)
        ends.may_read = False
        stored = inline_arrays.put(writing, plan.inline(given)) if stored is None else stored
        try:
            with writing.transaction() as session:
                row = model(owner_id=owner_id, safety_level=PRIVATE, annotations={})
                _apply(writing, session, caller, [row], given, stored, ends)
                return row
        except Unread:
            continue
    raise Contended("what this refers to is being changed all the time; try again")


def change(writing: Writing, caller: Caller, chosen: Chosen, given: Given) -> list[Any]:
    """Change the named fields of objects; return their rows. What is the same already changes nothing.

    Raises
    ------
    NotFound, LoginNeeded, Forbidden, Stale, TooMany
    Invalid
        Naming every field that is wrong.
    """
    ends, stored = KnownEnds(writing.reader), None
    for _ in range(ATTEMPTS):
        ends.may_read = True
        with writing.session() as session:
            _check(session, caller, chosen, given, ends)
        ends.may_read = False
        stored = inline_arrays.put(writing, plan.inline(given)) if stored is None else stored
        try:
            with writing.transaction() as session:
                rows = chosen.rows(session, caller, locked=True)
                _apply(writing, session, caller, rows, given, stored, ends)
                return rows
        except Unread:
            continue
    raise Contended("others change this all the time; try again")


def archive(writing: Writing, caller: Caller, chosen: Chosen) -> list[Any]:
    """Archive objects; return their rows. Their children and arrays stay what they are."""
    with writing.transaction() as session:
        rows = chosen.rows(session, caller, locked=True)
        for row in rows:
            corrections.note(row, {"current_state": ARCHIVED})
            row.current_state, row.guid, row.last_modified = ARCHIVED, new_guid(), now()
        _settle(session, rows)
        return rows


def _check(session: Session, caller: Caller, chosen: Chosen, given: Given, ends: KnownEnds) -> None:
    """Raise what keeps the objects from being changed, while nothing is locked."""
    for row in chosen.rows(session, caller, locked=False):
        try:
            plan.made(session, caller, chosen.model, row, given, ends)
        except Invalid as error:
            raise error if chosen.id is not None else error.of(f"{row.type_name} {row.id}") from error


def _apply(
    writing: Writing,
    session: Session,
    caller: Caller,
    rows: Sequence[Any],
    given: Given,
    stored: Mapping[str, StoredInline],
    ends: KnownEnds,
) -> None:
    """Check again, now that nothing moves, and write."""
    plan.lock_arrays(session, given, rows)
    is_new = [row.id is None for row in rows]
    plans = [
        plan.made(session, caller, type(row), None if new else row, given, ends)
        for row, new in zip(rows, is_new, strict=True)
    ]
    if not rows:
        return
    owner_id = require_login(caller)
    level = given.columns.get("safety_level", rows[0].safety_level)
    arrays = inline_arrays.refer(
        session, stored, owner_id=owner_id, safety_level=level, quota_nbytes=writing.quota_nbytes
    )
    for row, made, new in zip(rows, plans, is_new, strict=True):
        differs = made.apply(session, row, arrays)
        if new:
            session.add(row)
        elif differs:
            row.guid, row.last_modified = new_guid(), now()
    _settle(session, rows)


def _settle(session: Session, rows: Sequence[Any]) -> None:
    """Write, and read back what the rows refer to, for the document that tells them."""
    session.flush()
    for row in rows:
        session.refresh(row)

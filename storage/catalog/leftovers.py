"""Notes of keys that nothing refers to: made before a key is written, struck out when something does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Engine, delete, select
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.uploads import Leftover
from storage.errors import StoreAway

UNFINISHED = timedelta(hours=1)
"""How long writing a key, and then what refers to it, may take at most."""
REPLACED = timedelta(hours=1)
"""How long a key that was replaced stays for those who still read by it."""


def note(engine: Engine, key: str) -> None:
    """Note a key that is about to be written, before anything is."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        session.add(Leftover(key=key, remove_after=moment() + UNFINISHED))


def strike_out(session: Session, keys: Iterable[str]) -> None:
    """Strike out keys in the transaction that refers to them; raises StoreAway for what was given up meanwhile."""
    keys = set(keys)
    kept = delete(Leftover).where(Leftover.key.in_(keys), Leftover.remove_after > moment())
    struck = cast(CursorResult[Any], session.execute(kept))
    if struck.rowcount != len(keys):
        raise StoreAway("storing it took too long, and it was given up; try again")


def doom(session: Session, keys: Iterable[str]) -> None:
    """Note keys in the transaction that refers to them no more."""
    keys = set(keys)
    known = set(session.scalars(select(Leftover.key).where(Leftover.key.in_(list(keys)))))
    session.add_all(Leftover(key=key, remove_after=moment() + REPLACED) for key in keys - known)

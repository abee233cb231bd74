"""Notes of keys that nothing refers to: made before a key is written, struck out when something does."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.uploads import Leftover
from storage.errors import StoreAway

UNFINISHED = timedelta(hours=1)
"""How long writing a key, and then what refers to it, may take at most."""
REPLACED = timedelta(hours=1)
"""How long a key that was replaced or archived stays for those who still read by it."""


def note(session: Session, keys: Collection[str]) -> None:
    """Note keys that are about to be written; to be committed before they are."""
    session.add_all(Leftover(key=key, remove_after=moment() + UNFINISHED) for key in keys)


def keep(session: Session, keys: Collection[str]) -> bool:
    """Keep noted keys for longer, while what will refer to them is still being made; return whether all were there."""
    later = update(Leftover).where(Leftover.key.in_(keys), Leftover.remove_after > moment())
    kept = session.execute(later.values(remove_after=moment() + UNFINISHED))
    return cast(CursorResult[Any], kept).rowcount == len(keys)


def strike_out(session: Session, keys: Collection[str]) -> None:
    """Strike out keys in the transaction that refers to them.

    Raises
    ------
    StoreAway
        If writing took so long that they may have been removed.
    """
    kept = delete(Leftover).where(Leftover.key.in_(keys), Leftover.remove_after > moment())
    if keys and cast(CursorResult[Any], session.execute(kept)).rowcount != len(keys):
        raise StoreAway("storing this took too long, and it was removed again; try again")


def doom(session: Session, keys: Collection[str]) -> None:
    """Note keys in the transaction that refers to them no more."""
    known = set(session.scalars(select(Leftover.key).where(Leftover.key.in_(keys))))
    session.add_all(Leftover(key=key, remove_after=moment() + REPLACED) for key in set(keys) - known)

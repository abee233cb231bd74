"""A file that lies elsewhere now: known again by what it calls itself, where its old place is empty."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.files import StoredFile
from storage.errors import NotStored
from storage.objectstore import ObjectStore
from storage.stores.backend import Stat
from storage.stores.named import is_registered

MAX_LOOKED_AT = 20
"""Files of one identity; what has more is copied all the time, and not moved."""


def find_moved(
    session: Session, store: ObjectStore, url: str, identity: str | None, stat: Stat, owner: str | None
) -> StoredFile | None:
    """Return the one file that was registered elsewhere, calls itself the same, and is not there any more.

    Parameters
    ----------
    session : Session
    store : ObjectStore
    url : str
        Where the file lies now.
    identity : str, optional
    stat : Stat
        Of the file there: among several the one of the same version was moved.
    owner : str, optional
        Whose it is told to be: a file of somebody else's is not taken from them by one that calls itself the same.

    Raises
    ------
    StoreAway
        If it cannot be told whether something lies in the old place.
    """
    if identity is None:
        return None
    same = select(StoredFile).where(StoredFile.identity == identity, StoredFile.name != url).order_by(StoredFile.id)
    known = session.scalars(same.limit(MAX_LOOKED_AT + 1)).all()
    if len(known) > MAX_LOOKED_AT:
        return None
    own = [one for one in known if is_registered(one.name) and owner in (None, one.options.get("owner"))]
    gone = [one for one in own if not is_there(store, one.name)]
    alike = [one for one in gone if one.pin == stat.pin or one.nbytes == stat.nbytes]
    candidates = gone if len(gone) == 1 else alike
    return candidates[0] if len(candidates) == 1 else None


def is_there(store: ObjectStore, name: str) -> bool:
    """Whether a registered file is where it was registered; raises StoreAway where that cannot be told."""
    try:
        store.stat(name)
    except NotStored:
        return False
    return True

"""A file that lies elsewhere now: known again by what it calls itself, where its old place is empty."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.files import StoredFile
from storage.errors import NotStored, StillWritten
from storage.ingest import file_sets
from storage.ingest.vanished import mark
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
        Of the file there. One of the same version was moved, or of the same length. What was changed as well may be
        another file that calls itself the same: it must be told whose it is.
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
    # What was unregistered is of no version, and is not brought back by a file elsewhere.
    registered = [one for one in known if is_registered(one.name) and one.pin is not None]
    own = [one for one in registered if owner in (None, one.options.get("owner"))]
    gone = [one for one in own if _is_gone(store, one, stat)]
    same_version = [one for one in gone if one.pin == stat.pin]
    candidates = same_version or [one for one in gone if one.nbytes == stat.nbytes or _is_told(one, owner)]
    return candidates[0] if len(candidates) == 1 else None


def _is_gone(store: ObjectStore, known: StoredFile, stat: Stat) -> bool:
    """Whether the old place is empty, or has another file by now while the new one has this very version."""
    if known.pin != stat.pin:
        return not store.is_there(known.name)
    try:
        return file_sets.stat(store, known.name).pin != known.pin
    except StillWritten:
        return False
    except NotStored:
        return True


def _is_told(known: StoredFile, owner: str | None) -> bool:
    """Whether somebody said whose the file is, and so that it may be who it calls itself though it was changed."""
    return owner is not None and owner == known.options.get("owner")


def is_another(known: str | None, identity: str | None, *, was_asked: bool) -> bool:
    """Whether what lies where a file was registered calls itself something else, and so is another recording.

    Parameters
    ----------
    known, identity : str, optional
        What the one before, and the one now, call themselves.
    was_asked : bool
        Whether the one before was asked: versions of before did not.
    """
    return known != identity and (known is not None or was_asked)


def set_aside(session: Session, known: StoredFile) -> None:
    """Give up the place of a file to another recording; what was made of it is missing until it turns up elsewhere."""
    mark(session, [known.id])
    known.name = f"{known.name}#replaced-{known.id}"
    session.flush()

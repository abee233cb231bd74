"""Registered files that are not where they were: their arrays say so, until they are back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from storage.catalog.base import ACTIVE, now
from storage.catalog.files import CHECKING_ORDER, MISSING, READY, Datafile, StoredFile
from storage.objectstore import ObjectStore
from storage.stores.backend import file_name

LOOKED_FOR_AT_ONCE = 16
"""Files that a list did not have and that the store is asked for by name, side by side."""


def known_below(session: Session, url: str) -> list[StoredFile]:
    """Return the registered files at a place and below it."""
    top = url.rstrip("/")
    below = top if top.endswith(":") else f"{top}/"
    like = StoredFile.name.startswith(below, autoescape=True) | (StoredFile.name == top)
    found = session.scalars(select(StoredFile).where(like).order_by(StoredFile.id))
    return [one for one in found if one.name == top or one.name.startswith(below)]  # in SQLite LIKE knows no case


def mark_missing(
    store: ObjectStore, engine: Engine, url: str, listed: Collection[str], *, is_dry: bool = False
) -> list[str]:
    """Mark those registered files at a place and below it that are not there; return which are missing now.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    url : str
        The place.
    listed : collection of str
        URLs of all files that are there. Others are asked for by name: a list leaves out what is hidden.
    is_dry : bool
        Whether they are only told, and not marked.

    Raises
    ------
    StoreAway
        If it cannot be told what is there; then nothing is marked.
    """
    with Session(engine) as session:
        # What was unregistered is of no version, and nobody misses it.
        absent = [one for one in known_below(session, url) if one.name not in listed and one.pin is not None]
        names = {one.id: one.name for one in absent}
        missing = [one.name for one in absent if one.missing_since is not None]
    if not names:
        return []
    with ThreadPoolExecutor(LOOKED_FOR_AT_ONCE) as threads:
        there = dict(zip(names.values(), threads.map(store.is_there, names.values()), strict=True))
    gone = {id_ for id_, name in names.items() if not there[name]}
    newly = [id_ for id_ in gone if names[id_] not in missing]
    if newly and not is_dry:
        with Session(engine.execution_options(writes=True)) as session, session.begin():
            mark(session, newly)
    return [names[id_] for id_ in gone]


def mark(session: Session, file_ids: Iterable[int]) -> None:
    """Say of registered files, and of all arrays in them, that they are not where they were."""
    for file_id in sorted(file_ids):
        file = session.get(StoredFile, file_id, with_for_update=True)
        if file is None or file.missing_since is not None:
            continue
        file.missing_since = now()
        reason = f"{file_name(file.name)} is not where it was registered, since {file.missing_since:%Y-%m-%d %H:%M} UTC"
        lies_there = (Datafile.file_id == file_id) | (Datafile.lies_in_id == file_id)
        readable = (lies_there, Datafile.state.in_((READY, CHECKING_ORDER)))
        changed = {"state": MISSING, "reason": reason, "last_modified": now()}
        session.execute(update(Datafile).where(*readable, Datafile.current_state == ACTIVE).values(changed))

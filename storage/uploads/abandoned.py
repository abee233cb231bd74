"""Bytes in the store that nothing refers to: given up by somebody, or left by whoever was killed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.uploads import Leftover, Upload
from storage.errors import StorageError
from storage.objectstore import ObjectStore

log = logging.getLogger(__name__)

SECOND_LOOK = timedelta(hours=1)
"""What is removed is removed once more after this time: a request that was thought dead may have stored more."""

AT_ONCE = 100
"""Rows that are claimed in one transaction."""


def give_up(store: ObjectStore, engine: Engine, upload_id: str) -> bool:
    """Give up an upload and remove its bytes; False where it is over already, and somebody else's concern."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        upload = session.get(Upload, upload_id, with_for_update=True)
        if upload is None:
            return False
        key = _claim(session, upload, moment())
    _remove(store, key)
    return True


def remove_abandoned(store: ObjectStore, engine: Engine, now: datetime | None = None) -> int:
    """Remove the bytes of uploads that nobody renewed, and all that may be removed by now.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    now : datetime, optional
        For tests.

    Returns
    -------
    int
        How many keys were removed. Those that the store does not remove now are tried again the next time.

    Notes
    -----
    Any number of processes may do this at once, beside uploads that end. A row is claimed before its bytes are
    removed: an upload that ends after that finds no row, and makes no datafile.
    """
    now = now or moment()
    n_removed = 0
    while keys := _claim_abandoned(engine, now):
        n_removed += sum(_remove(store, key) for key in keys)
    for key in _due(engine, now):
        if _remove(store, key):
            n_removed += 1
            with engine.execution_options(writes=True).begin() as connection:
                connection.execute(delete(Leftover).where(Leftover.key == key, Leftover.remove_after <= now))
    return n_removed


def _claim_abandoned(engine: Engine, now: datetime) -> list[str]:
    abandoned = select(Upload).where(Upload.remove_after <= now).limit(AT_ONCE).with_for_update(skip_locked=True)
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        return [_claim(session, upload, now) for upload in session.scalars(abandoned).all()]


def _claim(session: Session, upload: Upload, now: datetime) -> str:
    """Turn an upload into a leftover, and return its key."""
    session.merge(Leftover(key=upload.key, remove_after=now + SECOND_LOOK))
    session.delete(upload)
    return upload.key


def _due(engine: Engine, now: datetime) -> list[str]:
    with Session(engine) as session:
        return list(session.scalars(select(Leftover.key).where(Leftover.remove_after <= now)))


def _remove(store: ObjectStore, key: str) -> bool:
    """Remove a file; where the store does not, it is done the next time."""
    try:
        store.remove(key)
    except StorageError as error:
        log.warning("%s is not removed: %s", key, error)
        return False
    return True

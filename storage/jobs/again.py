"""Registering one file again, because reading it met another file than the one that was registered."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from storage.catalog import find
from storage.catalog.base import moment
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.jobs import PAUSED, QUEUED, REGISTER, RUNNING, Job
from storage.stores.named import is_registered

REST = timedelta(minutes=1)
"""After a file was looked into, it is not again for this long: it may be one that cannot be registered any more."""


def register_again(engine: Engine, name: str) -> bool:
    """Queue the registering of a file that is known, as it was told before; return whether it is under way by then.

    Parameters
    ----------
    engine : Engine
    name : str
        What the catalog calls the file; a key of the service's own is nothing to register.
    """
    if not is_registered(name):
        return False
    with Session(engine) as session:
        ends = _ends_lately(session, name)
    if ends:
        return None in ends
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        # Locked, so that of many readers at once one queues it.
        known = find.stored_file(session, name, locked=True)
        if known is None or known.pin is None:
            return False
        main = session.scalar(select(Datafile.file_id).where(Datafile.lies_in_id == known.id).limit(1))
        if main is not None and main != known.id:  # one of a recording of several, which is registered as a whole
            known = session.get_one(StoredFile, main, with_for_update=True)
            name = known.name
        ends = _ends_lately(session, name)
        if not ends:
            session.add(Job(kind=REGISTER, subject=name, options=known.options))
        return not ends or None in ends


def _ends_lately(session: Session, name: str) -> list[datetime | None]:
    """Return when each job that registers a file ended, None of one that has not; of those that matter still."""
    lately = (Job.state.in_((QUEUED, RUNNING, PAUSED))) | (Job.date_finished > moment() - REST)
    return list(session.scalars(select(Job.date_finished).where(Job.kind == REGISTER, Job.subject == name, lately)))

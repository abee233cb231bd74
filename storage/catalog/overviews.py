"""Overviews in the catalog: which arrays shall have one, which job makes it, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.catalog import leftovers
from storage.catalog.base import ACTIVE, moment
from storage.catalog.files import (
    OVERVIEW_ASKED,
    OVERVIEW_FAILED,
    OVERVIEW_LEFT_OUT,
    OVERVIEW_READY,
    READABLE,
    Datafile,
)
from storage.catalog.jobs import LATER, LONG, OVERVIEW, PAUSED, QUEUED, RUNNING, Job

UNFINISHED = (QUEUED, RUNNING, PAUSED)
LOOKED_AT = 500
"""Arrays in one transaction."""


def undecided(session: Session) -> list[Datafile]:
    """Return some arrays of which nobody knows whether they shall have an overview, to be changed."""
    rows = select(Datafile).where(
        Datafile.overview_state.is_(None), Datafile.state.in_(READABLE), Datafile.current_state == ACTIVE
    )
    locked = rows.order_by(Datafile.id).limit(LOOKED_AT).with_for_update(of=Datafile, skip_locked=True)
    return list(session.scalars(locked))


def ask(session: Session, datafile: Datafile, *, priority: int = LATER) -> None:
    """Queue the making of an overview, in the transaction that has the array locked; once, whoever asks."""
    datafile.overview_state = OVERVIEW_ASKED
    if job_of(session, datafile.id) is None:
        session.add(Job(kind=OVERVIEW, subject=datafile.file.name, datafile_id=datafile.id, priority=priority))


def leave_out(datafile: Datafile) -> None:
    """Say that an array has none, and shall have none."""
    datafile.overview_state = OVERVIEW_LEFT_OUT


def job_of(session: Session, datafile_id: int) -> Job | None:
    """Return the job that makes, or will make, an overview."""
    unfinished = (Job.kind == OVERVIEW, Job.datafile_id == datafile_id, Job.state.in_(UNFINISHED))
    return session.scalar(select(Job).where(*unfinished).order_by(Job.id).limit(1))


def hurry(session: Session, datafile_id: int, *, is_wanted: bool) -> float | None:
    """Let the overview that somebody waits for be made before others; return how far it is, None if it never will be.

    Parameters
    ----------
    session : Session
    datafile_id : int
        Of an array that need not have been looked at: then its overview is asked for.
    is_wanted : bool
        Whether it shall have one, as the settings are now.
    """
    datafile = session.get(Datafile, datafile_id, with_for_update={"of": Datafile})
    if datafile is None or not is_wanted or datafile.overview_state == OVERVIEW_FAILED:
        return None
    if datafile.overview_state == OVERVIEW_READY:  # since the array was looked at
        return 1.0
    job = job_of(session, datafile_id)
    if job is None:
        ask(session, datafile, priority=LONG)
        return 0.0
    if job.priority > LONG:
        session.execute(update(Job).where(Job.id == job.id).values(priority=LONG, run_after=moment()))
    return job.progress


def drop(session: Session, rows: Iterable[Datafile]) -> None:
    """Forget the overviews of arrays that are others by now, or gone; the files go an hour later."""
    keys = []
    for row in rows:
        if row.overview is not None:
            keys.append(row.overview)
        if row.overview_state is not None:
            row.overview = row.overview_form = row.overview_state = row.minimum = row.maximum = None
    if keys:
        leftovers.doom(session, keys)


def lose(session: Session, datafile_id: int) -> None:
    """Ask anew for an overview whose file is not in the store."""
    datafile = session.get(Datafile, datafile_id, with_for_update={"of": Datafile})
    if datafile is not None:
        datafile.overview = None
        drop(session, [datafile])
        ask(session, datafile, priority=LONG)


def failed(session: Session, datafile_id: int) -> None:
    """Say that an array has no overview because making it was given up; one that it had before stays."""
    asked = (Datafile.id == datafile_id, Datafile.overview_state == OVERVIEW_ASKED)
    session.execute(update(Datafile).where(*asked, Datafile.overview.is_(None)).values(overview_state=OVERVIEW_FAILED))
    session.execute(
        update(Datafile).where(*asked, Datafile.overview.is_not(None)).values(overview_state=OVERVIEW_READY)
    )


def asked_again(session: Session, datafile_id: int) -> None:
    """Say that an overview that was given up is to be made after all."""
    given_up = (Datafile.id == datafile_id, Datafile.overview_state == OVERVIEW_FAILED)
    session.execute(update(Datafile).where(*given_up).values(overview_state=OVERVIEW_ASKED))

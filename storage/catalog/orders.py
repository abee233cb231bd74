"""Jobs that check whether long times are sorted: one for each dataset of a registered file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.catalog.base import ACTIVE, moment
from storage.catalog.files import CHECKING_ORDER, Datafile, StoredFile
from storage.catalog.jobs import CANCELLED, ORDER, PAUSED, QUEUED, REGISTER, RUNNING, Job

UNFINISHED = (QUEUED, RUNNING, PAUSED)
GROUPED = 500
"""Values in one statement."""


def add(session: Session, file: StoredFile, waiting: Mapping[str, Sequence[int]], batch: str | None) -> None:
    """Add a job for each dataset, in the transaction that writes a file.

    Parameters
    ----------
    session : Session
    file : StoredFile
    waiting : mapping of str to sequence of int
        Ids of the datafiles that are checked together, by the path of their dataset.
    batch : str, optional
    """
    for path, datafile_ids in waiting.items():
        options = {"dataset": path, "datafiles": list(datafile_ids), "pin": file.pin}
        session.add(Job(kind=ORDER, subject=file.name, options=options, batch=batch))


def unfinished(session: Session, names: Sequence[str]) -> Sequence[Job]:
    """Return the jobs that register files or check their order, to be changed; before rows of the files are locked.

    All of both kinds are locked, in one order: so whoever registers a file and who unregisters it wait for each other.
    """
    about = (Job.kind.in_((REGISTER, ORDER)), Job.subject.in_(names), Job.state.in_(UNFINISHED))
    return session.scalars(select(Job).where(*about).order_by(Job.id).with_for_update()).all()


def cancel(session: Session, names: Sequence[str]) -> None:
    """Give up what is still to be checked of files; before anything else of them is locked."""
    ids = [job.id for job in unfinished(session, names) if job.kind == ORDER]
    over = {"state": CANCELLED, "worker": None, "lease_until": None, "message": "overtaken", "date_finished": moment()}
    if ids:
        session.execute(update(Job).where(Job.id.in_(ids)).values(over))


def forgotten(session: Session, names: Sequence[str]) -> set[str]:
    """Return those of some files that have times which nobody will check: the job was given up, failed, or is gone."""
    waiting: dict[int, str] = {}
    for group in _grouped(names):
        unchecked = (Datafile.state == CHECKING_ORDER, Datafile.current_state == ACTIVE, StoredFile.name.in_(group))
        rows = select(Datafile.id, StoredFile.name).join(StoredFile, Datafile.file_id == StoredFile.id)
        waiting |= {row.id: row.name for row in session.execute(rows.where(*unchecked))}
    for group in _grouped(sorted(set(waiting.values()))):
        will_be = (Job.kind == ORDER, Job.subject.in_(group), Job.state.in_(UNFINISHED))
        for told in session.scalars(select(Job.options).where(*will_be)):
            for datafile_id in told["datafiles"]:
                waiting.pop(datafile_id, None)
    return set(waiting.values())


def take_over(session: Session, names: Sequence[str], batch: str) -> int:
    """Make what is still to be checked of files part of a batch, also what others do just now; return how many jobs."""
    number = 0
    for group in _grouped(names):
        to_do = (Job.kind == ORDER, Job.subject.in_(group), Job.state.in_((QUEUED, RUNNING)))
        ids = session.scalars(select(Job.id).where(*to_do).order_by(Job.id).with_for_update()).all()
        for some in _grouped(ids):
            session.execute(update(Job).where(Job.id.in_(some)).values(batch=batch))
            session.execute(update(Job).where(Job.id.in_(some), Job.state == QUEUED).values(run_after=moment()))
        number += len(ids)
    return number


def _grouped(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[first : first + GROUPED] for first in range(0, len(values), GROUPED)]

"""Jobs that check whether long times are sorted: one for each dataset of a registered file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.files import StoredFile
from storage.catalog.jobs import CANCELLED, ORDER, PAUSED, QUEUED, REGISTER, RUNNING, Job

UNFINISHED = (QUEUED, RUNNING, PAUSED)


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

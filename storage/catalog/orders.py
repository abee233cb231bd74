"""Jobs that check whether long times are sorted: one for each dataset of a registered file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.files import StoredFile
from storage.catalog.jobs import CANCELLED, ORDER, PAUSED, QUEUED, RUNNING, Job


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


def cancel(session: Session, names: Sequence[str]) -> None:
    """Give up what is still to be checked of files; before anything else of them is locked."""
    unfinished = (Job.kind == ORDER, Job.subject.in_(names), Job.state.in_((QUEUED, RUNNING, PAUSED)))
    ids = list(session.scalars(select(Job.id).where(*unfinished).order_by(Job.id).with_for_update()))
    over = {"state": CANCELLED, "worker": None, "lease_until": None, "message": "overtaken", "date_finished": moment()}
    if ids:
        session.execute(update(Job).where(Job.id.in_(ids)).values(over))

"""Many files that are registered together: what of them is to be done, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.orm import Session

from storage.catalog.base import ACTIVE, moment
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.jobs import CANCELLED, ORDER, PAUSED, QUEUED, REGISTER, RUNNING, Job

GROUPED = 500
"""Values in one statement."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalog says of a file that was registered before."""

    id: int
    pin: str | None
    options: dict[str, Any]
    is_missing: bool
    identity: str | None = None


def put(session: Session, urls: Sequence[str], options: Mapping[str, Any], batch: str) -> int:
    """Queue the registering of files, in this order; return how many of them were waiting already.

    Files that wait to be registered, such as by a command that was killed, are not queued again but taken over, with
    those that somebody does just now: nothing is done twice. What is told of them now counts, and of what is not told
    now what was told then; who does one just now as it was told then does so in vain.

    Parameters
    ----------
    session : Session
    urls : sequence of str
    options : mapping
    batch : str
    """
    wanted, same = set(urls), {}
    waiting = select(Job.id, Job.subject, Job.options, Job.state).where(
        Job.kind == REGISTER, Job.state.in_((QUEUED, RUNNING))
    )
    doubles = []
    # Locked in one order, as whoever ends a job locks it.
    for row in session.execute(waiting.order_by(Job.id.desc()).with_for_update()):
        if row.subject not in wanted:
            continue
        if row.subject in same:
            doubles.append(row.id)
            continue
        same[row.subject] = row.id
        told = _over(options, row.options)
        if told != row.options:
            anew = {"options": told, "state": QUEUED, "worker": None, "lease_until": None}
            session.execute(update(Job).where(Job.id == row.id).values(anew))
    for ids in _grouped(doubles):
        over = {"state": CANCELLED, "worker": None, "lease_until": None, "message": "overtaken"}
        session.execute(update(Job).where(Job.id.in_(ids)).values(**over, date_finished=moment()))
    for ids in _grouped(sorted(same.values())):
        session.execute(update(Job).where(Job.id.in_(ids)).values(batch=batch))
        session.execute(update(Job).where(Job.id.in_(ids), Job.state == QUEUED).values(run_after=moment()))
    told = {"kind": REGISTER, "options": dict(options), "batch": batch}
    new = [{"subject": url, **told} for url in urls if url not in same]
    if new:
        session.execute(insert(Job), new)
    return len(same)


def _over(options: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return options, completed by what was told before."""
    told = {**options}
    for name in ("owner", "safety_level"):
        told[name] = before.get(name) if told.get(name) is None else told[name]
    plain = before.get("plain", {})
    told["plain"] = {**plain, **{name: value for name, value in told.get("plain", {}).items() if value is not None}}
    return told


def known_files(session: Session, urls: Sequence[str]) -> dict[str, Known]:
    """Return what is known of those files that were registered before."""
    found = {}
    columns = (
        StoredFile.name,
        StoredFile.id,
        StoredFile.pin,
        StoredFile.options,
        StoredFile.missing_since,
        StoredFile.identity,
    )
    for names in _grouped(urls):
        for row in session.execute(select(*columns).where(StoredFile.name.in_(names))):
            found[row.name] = Known(row.id, row.pin, row.options, row.missing_since is not None, row.identity)
    return found


def sidecars_of(session: Session, file_ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the keys of the sidecars that the active arrays of files are read by."""
    found: dict[int, set[str]] = {id_: set() for id_ in file_ids}
    for ids in _grouped(file_ids):
        active = (Datafile.file_id.in_(ids), Datafile.current_state == ACTIVE, Datafile.sidecar.is_not(None))
        for file_id, key in session.execute(select(Datafile.file_id, Datafile.sidecar).where(*active).distinct()):
            found[file_id].add(str(key))
    return found


def is_open(session: Session, batch: str) -> bool:
    """Whether a batch has jobs that are done just now, or could be."""
    could_be = and_(Job.state == QUEUED, Job.run_after <= moment())
    unfinished = (Job.batch == batch, (Job.state == RUNNING) | could_be)
    return session.scalar(select(Job.id).where(*unfinished).limit(1)) is not None


def n_registers(session: Session, batch: str) -> int:
    """Return how many files a batch registers or registered: fewer than were queued where others took some over."""
    return session.scalar(select(func.count()).where(Job.batch == batch, Job.kind == REGISTER)) or 0


def n_unfinished_orders(session: Session, batch: str) -> int:
    """Return how many checks of the order of times, which registering adds, are still to be done of a batch."""
    unfinished = (Job.batch == batch, Job.kind == ORDER, Job.state.in_((QUEUED, RUNNING)))
    return session.scalar(select(func.count()).where(*unfinished)) or 0


def _grouped(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[first : first + GROUPED] for first in range(0, len(values), GROUPED)]


def waiting_below(session: Session, url: str) -> list[str]:
    """Return the files at a place and below it that wait to be registered."""
    top = url.rstrip("/")
    below = top if top.endswith(":") else f"{top}/"
    waiting = select(Job.subject).where(Job.kind == REGISTER, Job.state.in_((QUEUED, RUNNING, PAUSED)))
    like = Job.subject.startswith(below, autoescape=True) | (Job.subject == top)
    found = session.scalars(waiting.where(like).order_by(Job.id))
    return [one for one in found if one == top or one.startswith(below)]  # in SQLite LIKE knows no case

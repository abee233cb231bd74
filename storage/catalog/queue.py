"""The queue of jobs: who does which next, and what operators say of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Engine, and_, func, or_, select, update
from sqlalchemy.orm import Session

from storage.catalog import overviews
from storage.catalog.base import moment
from storage.catalog.files import CHECKING, READY, REFUSED, UPLOADED, Datafile
from storage.catalog.jobs import CANCELLED, CHECK, DONE, FAILED, LONG, ORDER, OVERVIEW, PAUSED, QUEUED, RUNNING, Job
from storage.errors import NotFound
from storage.progress import Stopped

MAX_ATTEMPTS = 20
"""A job that was begun so often, and not ended by whoever began it, is given up."""
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=2), timedelta(minutes=10)
SHORTEST_WAIT = timedelta(minutes=1)

FINISHED = (DONE, FAILED, CANCELLED)


class Lost(Stopped):
    """A job that is somebody else's by now, or was cancelled or paused: what was made of it is not wanted."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who does a job, and how long they are taken to be alive without a sign of life."""

    worker: str
    """Of one claim of one job: who claims the same job again has another."""
    duration: timedelta

    def anew(self) -> Lease:
        """Return a lease of the same worker for one claim."""
        return replace(self, worker=f"{self.worker.partition('/')[0]}/{secrets.token_hex(4)}")

    def until(self) -> datetime:
        """Return when it ends unless it is renewed."""
        return moment() + self.duration


def claim(
    engine: Engine, lease: Lease, *, bulk: bool = True, batch: str | None = None, without: Collection[str] = ()
) -> Job | None:
    """Take the next job, or one whose worker is dead; None where there is none.

    Parameters
    ----------
    engine : Engine
    lease : Lease
    bulk : bool
        Whether it may be one of many, for which nobody waits.
    batch : str, optional
        Only jobs of this batch.
    without : collection of str
        Kinds of jobs that it may not be.
    """
    now = moment()
    wanted = [] if bulk else [Job.priority < LONG]
    if without:
        wanted.append(Job.kind.not_in(without))
    if batch is not None:
        wanted.append(Job.batch == batch)
    with Session(engine.execution_options(writes=True), expire_on_commit=False) as session, session.begin():
        for due in (and_(Job.state == RUNNING, Job.lease_until < now), and_(Job.state == QUEUED, Job.run_after <= now)):
            order = select(Job).where(due, *wanted).order_by(Job.priority, Job.id).limit(1)
            while job := session.scalar(order.with_for_update(skip_locked=True)):
                if job.attempts < MAX_ATTEMPTS:
                    job.state, job.worker, job.lease_until = RUNNING, lease.anew().worker, lease.until()
                    job.attempts += 1
                    return job
                _end(session, job, FAILED, f"given up: it was begun {job.attempts} times and never ended")
                session.flush()
    return None


def next_moment(engine: Engine) -> datetime | None:
    """Return when the next job can be taken that cannot be taken now; None where none waits."""
    with engine.connect() as connection:
        queued = select(func.min(Job.run_after)).where(Job.state == QUEUED).scalar_subquery()
        running = select(func.min(Job.lease_until)).where(Job.state == RUNNING).scalar_subquery()
        found = [when for when in connection.execute(select(queued, running)).one() if when is not None]
    return min(found, default=None)


def renew(engine: Engine, held: Mapping[Lease, float]) -> set[Lease]:
    """Renew leases of jobs, and tell how far each is; return those that still hold one."""
    still = set()
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        for lease, done in held.items():
            mine = (Job.worker == lease.worker, Job.state == RUNNING)
            renewed = session.execute(update(Job).where(*mine).values(lease_until=lease.until(), progress=done))
            if cast(CursorResult[Any], renewed).rowcount:
                still.add(lease)
    return still


def finish(engine: Engine, lease: Lease, job_id: int, write: Callable[[Session, Job], None]) -> None:
    """End a job and write what came of it, in one transaction; raises Lost, having written nothing.

    Parameters
    ----------
    engine : Engine
    lease : Lease
    job_id : int
    write : callable
        Writes what came of it, with ``message`` and ``result`` of the job.
    """
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        job = mine(session, lease, job_id)
        write(session, job)
        job.state, job.progress = DONE, 1.0
        job.date_finished, job.worker, job.lease_until = moment(), None, None


def try_later(engine: Engine, lease: Lease, job_id: int, reason: str) -> timedelta | None:
    """Put a job back, to be taken again after a delay that grows; return that, None if it was given up; raises Lost."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        job = mine(session, lease, job_id)
        if job.attempts >= MAX_ATTEMPTS:
            _end(session, job, FAILED, f"given up after {job.attempts} attempts: {reason}")
            return None
        delay: timedelta = min(FIRST_DELAY * 2 ** (job.attempts - 1), LONGEST_DELAY)
        job.state, job.worker, job.lease_until = QUEUED, None, None
        job.run_after, job.message = moment() + delay, reason
        return delay


def put_back(engine: Engine, lease: Lease, job_id: int, reason: str) -> timedelta:
    """Put back a job that waits for something outside, which does not count as an attempt.

    It is taken again after a delay that grows with how long it has waited, and is returned; raises Lost.
    """
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        job = mine(session, lease, job_id)
        waited: timedelta = moment() - job.date_created
        delay = min(max(waited / 4, SHORTEST_WAIT), LONGEST_DELAY)
        job.state, job.worker, job.lease_until = QUEUED, None, None
        job.attempts, job.run_after, job.message = max(job.attempts - 1, 0), moment() + delay, reason
        return delay


def note(engine: Engine, lease: Lease, job_id: int, options: dict[str, Any]) -> None:
    """Write down how far a job is, for whoever goes on with it if it is not ended; raises Lost."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        mine(session, lease, job_id).options = options


def release(engine: Engine, held: Iterable[Lease]) -> None:
    """Put back, untouched, the jobs of a worker that ends."""
    with engine.execution_options(writes=True).begin() as connection:
        back = update(Job).where(Job.worker.in_([lease.worker for lease in held]), Job.state == RUNNING)
        untouched = {"state": QUEUED, "worker": None, "lease_until": None, "attempts": Job.attempts - 1}
        connection.execute(back.values(untouched))


def fail(engine: Engine, lease: Lease, job_id: int, reason: str) -> None:
    """Give a job up; raises Lost."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        _end(session, mine(session, lease, job_id), FAILED, reason)


def mine(session: Session, lease: Lease, job_id: int) -> Job:
    """Return a job that stays its holder's until the transaction ends; raises Lost where it is not any more."""
    job = session.get(Job, job_id, with_for_update=True)
    if job is None or job.worker != lease.worker or job.state != RUNNING:
        raise Lost(f"job {job_id} is not {lease.worker}'s any more")
    return job


def cancel(session: Session, jobs: Iterable[Job]) -> list[Job]:
    """Cancel jobs that are not finished; return those that were."""
    ended = [job for job in jobs if job.state not in FINISHED]
    for job in ended:
        _end(session, job, CANCELLED, "cancelled")
    return ended


def pause(_session: Session, jobs: Iterable[Job]) -> list[Job]:
    """Keep jobs from being taken, and stop those that run, until they are retried; return those that were paused."""
    paused = [job for job in jobs if job.state in (QUEUED, RUNNING)]
    for job in paused:
        job.state, job.worker, job.lease_until = PAUSED, None, None
    return paused


def retry(session: Session, jobs: Iterable[Job]) -> list[Job]:
    """Queue jobs anew that are paused, cancelled, failed or wait for a later attempt; return those that were queued."""
    again = [job for job in jobs if job.state in (PAUSED, CANCELLED, FAILED, QUEUED)]
    for job in again:
        job.state, job.attempts, job.run_after = QUEUED, 0, moment()
        job.progress, job.message, job.date_finished = 0.0, None, None
        _tell_datafile(session, job, UPLOADED, None)
    return again


def get(session: Session, ids: Sequence[int]) -> list[Job]:
    """Return jobs to be changed, by id; raises NotFound naming those that are not there."""
    found = {
        job.id: job for job in session.scalars(select(Job).where(Job.id.in_(ids)).order_by(Job.id).with_for_update())
    }
    if missing := [id_ for id_ in ids if id_ not in found]:
        raise NotFound(f"there is no job {', '.join(map(str, missing))}")
    return [found[id_] for id_ in dict.fromkeys(ids)]


def listing(session: Session, states: Sequence[str], *, limit: int) -> tuple[list[Job], int]:
    """Return the newest jobs in these states (in any, where none is named), and how many there are in all."""
    wanted: ColumnElement[bool] = or_(*(Job.state == state for state in states)) if states else Job.id.is_not(None)
    total = session.scalar(select(func.count()).select_from(Job).where(wanted)) or 0
    return list(session.scalars(select(Job).where(wanted).order_by(Job.id.desc()).limit(limit))), total


def batch(session: Session, name: str) -> Sequence[Job]:
    """Return what was asked for as a batch, to be changed: not the checks that became due by it."""
    asked = select(Job).where(Job.batch == name, Job.kind != ORDER)
    return session.scalars(asked.order_by(Job.id).with_for_update()).all()


def ended(session: Session, batch: str, known: Container[int]) -> list[Job]:
    """Return the jobs of a batch that nobody will take soon: finished, paused, put back for later; but those known."""
    put_back = and_(Job.state == QUEUED, Job.run_after > moment())
    waiting = select(Job.id).where(Job.batch == batch, or_(Job.state.in_((*FINISHED, PAUSED)), put_back))
    new = [id_ for id_ in session.scalars(waiting.order_by(Job.id)) if id_ not in known]
    return [job for job in map(partial(session.get, Job), new) if job is not None]


def progress_of(session: Session, datafiles: Iterable[Datafile]) -> dict[int, float]:
    """Return how far the checks of datafiles are, 0 to 1, by id of those that are not checked yet."""
    waiting = [datafile.id for datafile in datafiles if datafile.state in (UPLOADED, CHECKING)]
    if not waiting:
        return {}
    newest_last = select(Job.datafile_id, Job.progress).where(Job.datafile_id.in_(waiting)).order_by(Job.id)
    return dict.fromkeys(waiting, 0.0) | {id_: done for id_, done in session.execute(newest_last) if id_ is not None}


def begin_check(engine: Engine, datafile_id: int) -> None:
    """Say of an uploaded datafile that it is being checked."""
    with engine.execution_options(writes=True).begin() as connection:
        waiting = (Datafile.id == datafile_id, Datafile.state == UPLOADED)
        connection.execute(update(Datafile).where(*waiting).values(state=CHECKING))


def _end(session: Session, job: Job, state: str, reason: str) -> None:
    job.state, job.message, job.date_finished = state, reason, moment()
    job.worker = job.lease_until = None
    _tell_datafile(session, job, REFUSED, f"its check was {reason}" if state == CANCELLED else reason)


def _tell_datafile(session: Session, job: Job, state: str, reason: str | None) -> None:
    """Say in the datafile what became of its check, unless an earlier one succeeded, or of its overview."""
    if job.kind == OVERVIEW and job.datafile_id is not None:
        tell = overviews.failed if state == REFUSED else overviews.asked_again
        tell(session, job.datafile_id)
    if job.kind == CHECK:
        of_job = (Datafile.id == job.datafile_id, Datafile.state != READY)
        session.execute(update(Datafile).where(*of_job).values(state=state, reason=reason))

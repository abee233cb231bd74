"""Work that is to be done, being done or done: the truth about jobs, whatever becomes of messages and workers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, String, Text, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.catalog.base import Base, moment

QUEUED = "queued"
RUNNING = "running"
PAUSED = "paused"
DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"
"""States of a job."""

CHECK = "check"
REGISTER = "register"
ORDER = "order"
IMPORT = "import"
OVERVIEW = "overview"
"""Kinds of jobs."""

URGENT = 0
"""Priority of what somebody waits for."""
LONG = 5
"""Priority of what somebody waits for, knowing that it takes its time: it is never in the way of what is urgent."""
BULK = 10
"""Priority of one of many."""
LATER = 20
"""Priority of what nobody waits for yet."""


class Job(Base):
    """One step that can be repeated without harm, such as the check of an upload."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(Text)
    """What it is about, for people: the name or URL of a file."""
    state: Mapped[str] = mapped_column(String(16), default=QUEUED)
    priority: Mapped[int] = mapped_column(default=BULK)
    """Lower ones are taken first."""
    options: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    batch: Mapped[str | None] = mapped_column(String(32), index=True)
    """What jobs that were asked for together have in common."""
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    datafile_id: Mapped[int | None] = mapped_column(ForeignKey("datafile.id"), index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    run_after: Mapped[datetime] = mapped_column(default=moment)
    worker: Mapped[str | None] = mapped_column(String(64))
    """Who holds the lease."""
    lease_until: Mapped[datetime | None]
    """A worker that has not renewed it by then is taken for dead."""
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    message: Mapped[str | None] = mapped_column(Text)
    """What became of it, or why the last attempt failed."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    date_created: Mapped[datetime] = mapped_column(default=moment)
    date_finished: Mapped[datetime | None]

    __table_args__ = (Index("ix_job_next", "state", "priority", "id"),)


def add_check(session: Session, *, datafile_id: int, owner_id: int | None, name: str) -> Job:
    """Add the check of an uploaded file, in the transaction that adds its datafile."""
    job = Job(kind=CHECK, subject=name, priority=URGENT, datafile_id=datafile_id, owner_id=owner_id)
    session.add(job)
    return job


def add_registers(session: Session, urls: Iterable[str], options: dict[str, Any], batch: str) -> None:
    """Add a job for each of many files to be registered in the same way."""
    told = {"kind": REGISTER, "options": options, "batch": batch}
    session.execute(insert(Job), [{"subject": url, **told} for url in urls])

"""Asking for objects to be made of uploaded files, and telling how far that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from storage.catalog import find, permissions
from storage.catalog.base import ACTIVE
from storage.catalog.files import CHECKING, READY, UPLOADED, Datafile
from storage.catalog.jobs import DONE, IMPORT, LONG, PAUSED, QUEUED, RUNNING, Job
from storage.catalog.models import Block
from storage.catalog.permissions import Caller, Forbidden
from storage.errors import NotImportable, NotReady
from storage.writing.given import Invalid

UNDER_WAY = (QUEUED, RUNNING, PAUSED)
MAX_OTHERS = 1000
TOLD_REFUSALS = 100


@dataclass(frozen=True, slots=True)
class Importing:
    """How far the import of a datafile is."""

    state: str
    """``queued``, ``running``, ``paused``, ``imported``, ``refused``, ``failed`` or ``cancelled``."""
    reason: str | None
    """Why it was refused, failed or waits."""
    progress: float
    refusals: Sequence[Sequence[str]] = ()
    """What of the file was left out: path and reason each."""
    block_id: int | None = None
    """The active Block that it became."""

    def as_json(self) -> dict[str, Any]:
        """Return it as documents tell it."""
        left_out = [{"path": path, "reason": reason} for path, reason in self.refusals]
        return {"state": self.state, "reason": self.reason, "left_out": left_out}


def ask(
    engine: Engine, caller: Caller, datafile_id: int, others: Sequence[int]
) -> tuple[Datafile, Literal["asked", "under_way", "imported"]]:
    """Queue the import of an uploaded file; where that is done or under way already, do nothing.

    Parameters
    ----------
    engine : Engine
    caller : Caller
        Only the owner may.
    datafile_id : int
        Of the file to begin with.
    others : sequence of int
        Datafiles that make one recording with it.

    Returns
    -------
    Datafile
    str
        Whether it was asked for now, is under way, or imported.

    Raises
    ------
    NotFound, LoginNeeded, Forbidden, NotReady, NotImportable
    Invalid
        Naming what is wrong with the others.
    """
    permissions.require_login(caller)
    with Session(engine.execution_options(writes=True), expire_on_commit=False) as session, session.begin():
        datafile: Datafile = find.get(session, Datafile, datafile_id)
        permissions.require_read(caller, datafile)
        if datafile.owner_id != caller.user_id:
            raise Forbidden(f"only who uploaded {datafile.name} can import it")
        session.refresh(datafile, with_for_update={"of": Datafile})
        if _active_block(session, datafile) is not None:
            return datafile, "imported"
        waiting = select(Job.id).where(Job.datafile_id == datafile.id, Job.kind == IMPORT, Job.state.in_(UNDER_WAY))
        if session.scalar(waiting.limit(1)) is not None:
            return datafile, "under_way"
        _require_importable(datafile)
        _require_others(session, datafile, others)
        told = {"with": list(others)} if others else {}
        job = Job(kind=IMPORT, subject=datafile.name, priority=LONG, options=told)
        job.datafile_id, job.owner_id = datafile.id, datafile.owner_id
        session.add(job)
    return datafile, "asked"


def progress_of(session: Session, datafiles: Iterable[Datafile]) -> dict[int, Importing]:
    """Return how far imports are, by id of those datafiles for which one was asked."""
    can_be = {datafile.id: datafile for datafile in datafiles if datafile.format is not None}
    if not can_be:
        return {}
    newest_last = select(Job).where(Job.datafile_id.in_(can_be), Job.kind == IMPORT).order_by(Job.id)
    jobs = {job.datafile_id: job for job in session.scalars(newest_last) if job.datafile_id is not None}
    blocks = set(
        session.scalars(
            select(Block.id).where(
                Block.id.in_([one.block_id for one in can_be.values() if one.block_id is not None]),
                Block.current_state == ACTIVE,
            )
        )
    )
    return {id_: _told(job, can_be[id_].block_id, blocks) for id_, job in jobs.items()}


def _told(job: Job, block_id: int | None, active: set[int]) -> Importing:
    result: Mapping[str, Any] = job.result or {}
    block = block_id if block_id in active else None
    if job.state != DONE:
        return Importing(job.state, job.message, job.progress, block_id=block)
    if result.get("state") != "imported":
        return Importing("refused", job.message, 1.0, block_id=block)
    return Importing("imported", None, 1.0, result["refusals"][:TOLD_REFUSALS], block)


def _active_block(session: Session, datafile: Datafile) -> int | None:
    active = (Block.id == datafile.block_id, Block.current_state == ACTIVE)
    return None if datafile.block_id is None else session.scalar(select(Block.id).where(*active))


def _require_importable(datafile: Datafile) -> None:
    if datafile.state in (UPLOADED, CHECKING):
        raise NotReady(f"{datafile.name} is not checked yet; try again when it is")
    if datafile.state == READY:
        raise NotImportable(f"{datafile.name} is one array: create an object that has it, there is nothing to import")
    if datafile.format is None:
        raise NotImportable(f"{datafile.name} cannot be imported: {datafile.reason}")


def _require_others(session: Session, datafile: Datafile, others: Sequence[int]) -> None:
    """Raise Invalid unless the others are files of the same owner, each with a name of its own."""
    faults: list[str] = []
    names = {datafile.name.lower()}
    for id_ in others:
        other = session.get(Datafile, id_) if id_ < 2**31 else None
        if other is None or other.current_state != ACTIVE or other.owner_id != datafile.owner_id:
            faults.append(f"/datafiles/{id_} is no datafile of yours")
        elif other.state in (UPLOADED, CHECKING):
            faults.append(f"{other.name} is not checked yet; try again when it is")
        elif other.name.lower() in names:
            faults.append(f"{other.name} stands twice, and files are told apart by their names")
        else:
            names.add(other.name.lower())
    if faults:
        raise Invalid({"with": faults})

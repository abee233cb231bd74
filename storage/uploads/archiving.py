"""Archiving a datafile, so that the room it takes can be had again."""

from __future__ import annotations

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from storage.catalog import find, jobs, leftovers, overviews, permissions
from storage.catalog.base import ACTIVE, ARCHIVED, moment, now
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.jobs import Job
from storage.catalog.permissions import Caller
from storage.catalog.uses import links
from storage.errors import NotFound, StillUsed


def archive_datafile(engine: Engine, caller: Caller, datafile_id: int) -> Datafile:
    """Archive a datafile that no object uses; of an uploaded file that nothing else needs, the bytes go as well.

    Raises
    ------
    NotFound, LoginNeeded, Forbidden
    StillUsed
        If an active object of its owner uses it.
    """
    with Session(engine.execution_options(writes=True), expire_on_commit=False) as session, session.begin():
        datafile: Datafile = find.get(session, Datafile, datafile_id)
        permissions.require_write(caller, datafile)
        # In the order of whoever ends a job: its row, then the datafile, which whoever makes an object locks as well.
        session.execute(select(Job.id).where(Job.datafile_id == datafile_id).order_by(Job.id).with_for_update())
        session.refresh(datafile, with_for_update={"of": Datafile})
        if datafile.current_state != ACTIVE:
            raise NotFound(f"there is no datafile {datafile_id}")
        _require_unused(session, datafile)
        datafile.current_state, datafile.last_modified = ARCHIVED, now()
        session.flush()
        _cancel_jobs(session, datafile)
        _note_leftovers(session, datafile)
    return datafile


def _require_unused(session: Session, datafile: Datafile) -> None:
    """Require that no object of the same owner has it: what others made of it is their concern."""
    linking = session.execute(links(lambda linked: linked == datafile.id))
    users = next((one for one in linking if one.owner_id == datafile.owner_id), None)
    if users is not None:
        place = f"/electrophysiology/{users.type_name}/{users.object_id}"
        raise StillUsed(f"{datafile.name} is the {users.field} of {place}; delete or change that first")


def _cancel_jobs(session: Session, datafile: Datafile) -> None:
    waiting = (Job.datafile_id == datafile.id, Job.state == jobs.QUEUED)
    gone = {"state": jobs.CANCELLED, "date_finished": moment(), "message": "the datafile was deleted"}
    session.execute(update(Job).where(*waiting).values(gone))


def _note_leftovers(session: Session, datafile: Datafile) -> None:
    """Note what may be removed: the sidecar where no other array has it, the file where nothing is made of it."""
    shares = select(Datafile.id).where(Datafile.sidecar == datafile.sidecar, Datafile.current_state == ACTIVE)
    if datafile.sidecar is not None and session.scalar(shares.limit(1)) is None:
        leftovers.doom(session, [datafile.sidecar])
    overviews.drop(session, [datafile])
    file: StoredFile = datafile.file
    if file.uploader_id is not None and not find.made_from(session, file.id):
        leftovers.doom(session, [file.name])
        file.uploader_id = None

"""Uploads under way: room is reserved before a byte is stored, and the catalog knows a file only when it is whole.

The row of an upload goes in the transaction that adds its datafile, or in the one that gives it up. So whoever comes
second, of a request that ends and a sweep that takes it for abandoned, finds that it is too late.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, Engine, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from storage.catalog import quota
from storage.catalog.base import ACTIVE, PRIVATE, moment
from storage.catalog.files import UPLOADED, Datafile, StoredFile
from storage.catalog.jobs import add_check
from storage.catalog.uploads import Upload
from storage.errors import NotFound
from storage.stores.backend import Stat
from storage.uploads.file_names import clean_name

log = logging.getLogger(__name__)

RENEWALS = 3
"""Within the time of a lease, so that one or two may fail."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one upload, and all of a user, may take."""

    max_nbytes: int
    """Of a file."""
    max_request_nbytes: int
    """Of a file that comes in one request."""
    quota_nbytes: int
    """Of a user for whom the catalog says nothing else."""
    lease_s: float
    """After which an upload in one request is abandoned, if its process does not renew it."""


def key_of(upload_id: str) -> str:
    """Return where the bytes of an upload lie; a completed one is found by it, too."""
    return f"datafiles/{upload_id[:2]}/{upload_id}.h5"


def reserve(
    engine: Engine,
    limits: Limits,
    *,
    owner_id: int,
    name: str,
    nbytes: int,
    lasts: timedelta,
    part_nbytes: int | None = None,
    sha256: str | None = None,
) -> Upload:
    """Reserve room for a file; raises QuotaExceeded."""
    upload_id = secrets.token_hex(16)
    with Session(engine.execution_options(writes=True), expire_on_commit=False) as session, session.begin():
        quota.require_room(session, owner_id, nbytes, usual_nbytes=limits.quota_nbytes)
        upload = Upload(
            id=upload_id,
            owner_id=owner_id,
            name=clean_name(name),
            key=key_of(upload_id),
            nbytes=nbytes,
            part_nbytes=part_nbytes,
            sha256=sha256,
            remove_after=moment() + lasts,
        )
        session.add(upload)
    return upload


def grow(engine: Engine, limits: Limits, upload: Upload, nbytes: int) -> None:
    """Reserve more room for an upload, so that it has ``nbytes``; raises QuotaExceeded."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        quota.require_room(session, upload.owner_id, nbytes - upload.nbytes, usual_nbytes=limits.quota_nbytes)
        session.execute(update(Upload).where(Upload.id == upload.id).values(nbytes=nbytes))
    upload.nbytes = nbytes


def renew(engine: Engine, upload_id: str, lasts: timedelta) -> datetime:
    """Let an upload last longer, and return until when; raises NotFound if it is over."""
    until = moment() + lasts
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        found = session.execute(update(Upload).where(Upload.id == upload_id).values(remove_after=until))
        if not _n_rows(found):
            raise _over(upload_id)
    return until


@contextmanager
def leased(engine: Engine, upload_id: str, lease_s: float) -> Iterator[None]:
    """Renew an upload again and again while the block runs, also while a store joins parts or a disk is slow."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(lease_s / RENEWALS):
            try:
                renew(engine, upload_id, timedelta(seconds=lease_s))
            except NotFound:
                return
            except SQLAlchemyError as error:
                log.warning("the lease of an upload is not renewed: %s", error)

    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def finish(engine: Engine, upload: Upload, stat: Stat, sha256: str | None) -> int:
    """Make a datafile of an upload whose bytes are all stored, and have it checked.

    Returns
    -------
    int
        Id of the datafile.

    Raises
    ------
    NotFound
        If the upload was given up meanwhile.
    """
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        if not _n_rows(session.execute(delete(Upload).where(Upload.id == upload.id))):
            raise _over(upload.id)
        file = StoredFile(name=upload.key, pin=stat.pin, nbytes=stat.nbytes, sha256=sha256, uploader_id=upload.owner_id)
        datafile = Datafile(name=upload.name, state=UPLOADED, owner_id=upload.owner_id, safety_level=PRIVATE, file=file)
        session.add(datafile)
        session.flush()
        job = add_check(session, datafile_id=datafile.id, owner_id=upload.owner_id, name=upload.name)
        if upload.sha256 is not None and sha256 is None:
            job.options = {"sha256": upload.sha256}
        return datafile.id


def finished(session: Session, upload_id: str, owner_id: int) -> int:
    """Return the id of the datafile that an upload became; raises NotFound."""
    became = (
        select(Datafile.id)
        .join(StoredFile, Datafile.file_id == StoredFile.id)
        .where(StoredFile.name == key_of(upload_id), Datafile.owner_id == owner_id, Datafile.current_state == ACTIVE)
        .order_by(Datafile.id)
        .limit(1)
    )
    found = session.scalar(became)
    if found is None:
        raise _over(upload_id)
    return found


def own(session: Session, upload_id: str, owner_id: int) -> Upload:
    """Return somebody's own upload by parts; raises NotFound, also for those of others."""
    found = session.get(Upload, upload_id)
    if found is None or found.owner_id != owner_id or found.part_nbytes is None:
        raise _over(upload_id)
    return found


def list_own(session: Session, owner_id: int) -> list[Upload]:
    """Return somebody's uploads by parts, the latest first."""
    mine = select(Upload).where(Upload.owner_id == owner_id, Upload.part_nbytes.is_not(None))
    return list(session.scalars(mine.order_by(Upload.date_created.desc(), Upload.id).limit(1000)))


def _over(upload_id: str) -> NotFound:
    return NotFound(f"there is no upload {upload_id[:32]}; it may have been completed or given up")


def _n_rows(result: object) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount

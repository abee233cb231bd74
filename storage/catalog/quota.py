"""How much of the store each user takes, and may take."""

from __future__ import annotations

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from storage.catalog.base import User
from storage.catalog.files import StoredFile
from storage.catalog.uploads import Upload
from storage.errors import QuotaExceeded


def used_nbytes(session: Session, user_id: int) -> int:
    """Return the bytes that a user's uploads take with what is beside them, and those of uploads under way."""
    stored = select(func.sum(StoredFile.nbytes + StoredFile.beside_nbytes)).where(StoredFile.uploader_id == user_id)
    reserved = select(func.sum(Upload.nbytes)).where(Upload.owner_id == user_id)
    return sum(int(session.scalar(one) or 0) for one in (stored, reserved))


def require_room(session: Session, user_id: int, nbytes: int, *, usual_nbytes: int) -> None:
    """Raise QuotaExceeded unless a user may store so many bytes more.

    The row of the user is locked until the transaction ends, so that two uploads at once cannot both take the
    last of the room; on SQLite a transaction that writes is alone anyway.
    """
    user = session.scalars(select(User).where(User.id == user_id).with_for_update()).one()
    limit = usual_nbytes if user.quota_nbytes is None else user.quota_nbytes
    used = used_nbytes(session, user_id)
    if used + nbytes > limit:
        raise QuotaExceeded(
            f"{nbytes} bytes more are over your quota: {used} of {limit} bytes are used; "
            "deleting datafiles that no object uses makes room",
            used=used,
            asked=nbytes,
            limit=limit,
        )


def reserve_beside(engine: Engine, file_id: int, nbytes: int, *, usual_nbytes: int) -> None:
    """Count what is about to be stored beside an uploaded file; raises QuotaExceeded where its owner has no room.

    A small file may imply much: arrays that are only told of in it, or the places of chunks that it does not have.
    """
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        file = session.get_one(StoredFile, file_id)
        more = nbytes - file.beside_nbytes
        if file.uploader_id is not None and more > 0:
            require_room(session, file.uploader_id, more, usual_nbytes=usual_nbytes)
        file.beside_nbytes = nbytes

"""How much of the store each user takes, and may take."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.catalog.base import User
from storage.catalog.files import StoredFile
from storage.catalog.uploads import Upload
from storage.errors import QuotaExceeded


def used_nbytes(session: Session, user_id: int) -> int:
    """Return the bytes that a user's uploads take, with those that are reserved for uploads under way."""
    stored = select(func.sum(StoredFile.nbytes)).where(StoredFile.uploader_id == user_id)
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

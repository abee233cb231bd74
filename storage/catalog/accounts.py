"""Who is logged in, and who tried in vain."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.catalog.base import Base, User, now


class LoginSession(Base):
    """One login, until it ends or expires; ended here, no cookie revives it."""

    __tablename__ = "login_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of what the cookie says: who reads the catalog cannot log in with it."""
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    address: Mapped[str] = mapped_column(String(64))
    """Where it began."""
    date_created: Mapped[datetime] = mapped_column(default=now)
    expires: Mapped[datetime] = mapped_column(index=True)

    user: Mapped[User] = relationship(User, lazy="joined")


class FailedLogin(Base):
    """One wrong password; too many in a short time, and nobody may try again for a while."""

    __tablename__ = "failed_login"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(150), index=True)
    address: Mapped[str] = mapped_column(String(64))
    moment: Mapped[datetime] = mapped_column(default=now, index=True)

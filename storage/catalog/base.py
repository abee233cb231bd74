"""What all tables of the catalog share: their base, moments, states, and whose a row is."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship
from sqlalchemy.types import DateTime, TypeDecorator

ACTIVE = 10
ARCHIVED = 20
PUBLIC = 1
FRIENDLY = 2
PRIVATE = 3

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def new_guid() -> str:
    """Return a global id: 40 hex digits that nothing else has."""
    return secrets.token_hex(20)


def now() -> datetime:
    """Return the time in UTC, to the second, as documents tell it."""
    return datetime.now(UTC).replace(microsecond=0)


def moment() -> datetime:
    """Return the time in UTC, exactly."""
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment; SQLite forgets zones, so it is stored as UTC without one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Turn a moment of any zone into UTC without a zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Say again that it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[int]: JSON,
        datetime: UTCDateTime,
    }


class User(Base):
    """Somebody who may log in."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(150), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    """None for an owner who cannot log in."""
    quota_nbytes: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes that uploads of this user may take; None for what the setting says."""
    date_created: Mapped[datetime] = mapped_column(default=now)


class Owned:
    """What objects and datafiles have in common."""

    id: Mapped[int] = mapped_column(primary_key=True)
    guid: Mapped[str] = mapped_column(String(40), default=new_guid, index=True)
    safety_level: Mapped[int] = mapped_column(default=PRIVATE)
    current_state: Mapped[int] = mapped_column(default=ACTIVE)
    date_created: Mapped[datetime] = mapped_column(default=now)
    last_modified: Mapped[datetime] = mapped_column(default=now)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), index=True)

    @declared_attr
    def corrections(cls) -> Mapped[dict[str, Any] | None]:
        """What the file says in the columns that a person changed: these stay as the person left them."""
        return mapped_column(JSON(none_as_null=True))

    @declared_attr
    def owner(cls) -> Mapped[User | None]:
        """Whose it is."""
        return relationship(User, lazy="joined")

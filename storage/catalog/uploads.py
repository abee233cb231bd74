"""Bytes in the store that nothing refers to: uploads under way, and what may be removed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.catalog.base import Base, now


class Upload(Base):
    """A file that is being sent; its bytes count against the quota of who sends it, and nobody can see them."""

    __tablename__ = "upload"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random, in hex."""
    owner_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    """What the sender calls the file."""
    key: Mapped[str] = mapped_column(String(64))
    nbytes: Mapped[int] = mapped_column(BigInteger)
    """Reserved: of the whole file, as announced."""
    part_nbytes: Mapped[int | None] = mapped_column(BigInteger)
    """Of each part but the last; None where the file comes in one request."""
    store_upload_id: Mapped[str | None] = mapped_column(Text)
    """What the store calls it, where the store itself joins parts."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    """As announced, in hex."""
    date_created: Mapped[datetime] = mapped_column(default=now)
    remove_after: Mapped[datetime] = mapped_column(index=True)
    """Abandoned from then on."""


class Leftover(Base):
    """A key that nothing refers to, yet or any more.

    Noted before a key is written, and struck out in the transaction that refers to it: whoever is killed
    in between leaves nothing behind for ever.
    """

    __tablename__ = "leftover"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    remove_after: Mapped[datetime] = mapped_column(index=True)

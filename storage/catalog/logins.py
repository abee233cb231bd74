"""Sessions of who is logged in, and what keeps passwords from being guessed."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
import secrets
import unicodedata
import zlib
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from storage.catalog.accounts import FailedLogin, LoginSession
from storage.catalog.base import User, now
from storage.catalog.permissions import Caller
from storage.errors import StorageError

LASTS = timedelta(days=14)
"""A session that is not used for this long has ended."""
LASTS_AT_MOST = timedelta(days=90)
"""However often it is used."""
EXTENDED_EVERY = timedelta(days=1)
"""Using a session writes to the catalog no more often."""

WINDOW = timedelta(minutes=15)
MAX_PER_PAIR = 5
"""Wrong passwords for one username from one address within the window."""
MAX_PER_ADDRESS = 50
MAX_PER_USERNAME = 100
"""From all addresses together, save those at which this user is logged in: nobody can lock these out."""

LOCK = 0x6C6F6769
"""Any number: what attempts wait for each other by, on PostgreSQL."""

MAX_USERNAME = 150
TOKEN = re.compile("[A-Za-z0-9_-]{43}")


class WrongPassword(StorageError):
    """No user of this name has this password."""


class TooManyAttempts(StorageError):
    """Wrong passwords came too fast.

    Parameters
    ----------
    retry_after_s : int
        When the next attempt counts again.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many wrong passwords; try again in {math.ceil(retry_after_s / 60)} minutes")
        self.retry_after_s = retry_after_s


def require_username(text: str) -> str:
    """Return a username in its one Unicode form (NFC); raises ValueError for what is none."""
    name = unicodedata.normalize("NFC", text)
    if not 1 <= len(name) <= MAX_USERNAME or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"{name[:40]!r} is no username: 1 to {MAX_USERNAME} printable characters, no space at either end"
        )
    return name


def address_of(remote: str | None) -> str:
    """Return the address that attempts are counted by: of IPv6 the network, whose addresses one caller has all of."""
    try:
        found = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return "local"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def user_named(session: Session, username: str) -> User | None:
    """Return the user of this name."""
    return session.scalar(select(User).where(User.username == username))


def note_attempt(session: Session, username: str, address: str) -> None:
    """Count an attempt before its password is looked at, so that none are made side by side.

    Raises
    ------
    TooManyAttempts
        Such an attempt is not counted itself: whoever waits may try again.
    """
    _one_at_a_time(session, username, address)
    session.execute(delete(FailedLogin).where(FailedLogin.moment < now() - WINDOW))
    of_name, of_address = FailedLogin.username == username, FailedLogin.address == address
    limits = [((of_name, of_address), MAX_PER_PAIR), ((of_address,), MAX_PER_ADDRESS)]
    if not _is_known_at(session, username, address):
        limits.append(((of_name,), MAX_PER_USERNAME))
    for conditions, most in limits:
        # The attempt that has to grow old before there are fewer than the limit again.
        oldest = select(FailedLogin.moment).where(*conditions).order_by(FailedLogin.moment.desc()).offset(most - 1)
        moment = session.scalar(oldest.limit(1))
        if moment is not None:
            raise TooManyAttempts(max(1, math.ceil((moment + WINDOW - now()).total_seconds())))
    session.add(FailedLogin(username=username, address=address))


def _one_at_a_time(session: Session, *subjects: str) -> None:
    """Wait for other attempts for the same name or from the same address; on SQLite all who write wait anyway."""
    if session.get_bind().dialect.name == "postgresql":
        for number in sorted({zlib.crc32(subject.encode()) for subject in subjects}):
            lock = {"family": LOCK, "number": number - 2**31}
            session.execute(text("SELECT pg_advisory_xact_lock(:family, :number)"), lock)


def begin(session: Session, user: User, address: str) -> str:
    """Begin a session after the right password; return the token that its cookie has."""
    session.execute(delete(FailedLogin).where(FailedLogin.username == user.username, FailedLogin.address == address))
    session.execute(delete(LoginSession).where(_has_ended()))
    token = secrets.token_urlsafe(32)
    session.add(LoginSession(token_hash=_hash(token), user_id=user.id, address=address, expires=now() + LASTS))
    return token


def end(session: Session, token: str) -> None:
    """End a session; no cookie revives it."""
    session.execute(delete(LoginSession).where(LoginSession.token_hash == _hash(token)))


def end_all(session: Session, user: User) -> None:
    """End every session of a user, as after a change of password."""
    session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))


def is_token(text: str) -> bool:
    """Whether a cookie has the form of a token; nothing else is looked up."""
    return TOKEN.fullmatch(text) is not None


def who(connection: Connection, token: str) -> tuple[Caller, datetime] | None:
    """Return whose session this is and when it expires; None if it has ended. One statement."""
    columns = select(User.id, User.username, LoginSession.expires)
    found = connection.execute(
        columns.join(LoginSession, LoginSession.user_id == User.id).where(
            LoginSession.token_hash == _hash(token), ~_has_ended()
        )
    ).first()
    return None if found is None else (Caller(found.id, found.username), found.expires)


def is_due(expires: datetime) -> bool:
    """Whether the use of a session is to be noted."""
    return expires - now() < LASTS - EXTENDED_EVERY


def extend(session: Session, token: str) -> None:
    """Note that a session is in use."""
    statement = update(LoginSession).where(LoginSession.token_hash == _hash(token))
    session.execute(statement.values(expires=now() + LASTS))


def _has_ended() -> ColumnElement[bool]:
    return or_(LoginSession.expires <= now(), LoginSession.date_created <= now() - LASTS_AT_MOST)


def _is_known_at(session: Session, username: str, address: str) -> bool:
    """Whether a user is logged in at an address already."""
    known = (
        select(func.count())
        .select_from(LoginSession)
        .join(User, LoginSession.user_id == User.id)
        .where(User.username == username, LoginSession.address == address, ~_has_ended())
    )
    return bool(session.scalar(known))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

"""Passwords: what they may be, and how they are kept."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache

from werkzeug.security import check_password_hash, generate_password_hash

from app.long_answers import Busy

MIN_CHARACTERS = 8
MAX_NBYTES = 1024
"""Longer ones are refused before any work is done on them."""

_AT_ONCE, _PATIENCE_S = threading.BoundedSemaphore(2), 5.0
# One scrypt takes 32 MB and a processor for a twentieth of a second: a crowd at the door may not take all of them.


def require_password(text: str) -> str:
    """Return a password that may be set; raises ValueError for one that is too short or too long."""
    if len(text) < MIN_CHARACTERS:
        raise ValueError(f"a password has at least {MIN_CHARACTERS} characters")
    if not _fits(text):
        raise ValueError(f"a password has at most {MAX_NBYTES} bytes")
    return text


def hashed(password: str) -> str:
    """Return what the catalog keeps of a password."""
    with _AT_ONCE:
        return generate_password_hash(_one_form(password), method="scrypt")


def matches(kept: str | None, password: str) -> bool:
    """Whether this is the password; takes as long where there is none, or no such user.

    Raises
    ------
    Busy
        If too many ask at once.
    """
    if not _fits(password):
        return False
    if not _AT_ONCE.acquire(timeout=_PATIENCE_S):
        raise Busy("too many log in at once; try again later")
    try:
        is_right = check_password_hash(kept or _nobodys(), _one_form(password))
    finally:
        _AT_ONCE.release()
    return is_right and kept is not None


@cache
def _nobodys() -> str:
    return generate_password_hash("nobody's", method="scrypt")


def _fits(text: str) -> bool:
    return len(text) <= MAX_NBYTES and len(text.encode("utf-8", "surrogatepass")) <= MAX_NBYTES


def _one_form(password: str) -> str:
    """Return the same text for the same keys, whatever keyboard they were on."""
    return unicodedata.normalize("NFC", password)

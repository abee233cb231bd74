"""Who is calling: the cookie of a session, and which sites may send it."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from sqlalchemy.exc import DatabaseError

from app.passwords import matches
from app.services import services
from storage.catalog import logins
from storage.catalog.permissions import NOBODY, Caller, Forbidden

log = logging.getLogger(__name__)

COOKIE = "sessionid"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def install(app: Flask) -> None:
    """Keep other sites from using the cookies of who is logged in here."""
    app.before_request(_refuse_other_sites)


def caller() -> Caller:
    """Return who asks, looked up once per request and only where there is a cookie."""
    if "caller" not in g:
        g.caller = NOBODY  # also for the document which tells that the catalog cannot be asked
        token = _token()
        if token is not None:
            g.caller = _of_session(token)
    found: Caller = g.caller
    return found


def log_in(username: str, password: str) -> str:
    """Begin a session; return what the cookie says.

    Raises
    ------
    WrongPassword, TooManyAttempts
    """
    address = logins.address_of(request.remote_addr)
    with services().transaction() as session:
        logins.note_attempt(session, username, address)
        user = logins.user_named(session, username)
    # Outside of any transaction, because it takes a while.
    if not matches(None if user is None else user.password_hash, password) or user is None:
        raise logins.WrongPassword("there is no user of this name and password")
    before = _token()
    with services().transaction() as session:
        if before is not None:
            logins.end(session, before)
        token = logins.begin(session, user, address)
    g.caller = Caller(user.id, user.username)
    return token


def log_out() -> None:
    """End the session of the caller, if there is one."""
    token = _token()
    if token is not None:
        with services().transaction() as session:
            logins.end(session, token)
    g.caller = NOBODY


def give_cookie(response: Response, token: str) -> None:
    """Send the cookie of a session."""
    response.set_cookie(COOKIE, token, max_age=logins.LASTS_AT_MOST, secure=_is_secure(), httponly=True, samesite="Lax")


def take_cookie(response: Response) -> None:
    """Make a browser forget the cookie."""
    response.delete_cookie(COOKIE, secure=_is_secure(), httponly=True, samesite="Lax")


def refuse_other_sites() -> None:
    """Raise Forbidden for what a page of another site sent; browsers say so, programs say nothing."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_own = site in ("same-origin", "none")
    else:
        is_own = origin is None or urlsplit(origin).netloc.lower() == request.host.lower()
    if not is_own:
        raise Forbidden("a page of another site sent this; it may read here, but not change anything")


def _refuse_other_sites() -> None:
    if request.method not in SAFE_METHODS:
        refuse_other_sites()


def _is_secure() -> bool:
    return request.is_secure or services().settings.secure_cookies


def _token() -> str | None:
    token = request.cookies.get(COOKIE)
    return token if token is not None and logins.is_token(token) else None


def _of_session(token: str) -> Caller:
    with services().connection() as connection:
        found = logins.who(connection, token)
    if found is None:
        return NOBODY
    asking, expires = found
    if logins.is_due(expires):
        try:
            with services().transaction() as session:
                logins.extend(session, token)
        except DatabaseError as error:  # the session lasts on; the next request notes its use
            log.warning("the use of a session cannot be noted: %s", error.orig)
    return asking

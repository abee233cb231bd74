"""People who are logged in, without the time that a password takes."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from storage.catalog import logins
from storage.catalog.base import User
from tests.archive import Archive


def session_of(engine, username: str, quota_nbytes: int | None = None) -> str:
    """Log somebody in, who is made a user where there is none of this name; return the cookie."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        user = logins.user_named(session, username)
        if user is None:
            user = User(username=username, quota_nbytes=quota_nbytes)
            session.add(user)
            session.flush()
        return logins.begin(session, user, "127.0.0.1")


def logged_in(archive: Archive, username: str, quota_nbytes: int | None = None) -> FlaskClient:
    """Return a client of somebody who is logged in."""
    client = archive.app.test_client()
    client.set_cookie("sessionid", session_of(archive.services.engine, username, quota_nbytes))
    return client

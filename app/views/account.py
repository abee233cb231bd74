"""Logging in and out: ``/account/``."""

from __future__ import annotations

from flask import Blueprint, Response

from app import auth
from app.bodies import form_or_json
from app.documents import MEDIA_TYPE, document
from schemas.accounts import LOGIN

account = Blueprint("account", __name__, url_prefix="/account")


@account.post("/authenticate/")
def authenticate() -> Response:
    """Begin a session for a username and its password."""
    username, password = LOGIN.load(form_or_json())
    token = auth.log_in(username, password)
    response = _told(f"You are logged in as {username}.", "logged_in")
    auth.give_cookie(response, token)
    return response


@account.route("/logout/", methods=["GET", "POST"])
def logout() -> Response:
    """End the session on the server."""
    auth.refuse_other_sites()  # also for GET, which changes nothing anywhere else
    auth.log_out()
    response = _told("You are logged out.", "logged_out")
    auth.take_cookie(response)
    return response


def _told(message: str, message_type: str) -> Response:
    response = Response(document([], message=message, message_type=message_type), mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response

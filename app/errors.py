"""From what went wrong to what the caller is told: one table, and nowhere else a status."""

from __future__ import annotations

import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, request
from marshmallow import ValidationError
from sqlalchemy.exc import DatabaseError, DataError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from app.auth import caller
from app.body import BodyBroken
from app.documents import MEDIA_TYPE, document
from app.form import WrongForm, WrongMediaType
from app.long_answers import Busy
from app.looking_again import look_again
from storage import errors
from storage.catalog.logins import TooManyAttempts, WrongPassword
from storage.catalog.permissions import Forbidden, LoginNeeded
from storage.writing.given import Invalid, Stale
from storage.writing.objects import Contended, TooMany

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5

STATUS: dict[type[Exception], tuple[HTTPStatus, str]] = {
    errors.SelectionError: (HTTPStatus.BAD_REQUEST, "bad_request"),
    ValidationError: (HTTPStatus.BAD_REQUEST, "bad_request"),
    WrongPassword: (HTTPStatus.UNAUTHORIZED, "wrong_password"),
    TooManyAttempts: (HTTPStatus.TOO_MANY_REQUESTS, "too_many_attempts"),
    LoginNeeded: (HTTPStatus.UNAUTHORIZED, "login_needed"),
    Forbidden: (HTTPStatus.FORBIDDEN, "forbidden"),
    Invalid: (HTTPStatus.BAD_REQUEST, "bad_request"),
    TooMany: (HTTPStatus.BAD_REQUEST, "bad_request"),
    Contended: (HTTPStatus.CONFLICT, "contended"),
    Stale: (HTTPStatus.PRECONDITION_FAILED, "stale"),
    errors.NotFound: (HTTPStatus.NOT_FOUND, "not_found"),
    errors.Missing: (HTTPStatus.NOT_FOUND, "missing"),
    errors.NotStored: (HTTPStatus.NOT_FOUND, "not_stored"),
    errors.FileChanged: (HTTPStatus.CONFLICT, "file_changed"),
    errors.FileDamaged: (HTTPStatus.CONFLICT, "file_damaged"),
    errors.NotReady: (HTTPStatus.CONFLICT, "not_ready"),
    errors.NotImportable: (HTTPStatus.CONFLICT, "not_importable"),
    errors.StillUsed: (HTTPStatus.CONFLICT, "still_used"),
    errors.PartsWrong: (HTTPStatus.CONFLICT, "parts_wrong"),
    errors.Superseded: (HTTPStatus.CONFLICT, "superseded"),
    errors.WrongLength: (HTTPStatus.BAD_REQUEST, "wrong_length"),
    errors.TooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large"),
    errors.QuotaExceeded: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "quota_exceeded"),
    errors.ReadOnly: (HTTPStatus.FORBIDDEN, "read_only"),
    errors.OverviewNeeded: (HTTPStatus.SERVICE_UNAVAILABLE, "overview_needed"),
    errors.OrderUnknown: (HTTPStatus.SERVICE_UNAVAILABLE, "order_unknown"),
    errors.StoreFull: (HTTPStatus.INSUFFICIENT_STORAGE, "store_full"),
    BodyBroken: (HTTPStatus.BAD_REQUEST, "body_broken"),
    WrongForm: (HTTPStatus.BAD_REQUEST, "bad_request"),
    WrongMediaType: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "wrong_media_type"),
    Busy: (HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    errors.StoreAway: (HTTPStatus.SERVICE_UNAVAILABLE, "store_away"),
    errors.SandboxAway: (HTTPStatus.SERVICE_UNAVAILABLE, "sandbox_away"),
    errors.OldCatalog: (HTTPStatus.SERVICE_UNAVAILABLE, "old_catalog"),
    DataError: (HTTPStatus.BAD_REQUEST, "bad_request"),
    DatabaseError: (HTTPStatus.SERVICE_UNAVAILABLE, "database_away"),
    InterfaceError: (HTTPStatus.SERVICE_UNAVAILABLE, "database_away"),
    PoolTimeout: (HTTPStatus.SERVICE_UNAVAILABLE, "database_away"),
}
"""What each exception becomes: the status, and the stable word for programs."""

HTTP_MESSAGES = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address; / tells what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address does not take this method",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body of the request is larger than this address takes",
}


def install(app: Flask) -> None:
    """Make an application answer every error by its document."""
    for kind in STATUS:
        app.register_error_handler(kind, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unknown)


def _known(error: Exception) -> Response:
    status, word = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    message, details = _told(error, word)
    if isinstance(error, errors.FileChanged | errors.Missing) and error.name is not None and look_again(error):
        message += "; it is being registered again"
    response = _response(status, word, message, details)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        log.warning("%s: %s (%s)", word, error, str(error.__cause__ or "").partition("\n")[0][:500])
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _told(error: Exception, word: str) -> tuple[str, dict[str, Any]]:
    """Return the sentence, and what is wrong by parameter."""
    if isinstance(error, ValidationError):
        details: dict[str, Any] = _keyed_by_text(error.normalized_messages())  # type: ignore[no-untyped-call]
        return "; ".join(f"{name}: {_joined(said)}" for name, said in details.items()), details
    if isinstance(error, Invalid):
        return str(error), dict(error.faults)
    if isinstance(error, errors.SelectionError):
        return str(error), {name: [str(error)] for name in error.parameters}
    if isinstance(error, errors.PartsWrong):
        return str(error), {"parts": {str(number): [said] for number, said in error.parts.items()}}
    if isinstance(error, errors.QuotaExceeded):
        return str(error), {"nbytes": {"used": error.used, "asked": error.asked, "limit": error.limit}}
    if isinstance(error, errors.OverviewNeeded):
        return str(error), {"progress": round(error.done, 4)}
    if isinstance(error, LoginNeeded):
        return f"{error}: POST username and password to /account/authenticate/", {}
    if isinstance(error, DataError):
        return "the catalog cannot look for such a value", {}
    if word == "database_away":
        return "the catalog does not answer; try again later", {}
    return str(error), {}


def _keyed_by_text(said: Any) -> Any:
    """Return messages as JSON can have them; marshmallow names the items of a list by number."""
    return {str(name): _keyed_by_text(more) for name, more in said.items()} if isinstance(said, dict) else said


def _joined(said: Any) -> str:
    return ", ".join(map(str, said)) if isinstance(said, list) else str(said)


def _http(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, keeping its headers such as Allow."""
    error = _other_method() if isinstance(error, NotFound) else error
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    message = HTTP_MESSAGES.get(status) or error.description or status.phrase
    response = _response(status, status.phrase.lower().replace(" ", "_"), message, {})
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _other_method() -> HTTPException:
    """Return 405 where only the method was wrong; without a trailing slash Flask takes that for 404."""
    adapter = current_app.create_url_adapter(request)
    allowed = adapter.allowed_methods(f"{request.path.rstrip('/')}/") if adapter is not None else []
    return NotFound() if not allowed or request.method in allowed else MethodNotAllowed(list(allowed))


def _unknown(error: Exception) -> Response:
    """Answer a defect of the service without telling its insides."""
    log.error("unexpected error", exc_info=error)
    message = "the service failed to answer this; its log says why"
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message, {})


def _response(status: HTTPStatus, word: str, message: str, details: dict[str, Any]) -> Response:
    with suppress(SQLAlchemyError):  # then nobody is known to be logged in
        caller()
    content = document([], message=message, message_type=word, details=details)
    response = Response(content, status=status, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response

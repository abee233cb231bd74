"""The body of a request as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from app import body
from schemas.bodies import parsed

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def received() -> bytes:
    """Return the body of the request, if it comes soon."""
    with body.in_time(request.content_length or 0):
        return request.get_data()


def json_body(*, max_nbytes: int | None = None) -> dict[str, Any]:
    """Return the JSON object that was sent; anything but JSON is 415."""
    if not request.is_json:
        raise UnsupportedMediaType("send JSON, with Content-Type: application/json")
    if max_nbytes is not None:
        request.max_content_length = max_nbytes
    return parsed(received())


def form_or_json() -> Mapping[str, Any]:
    """Return the fields of a form, or of a JSON object."""
    if request.mimetype not in FORMS:
        return json_body()
    with body.in_time(request.content_length or 0):
        return request.form.to_dict()

"""The body of a request as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from schemas.bodies import parsed

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def json_body(*, max_nbytes: int | None = None) -> dict[str, Any]:
    """Return the JSON object that was sent; anything but JSON is 415."""
    if not request.is_json:
        raise UnsupportedMediaType("send JSON, with Content-Type: application/json")
    if max_nbytes is not None:
        request.max_content_length = max_nbytes
    return parsed(request.get_data())


def form_or_json() -> Mapping[str, Any]:
    """Return the fields of a form, or of a JSON object."""
    return request.form.to_dict() if request.mimetype in FORMS else json_body()

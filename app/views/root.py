"""Where a caller begins, and what a load balancer asks."""

from __future__ import annotations

from flask import Blueprint, Response

from app.conditional import json_answer
from app.documents import MEDIA_TYPE, document
from app.services import services
from schemas.objects import SCHEMAS
from storage.catalog.migrate import is_current
from storage.errors import OldCatalog

root = Blueprint("root", __name__)


@root.get("/")
def get_root() -> Response:
    """Answer the addresses of all lists."""
    selected = [f"/electrophysiology/{type_name}/" for type_name in SCHEMAS] + ["/datafiles/"]
    message = "This is Ephystore: arrays of electrophysiology, by the slice. Here are its lists."
    return json_answer(document(selected, message=message, message_type="welcome"), public=True)


@root.get("/health/")
def get_health() -> Response:
    """Answer whether the service can answer: the catalog is there, and of this version."""
    with services().connection() as connection:
        if not is_current(connection):
            raise OldCatalog(
                "the catalog has tables of another version; 'flask --app wsgi init' brings them up to date"
            )
    response = Response(document([], message="The service answers.", message_type="healthy"), mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response

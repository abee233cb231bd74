"""Making objects of uploaded files: ``/datafiles/<id>/import/``."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, request

from app.auth import caller
from app.bodies import json_body
from app.documents import MEDIA_TYPE, document
from app.presenting import datafile_entry
from app.services import services
from schemas.imports import IMPORT
from schemas.permalinks import datafile_permalink
from schemas.queries import NOTHING, load
from storage.catalog import find, permissions
from storage.catalog.files import Datafile
from storage.uploads import importing

imports = Blueprint("imports", __name__, url_prefix="/datafiles")

MAX_NBYTES = 1 << 20
"""Of a body that names other files."""


@imports.post("/<id:datafile_id>/import/")
def import_datafile(datafile_id: int) -> Response:
    """Queue the making of objects of an uploaded file; asked again, tell how far that is."""
    load(NOTHING, request.args.items(multi=True))
    permissions.require_login(caller())
    has_body = bool(request.content_length) or request.headers.get("Transfer-Encoding") is not None
    told = IMPORT.load(json_body(max_nbytes=MAX_NBYTES)) if has_body else {"others": []}
    datafile, became = importing.ask(services().engine, caller(), datafile_id, told["others"])
    if became == "asked":
        services().wake()
    with services().session() as session:
        datafile = find.get(session, Datafile, datafile.id)
        entry = datafile_entry(datafile, importing=importing.progress_of(session, [datafile]).get(datafile.id))
    info = f"{datafile_permalink(datafile.id)}/info/"
    message = {
        "asked": f"{datafile.name} will be imported; {info} tells how far it is.",
        "under_way": f"{datafile.name} is being imported; {info} tells how far it is.",
        "imported": f"{datafile.name} is imported already.",
    }[became]
    content = document([entry], message=message, message_type=f"import_{became}")
    status = HTTPStatus.OK if became == "imported" else HTTPStatus.ACCEPTED
    response = Response(content, status=status, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Location"] = info
    return response

"""The Neo objects: ``/electrophysiology/``."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from app.auth import caller
from app.conditional import json_answer
from app.documents import document
from app.presenting import selected_list, selected_object
from app.services import services
from app.timing import server_timing
from schemas.objects import type_name as named_type
from schemas.queries import OBJECT, list_schema, load
from storage.catalog import find, permissions
from storage.catalog.base import PUBLIC
from storage.catalog.models import ALIASES, TYPES
from storage.errors import NotFound
from storage.timings import Timings

electrophysiology = Blueprint("electrophysiology", __name__, url_prefix="/electrophysiology")

MESSAGE = "Here is the list of requested objects."
MESSAGE_TYPE = "object_selected"


@electrophysiology.get("/<type_name>/")
def list_objects(type_name: str) -> Response:
    """Answer the objects of a type that the filters match, each sliced on its own axis."""
    model = model_of(type_name)
    query = load(list_schema(model.parent_fields, has_name=hasattr(model, "name")), request.args.items(multi=True))
    with services().session() as session:
        page = find.list_objects(
            session,
            model,
            caller(),
            find.conditions(model, query.filters),
            offset=query.offset,
            limit=query.max_results,
        )
        children = find.children(session, page.objects, caller()) if query.detail == "full" else {}
    selected = selected_list(page.objects, query, children, services(), caller())
    content = document(selected, message=MESSAGE, message_type=MESSAGE_TYPE, offset=query.offset, total=page.total)
    return json_answer(content, public=all(row.safety_level == PUBLIC for row in page.objects))


@electrophysiology.get("/<type_name>/<id:object_id>/")
def get_object(type_name: str, object_id: int) -> Response:
    """Answer one object, with links to the asked part of its arrays."""
    query = load(OBJECT, request.args.items(multi=True))
    timings = Timings()
    with services().session() as session:
        row = find.get(session, model_of(type_name), object_id)
        permissions.require_read(caller(), row)
        children = find.children(session, [row], caller())[row.id] if query.detail == "full" else {}
    selected = [selected_object(row, query, children, services(), timings, caller())]
    content = document(selected, message=MESSAGE, message_type=MESSAGE_TYPE)
    response = json_answer(content, guid=row.guid, public=row.safety_level == PUBLIC)
    response.last_modified = row.last_modified
    response.headers["Server-Timing"] = server_timing(timings)
    return response


def model_of(spelled: str) -> type[Any]:
    """Return the type of a name or an alias; raises NotFound."""
    name = named_type(spelled)
    if name is None:
        known = ", ".join([*TYPES, *ALIASES])
        raise NotFound(f"{spelled[:40]!r} is no type of object; there are {known}")
    return TYPES[name]

"""Creating, changing and archiving Neo objects: ``/electrophysiology/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request
from marshmallow import ValidationError

from app.auth import caller
from app.bodies import json_body
from app.conditional import VARY
from app.documents import MEDIA_TYPE, document
from app.presenting import selected_list
from app.services import services
from app.views.electrophysiology import model_of
from schemas.fields import Shown
from schemas.objects import SCHEMAS, load_object
from schemas.permalinks import object_permalink
from schemas.queries import NOTHING, OBJECT, chosen_schema, load
from storage.catalog import find, permissions
from storage.writing import objects
from storage.writing.given import Given
from storage.writing.objects import Chosen

changes = Blueprint("changes", __name__, url_prefix="/electrophysiology")

MAX_NBYTES = 8 << 20
"""Of a body: two inline arrays of 100,000 numbers each, in all their digits."""
BULK = "bulk_update"


@changes.post("/<type_name>/")
def create_or_change_all(type_name: str) -> Response:
    """Create an object; with ``bulk_update=1``, change all that the filters select."""
    permissions.require_login(caller())
    model = model_of(type_name)
    if request.args:
        return _change_all(model)
    given = load_object(model.type_name, json_body(max_nbytes=MAX_NBYTES), is_new=True)
    row = objects.create(services().writing, caller(), model, given)
    response = _written([row], "Here is the new object.", "object_created", status=HTTPStatus.CREATED)
    response.headers["Location"] = f"{object_permalink(row.type_name, row.id)}/"
    return response


@changes.post("/<type_name>/<id:object_id>/")
def change(type_name: str, object_id: int) -> Response:
    """Change the named fields of one object."""
    load(NOTHING, request.args.items(multi=True))
    permissions.require_login(caller())
    model = model_of(type_name)
    chosen = Chosen(model, object_id, is_current=_is_current())
    given = load_object(model.type_name, json_body(max_nbytes=MAX_NBYTES), is_new=False)
    if given.told:
        _compare(model, object_id, given)
    rows = objects.change(services().writing, caller(), chosen, given)
    return _written(rows, "Here is the object as it is now.", "object_changed")


@changes.delete("/<type_name>/<id:object_id>/")
def archive(type_name: str, object_id: int) -> Response:
    """Archive one object."""
    load(NOTHING, request.args.items(multi=True))
    permissions.require_login(caller())
    chosen = Chosen(model_of(type_name), object_id, is_current=_is_current())
    rows = objects.archive(services().writing, caller(), chosen)
    return _written(rows, "The object is archived.", "object_archived")


@changes.delete("/<type_name>/")
def archive_all(type_name: str) -> Response:
    """Archive all that the filters select."""
    permissions.require_login(caller())
    rows = objects.archive(services().writing, caller(), _chosen(model_of(type_name), switch=None))
    return _written(rows, f"{len(rows)} objects are archived.", "object_archived")


def _change_all(model: type[Any]) -> Response:
    chosen = _chosen(model, switch=BULK)
    given = load_object(model.type_name, json_body(max_nbytes=MAX_NBYTES), is_new=False)
    for name in given.told:
        given.fault(name, "is given by the service, to each object its own: leave it out")
    rows = objects.change(services().writing, caller(), chosen, given)
    return _written(rows, f"Here are the {len(rows)} objects as they are now.", "object_changed")


def _chosen(model: type[Any], *, switch: str | None) -> Chosen:
    """Return what the filters select; without any nothing is changed, because that would be everything."""
    if "If-Match" in request.headers:
        raise ValidationError({"If-Match": ["is for one object at its own address"]})
    schema = chosen_schema(model.parent_fields, has_name=hasattr(model, "name"), switch=switch)
    filters: dict[str, Any] = load(schema, request.args.items(multi=True))
    if switch is not None and not filters.pop(switch):
        raise ValidationError({switch: [f"is to be 1 to change all that is selected: {switch}=1"]})
    if not filters:
        known = ", ".join(sorted({*schema.fields} - {switch}))
        raise ValidationError({"query": [f"has no filter, and so would select everything; known are {known}"]})
    return Chosen(model, conditions=find.conditions(model, filters))


def _is_current() -> Callable[[str], bool] | None:
    """Return whether the caller knows an object of a guid as it is, by ``If-Match``: a guid, or an ETag with it."""
    if "If-Match" not in request.headers:
        return None
    tags = request.if_match
    known = {tag.partition("-")[0] for tag in tags.as_set(include_weak=True)}
    return lambda guid: tags.star_tag or guid in known


def _compare(model: type[Any], object_id: int, given: Given) -> None:
    """Note which read-only fields were sent with other values than they have; the same ones are no harm."""
    with services().session() as session:
        row = find.get(session, model, object_id)
        permissions.require_write(caller(), row)
        children = find.children(session, [row], caller())[row.id]
    current = SCHEMAS[model.type_name].dump(Shown(row, children=children))
    for name, sent in given.told.items():
        if _plain(sent) != _plain(current[name]):
            given.fault(name, f"is given by the service: it is {str(current[name])[:60]}, and cannot be changed")


def _plain(value: Any) -> Any:
    """Return what two values have in common that are told alike: children in any order."""
    return sorted(map(str, value)) if isinstance(value, list) else value


def _written(rows: Sequence[Any], message: str, message_type: str, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer objects as they were just written."""
    children: Mapping[int, Any] = {}
    if rows:
        with services().session() as session:
            children = find.children(session, rows, caller())
    selected = selected_list(rows, load(OBJECT, ()), children, services(), caller())
    content = document(selected, message=message, message_type=message_type)
    response = Response(content, status=status, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = VARY
    if len(rows) == 1:
        response.set_etag(rows[0].guid)
        response.last_modified = rows[0].last_modified
    return response

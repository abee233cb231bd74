"""Files that callers send: whole by ``POST /datafiles/``, in parts below ``/datafiles/uploads/``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request

from app import body
from app.auth import caller
from app.bodies import received
from app.documents import MEDIA_TYPE, document
from app.form import sent_file
from app.presenting import datafile_entry
from app.services import services
from schemas.permalinks import datafile_permalink, part_link, upload_permalink
from schemas.queries import NOTHING, load
from schemas.uploads import (
    COMPLETE,
    NEW_UPLOAD,
    UPLOAD_PARTS,
    VIA,
    PartLink,
    load_json,
    parts_fields,
    upload_fields,
)
from storage.catalog import find, permissions, queue
from storage.catalog.base import moment
from storage.catalog.files import Datafile
from storage.catalog.uploads import Upload
from storage.errors import NotFound, WrongLength
from storage.stores.backend import Part
from storage.uploads import abandoned, in_parts, under_way
from storage.uploads.receive import receive

uploads = Blueprint("uploads", __name__, url_prefix="/datafiles")

FILE_FIELD = "raw_file"


@uploads.after_request
def hear_out(response: Response) -> Response:
    """Let a caller whose file is refused finish, so that the reason is heard and not the connection broken."""
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        response.call_on_close(body.linger())
    return response


@uploads.post("/")
def post_datafile() -> Response:
    """Store the one file of a form, and answer its datafile, which is checked next."""
    load(NOTHING, request.args.items(multi=True))
    owner_id = permissions.require_login(caller())
    with services().long_answers.place():
        file = sent_file(FILE_FIELD, request.headers.get("Content-Type", ""), request.content_length, body.pieces())
        datafile_id = receive(
            services().store,
            services().engine,
            services().settings.limits,
            owner_id=owner_id,
            name=file.name,
            nbytes=file.nbytes,
            pieces=file.pieces,
        )
    return _uploaded(datafile_id, is_new=True)


@uploads.post("/uploads/")
def post_upload() -> Response:
    """Begin an upload by parts."""
    query = load(VIA, request.args.items(multi=True))
    owner_id = permissions.require_login(caller())
    new = load_json(NEW_UPLOAD, received())
    upload = in_parts.begin(
        services().store,
        services().engine,
        services().settings.limits,
        owner_id=owner_id,
        name=new.name,
        plan=new.plan,
        sha256=new.sha256,
    )
    shown = load(UPLOAD_PARTS, [("via", query["via"])])
    response = _answer([_upload_entry(upload, {}, shown)], "Send the parts, in any order.", "object_created")
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = upload_permalink(upload.id)
    return response


@uploads.get("/uploads/")
def list_uploads() -> Response:
    """Answer the caller's own uploads, without their parts."""
    load(NOTHING, request.args.items(multi=True))
    owner_id = permissions.require_login(caller())
    with services().session() as session:
        found = under_way.list_own(session, owner_id)
    return _answer([_entry(upload, {}) for upload in found], "Here are your uploads.", "object_selected")


@uploads.get("/uploads/<upload:upload_id>/")
def get_upload(upload_id: str) -> Response:
    """Answer what has arrived, and where to send the rest; what is asked for is not abandoned."""
    query = load(UPLOAD_PARTS, request.args.items(multi=True))
    upload = _own(upload_id)
    arrived = in_parts.arrived(services().store, upload)
    upload.remove_after = under_way.renew(services().engine, upload.id, in_parts.LASTS)
    return _answer([_upload_entry(upload, arrived, query)], "Here is what has arrived.", "object_selected")


@uploads.put("/uploads/<upload:upload_id>/parts/<id:number>/")
def put_part(upload_id: str, number: int) -> Response:
    """Store one part, as long as it was announced."""
    load(NOTHING, request.args.items(multi=True))
    upload = _own(upload_id)
    part = in_parts.part_of(upload, number)
    if request.content_length not in (None, part.nbytes):
        raise WrongLength(f"part {number} has {part.nbytes} bytes, and this request {request.content_length}")
    with services().long_answers.place():
        in_parts.put_part(services().store, services().engine, upload, part, body.pieces())
    told = {"number": part.number, "nbytes": part.nbytes}
    return _answer([told], f"Part {number} has arrived.", "part_arrived")


@uploads.post("/uploads/<upload:upload_id>/complete/")
def post_complete(upload_id: str) -> Response:
    """Make the file of its parts, and answer its datafile, which is checked next."""
    load(NOTHING, request.args.items(multi=True))
    owner_id = permissions.require_login(caller())
    told = load_json(COMPLETE, received())
    datafile_id, is_new = in_parts.complete(
        services().store, services().engine, upload_id=upload_id, owner_id=owner_id, told=told
    )
    return _uploaded(datafile_id, is_new=is_new)


@uploads.delete("/uploads/<upload:upload_id>/")
def delete_upload(upload_id: str) -> Response:
    """Give up an upload and remove its bytes."""
    load(NOTHING, request.args.items(multi=True))
    upload = _own(upload_id)
    if not abandoned.give_up(services().store, services().engine, upload.id):
        raise NotFound(f"the upload {upload.id} was completed meanwhile")
    return _answer([], f"The upload of {upload.name} is given up.", "object_archived")


def _own(upload_id: str) -> Upload:
    owner_id = permissions.require_login(caller())
    with services().session() as session:
        return under_way.own(session, upload_id, owner_id)


def _uploaded(datafile_id: int, *, is_new: bool) -> Response:
    """Answer the datafile that an upload became, and have it checked at once."""
    services().wake()
    with services().session() as session:
        datafile = find.get(session, Datafile, datafile_id)
        progress = queue.progress_of(session, [datafile]).get(datafile_id, 1)
    message = f"{datafile.name} is stored; {datafile_permalink(datafile_id)}/info/ tells when it is checked."
    entry = datafile_entry(datafile, progress=progress)
    response = _answer([entry], message, "object_created" if is_new else "object_selected")
    response.status_code = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    response.headers["Location"] = datafile_permalink(datafile_id)
    return response


def _upload_entry(upload: Upload, arrived: Any, query: dict[str, Any]) -> Any:
    """Return the entry of an upload with a run of its parts."""
    plan = in_parts.plan_of(upload)
    listed = plan.parts(query["offset"], query["offset"] + query["max_results"])
    links = [
        PartLink(part.number, part.nbytes, _link(upload, part, query["via"]), part.number in arrived) for part in listed
    ]
    complete = f"{upload_permalink(upload.id)}/complete"
    return _entry(upload, parts_fields(links, n_parts=plan.n_parts, arrived=arrived, complete=complete))


def _link(upload: Upload, part: Part, via: str) -> str:
    """Return the address that takes a part: of the store where it can be reached, else of the service."""
    lasts_s = max(1, int((upload.remove_after - moment()).total_seconds()))
    presigned = via != "service" and services().store.presign_part(
        upload.key, upload.store_upload_id, part, expires_s=lasts_s
    )
    return presigned or part_link(upload.id, part.number)


def _entry(upload: Upload, more: dict[str, Any]) -> Any:
    fields = upload_fields(upload) | more
    return {"model": "neo_api.upload", "permalink": upload_permalink(upload.id), "fields": fields}


def _answer(selected: list[Any], message: str, message_type: str) -> Response:
    content = document(selected, message=message, message_type=message_type)
    response = Response(content, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response

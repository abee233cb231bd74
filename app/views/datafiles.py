"""The arrays, and the files they lie in: ``/datafiles/``."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app import download
from app.answers import answer_array
from app.auth import caller
from app.conditional import answer, json_answer
from app.documents import document
from app.presenting import datafile_entry
from app.services import services
from schemas.permalinks import datafile_permalink
from schemas.queries import DATAFILE, DETAIL, NOTHING, list_schema, load
from storage.catalog import find, permissions, queue
from storage.catalog.arrays import require_there
from storage.catalog.base import PUBLIC
from storage.catalog.files import READABLE, REFUSED, Datafile
from storage.catalog.uses import Use, datafile_and_uses
from storage.errors import NotReady
from storage.stores.backend import file_name
from storage.stores.named import is_registered
from storage.uploads import importing
from storage.uploads.archiving import archive_datafile

datafiles = Blueprint("datafiles", __name__, url_prefix="/datafiles")

MESSAGE = "Here is the list of requested datafiles."
MESSAGE_TYPE = "object_selected"


@datafiles.get("/")
def list_datafiles() -> Response:
    """Answer the datafiles that the caller may read for their own sake."""
    query = load(list_schema((), has_name=True, sliced=False), request.args.items(multi=True))
    with services().session() as session:
        page = find.list_objects(
            session,
            Datafile,
            caller(),
            find.conditions(Datafile, query.filters),
            offset=query.offset,
            limit=query.max_results,
        )
        progress = queue.progress_of(session, page.objects)
        imports = importing.progress_of(session, page.objects)
    selected = [
        datafile_entry(row, query.detail, progress=progress.get(row.id, 1), importing=imports.get(row.id))
        for row in page.objects
    ]
    content = document(selected, message=MESSAGE, message_type=MESSAGE_TYPE, offset=query.offset, total=page.total)
    return json_answer(content, public=all(row.safety_level == PUBLIC for row in page.objects))


@datafiles.get("/<id:datafile_id>/")
def get_datafile(datafile_id: int) -> Response:
    """Answer the selected samples in the asked format."""
    query = load(DATAFILE, request.args.items(multi=True))
    datafile, uses, public = _readable(datafile_id)
    _require_ready(datafile)
    found = answer_array(datafile, uses, query, services())
    if query.explain:
        content = document([found.plan(services())], message="Here is the plan.", message_type="plan")
        return json_answer(content, guid=datafile.guid, public=public)
    return answer(found.etag, lambda: found.response(services()), public=public)


@datafiles.get("/<id:datafile_id>/info/")
def get_info(datafile_id: int) -> Response:
    """Answer the datafile's document."""
    query = load(DETAIL, request.args.items(multi=True))
    _, _, public = _readable(datafile_id)
    with services().session() as session:
        datafile = find.get(session, Datafile, datafile_id)
        progress = queue.progress_of(session, [datafile]).get(datafile_id, 1)
        imported = importing.progress_of(session, [datafile]).get(datafile_id)
    entry = datafile_entry(datafile, query["q"], progress=progress, importing=imported)
    content = document([entry], message=MESSAGE, message_type=MESSAGE_TYPE)
    response = json_answer(content, guid=datafile.guid, public=public)
    response.last_modified = datafile.last_modified
    return response


@datafiles.get("/<id:datafile_id>/download/")
def get_download(datafile_id: int) -> Response:
    """Answer the stored file byte for byte, to whoever may read every object made from it."""
    load(NOTHING, request.args.items(multi=True))
    with services().session() as session:
        datafile = find.get(session, Datafile, datafile_id)
        everything = find.made_from(session, datafile.file_id)
        permissions.require_read_all(caller(), everything)
    public = all(thing.safety_level == PUBLIC for thing in everything)
    # A registered file has the name it has where it lies; an uploaded one has a key, which is nobody's name for it.
    file = datafile.stored_in
    name = file_name(file.name) if is_registered(file.name) else datafile.name
    return answer(download.etag(file), lambda: download.response(file, name, services()), public=public)


@datafiles.delete("/<id:datafile_id>/")
def delete_datafile(datafile_id: int) -> Response:
    """Archive a datafile that no object uses; what only it needed is removed from the store an hour later."""
    load(NOTHING, request.args.items(multi=True))
    datafile = archive_datafile(services().engine, caller(), datafile_id)
    message = f"{datafile.name} is deleted."
    return json_answer(document([], message=message, message_type="object_archived"), public=False)


def _readable(datafile_id: int) -> tuple[Datafile, list[Use], bool]:
    """Return a datafile, those uses of it that may be read, and whether anybody may read it."""
    with services().connection() as connection:
        datafile, uses = datafile_and_uses(connection, datafile_id)
    permissions.require_read(caller(), datafile, uses=uses)
    readable = [
        use
        for use in uses
        if permissions.may_read(caller(), use)
        and (use.times is None or permissions.may_read_array(caller(), use.times, [use]))
    ]
    return datafile, readable, permissions.may_read_array(permissions.NOBODY, datafile, uses)


def _require_ready(datafile: Datafile) -> None:
    """Raise NotReady or Missing, saying what can be done, unless the samples of a datafile can be read."""
    permalink = datafile_permalink(datafile.id)
    if datafile.state == REFUSED:
        raise NotReady(
            f"{datafile.name} cannot be read as an array: {datafile.reason}; {permalink}/download/ has the file"
        )
    require_there(datafile)
    if datafile.state not in READABLE:
        raise NotReady(f"{datafile.name} is not checked yet; {permalink}/info/ tells when it is ready")

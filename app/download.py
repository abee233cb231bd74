"""A stored file byte for byte, or a range of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from app.conditional import tag
from app.long_answers import LONG_NBYTES
from app.services import Services
from storage.catalog.files import StoredFile
from storage.ranges import MAX_RANGE_NBYTES, ByteRange, split

MEDIA_TYPE = "application/octet-stream"


def etag(file: StoredFile) -> str:
    """Return what changes with the file."""
    return tag(file.name, file.pin)


def response(file: StoredFile, name: str, services: Services) -> Response:
    """Return the asked bytes, streamed; raises NotStored, FileChanged or StoreAway before any is sent.

    Parameters
    ----------
    file : StoredFile
    name : str
        Under which a caller may save it.
    services : Services
    """
    first, last = _asked(file)
    nbytes = last - first + 1
    pieces = split(ByteRange(first, nbytes), max_nbytes=MAX_RANGE_NBYTES) if nbytes else []

    def parts() -> Iterator[bytes]:
        for piece in pieces:
            yield from map(bytes, services.store.get_ranges(file.name, [piece], pin=file.pin))

    def begun() -> Response:
        content = parts()
        return Response(chain([next(content)], content) if pieces else [], mimetype=MEDIA_TYPE)

    if request.method == "HEAD":
        answer = Response(mimetype=MEDIA_TYPE)
    elif nbytes > LONG_NBYTES:
        answer = services.long_answers.place().hold_for(begun)
    else:
        answer = begun()
    answer.content_length = nbytes
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Content-Disposition"] = _disposition(name)
    if nbytes < file.nbytes:
        answer.status_code = HTTPStatus.PARTIAL_CONTENT
        answer.headers["Content-Range"] = f"bytes {first}-{last}/{file.nbytes}"
    return answer


def _asked(file: StoredFile) -> tuple[int, int]:
    """Return the first and the last byte asked for; several ranges at once count as the whole file."""
    whole = 0, file.nbytes - 1
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return whole
    if request.headers.get("If-Range", f'"{etag(file)}"') != f'"{etag(file)}"':  # weak ones and dates prove nothing
        return whole
    found = asked.range_for_length(file.nbytes)
    if found is None or not file.nbytes:
        raise RequestedRangeNotSatisfiable(file.nbytes)
    return found[0], found[1] - 1


def _disposition(name: str) -> str:
    """Return the header that names a file; headers are ASCII, so the exact name follows encoded."""
    plain = re.sub(r"[^ -~]|[\"\\]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"

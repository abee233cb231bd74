"""What a caller may keep: ETag, 304, and who else may keep it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from flask import Response, request

from app.auth import caller
from app.documents import MEDIA_TYPE
from app.long_answers import LONG_NBYTES
from app.services import services

VARY = "Accept, Cookie, Authorization"


def tag(*parts: object) -> str:
    """Return a short hash of what an answer depends on."""
    content = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:32]


def answer(etag: str, make: Callable[[], Response], *, public: bool) -> Response:
    """Return a response with its ETag, or 304 without making it if the caller has it already."""
    known = request.if_none_match
    response = Response(status=304) if known.contains_weak(etag) or known.star_tag else make()
    response.set_etag(etag)
    response.headers["Vary"] = VARY
    response.headers["Cache-Control"] = "public, no-cache" if public else "private, no-cache"
    return response


def json_answer(content: bytes, *, guid: str | None = None, public: bool) -> Response:
    """Return a document with the hash of its body as ETag, after the guid of what it is about."""
    found = hashlib.sha256(content).hexdigest()[:32]
    etag = found if guid is None else f"{guid}-{found}"
    is_public = public and caller().user_id is None  # the document says who is logged in

    def make() -> Response:
        return Response(content, mimetype=MEDIA_TYPE)

    if len(content) <= LONG_NBYTES:
        return answer(etag, make, public=is_public)
    return answer(etag, lambda: services().long_answers.place().hold_for(make), public=is_public)

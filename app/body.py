"""The body of a request as a stream: in pieces, counted, and given up when its sender falls silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

from flask import request

from app.impatience import impatience
from storage.errors import StorageError

PIECE_NBYTES = 1 << 19
"""Our worker lets gunicorn take as much from a socket at once, so that it need not put a rest back. More is no
quicker, and a process keeps some of them in each of its heaps."""

PIECE_S = 60.0
"""A sender whose next piece takes longer, which is under 9 kB a second, is cut off: it holds a thread."""

SHORT_S, SHORT_NBYTES_PER_S = 10.0, 100_000
"""A body that is no file has this time, and as much more as it takes at this speed."""

LINGER_S = 10.0
"""How long what is not wanted is still taken: most callers hear an answer only once they have sent everything."""


class BodyBroken(StorageError):
    """The body ends before it is whole, or is not what its headers say."""


def pieces() -> Iterator[bytes]:
    """Yield the body of the request; raises BodyBroken where its sender stops before the end."""
    stream, length = request.environ["wsgi.input"], request.content_length
    if length is None and not request.environ.get("wsgi.input_terminated"):
        return
    nbytes = 0
    while length is None or nbytes < length:
        piece = _read(stream, PIECE_NBYTES if length is None else min(PIECE_NBYTES, length - nbytes))
        if not piece:
            break
        nbytes += len(piece)
        yield piece
    if length is not None and nbytes < length:
        raise BodyBroken(f"the request ends after {nbytes} of its {length} bytes")


def _read(stream: Any, nbytes: int) -> bytes:
    try:
        with impatience.within(request.environ.get("gunicorn.socket"), PIECE_S):
            piece: bytes = stream.read(nbytes)
    except Exception as error:  # each server has its own for a sender that leaves or does not keep to HTTP
        raise BodyBroken("the request breaks off") from error
    return piece


def in_time(nbytes: int) -> AbstractContextManager[None]:
    """Return a block within which a short body must have come; whoever sends it too slowly is cut off."""
    connection = request.environ.get("gunicorn.socket")
    return impatience.within(connection, SHORT_S + nbytes / SHORT_NBYTES_PER_S)


def linger() -> Callable[[], None]:
    """Return what takes the rest of the body, once the answer is sent, and forgets it."""
    stream, socket = request.environ["wsgi.input"], request.environ.get("gunicorn.socket")

    def take() -> None:
        if socket is None:
            return
        until = time.monotonic() + LINGER_S
        with impatience.within(socket, LINGER_S), suppress(Exception):  # the caller has left, or the rest is no HTTP
            while stream.read(PIECE_NBYTES) and time.monotonic() < until:
                continue

    return take

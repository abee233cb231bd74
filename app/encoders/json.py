"""An array as a JSON list of its values."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from app.encoders.form import Body, Form, pieces, texts
from storage.hdf5.chunk import Samples

MEDIA_TYPE = "application/json"


def encode(form: Form, windows: Iterator[Samples]) -> Body:
    """Return the list of values, nested for several axes; what is not finite is null.

    References
    ----------
    G-Node Data API, "Working with Arrays", answers as JSON. Integers stay integers, a float is the shortest
    number that means it in its own precision, and strings come without their padding.
    """
    return Body(MEDIA_TYPE, None, _content(form, windows))


def _content(form: Form, windows: Iterator[Samples]) -> Iterator[bytes]:
    before = b"["
    for piece in pieces(form, windows):
        yield before + _listed(piece)[1:-1]
        before = b","
    yield b"]" if before == b"," else b"[]"


def _listed(piece: Samples) -> bytes:
    """Return a piece as a JSON list."""
    if piece.dtype.kind == "S":
        return orjson.dumps(texts(piece))
    return orjson.dumps(piece, option=orjson.OPT_SERIALIZE_NUMPY)

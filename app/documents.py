"""The one document that every answer but an array is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.auth import caller

MEDIA_TYPE = "application/json"


def document(
    selected: Sequence[Any],
    *,
    message: str,
    message_type: str,
    offset: int = 0,
    total: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> bytes:
    """Return a document as JSON.

    Parameters
    ----------
    selected : sequence
        Objects, permalinks or whatever was asked for.
    message : str
        One sentence for a person.
    message_type : str
        A stable word for a program.
    offset : int
        Place of the first of ``selected`` in the whole list.
    total : int, optional
        Number of objects that the filters of a list match.
    details : mapping, optional
        What is wrong, by parameter or field.
    """
    content: dict[str, Any] = {
        "logged_in_as": caller().username,
        "objects_selected": len(selected),
        "selected": list(selected),
        "selected_range": [offset, offset + len(selected) - 1] if selected else [],
        "message": message,
        "message_type": message_type,
    }
    if total is not None:
        content["objects_total"] = total
    if details is not None:
        content["details"] = details
    return orjson.dumps(content)

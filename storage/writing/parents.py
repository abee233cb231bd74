"""Parents that an object would have: whether there are such, and whether the caller may add to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.base import ACTIVE
from storage.catalog.models import TYPES
from storage.catalog.permissions import Caller, may_read, may_write
from storage.catalog.uses import MAX_ID


def fault(session: Session, caller: Caller, type_name: str, ids: Iterable[int]) -> str | None:
    """Return why an object of the caller cannot be a child of these; None if it can.

    In a transaction that writes they stay as they are until its end: none is archived meanwhile.
    """
    model = TYPES[type_name]
    asked = sorted(set(ids))
    columns = select(model.id, model.owner_id, model.safety_level)
    active = columns.where(model.id.in_([id_ for id_ in asked if id_ <= MAX_ID]), model.current_state == ACTIVE)
    found: dict[int, Any] = {
        row.id: row for row in session.execute(active.order_by(model.id).with_for_update(read=True))
    }
    for id_ in asked:
        if id_ not in found or not may_read(caller, found[id_]):
            return f"there is no {type_name} {id_} that you may read"
        if not may_write(caller, found[id_]):
            return f"{type_name} {id_} is not yours: only its owner may add to it"
    return None

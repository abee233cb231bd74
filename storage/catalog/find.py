"""Getting and listing what the catalog holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, false, func, literal, select, union, union_all
from sqlalchemy.orm import Session

from storage.catalog.base import ACTIVE, PRIVATE
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.models import TYPES, NeoObject, RecordingChannel, Unit, unit_recordingchannel
from storage.catalog.permissions import Caller, readable
from storage.catalog.uses import MAX_ID, links
from storage.errors import NotFound


@dataclass(frozen=True, slots=True)
class Page:
    """A run of a list."""

    objects: Sequence[Any]
    total: int
    """Objects that the filters match."""


def get(session: Session, model: type[Any], id_: int) -> Any:
    """Return one active row; raises NotFound, also for what is archived."""
    found = session.get(model, id_) if id_ <= MAX_ID else None
    if found is None or found.current_state != ACTIVE:
        raise NotFound(f"there is no {model.__tablename__} {id_}")
    return found


def list_objects(
    session: Session,
    model: type[Any],
    caller: Caller,
    conditions: Iterable[ColumnElement[bool]],
    *,
    offset: int,
    limit: int,
) -> Page:
    """Return a run of the active rows that the caller may read and that meet the conditions, by id."""
    matches = [model.current_state == ACTIVE, readable(model, caller), *conditions]
    total = session.scalar(select(func.count()).select_from(model).where(*matches)) or 0
    rows = session.scalars(select(model).where(*matches).order_by(model.id).offset(offset).limit(limit))
    return Page(rows.unique().all(), total)


def conditions(model: type[Any], filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return what rows must meet to match filters: ``name``, ``id__in``, or the id of a parent by its type."""
    return [_condition(model, name, value) for name, value in filters.items()]


def children(session: Session, objects: Sequence[NeoObject], caller: Caller) -> dict[int, dict[str, list[int]]]:
    """Return, for objects of one type, the ids of their children by type, those the caller may read."""
    if not objects:
        return {}
    ids = [found.id for found in objects]
    kinds = child_types(type(objects[0]))
    found: dict[int, dict[str, list[int]]] = {id_: {kind: [] for kind in kinds} for id_ in ids}
    queries = [_children_of(type(objects[0]), kind, ids, caller) for kind in kinds]
    if queries:
        for kind, parent_id, child_id in session.execute(union_all(*queries).order_by("child_id")):
            found[parent_id][kind].append(child_id)
    return found


def child_types(model: type[NeoObject]) -> tuple[str, ...]:
    """Return the names of the types that have this one as a parent."""
    return tuple(name for name, child in TYPES.items() if model.type_name in child.parent_fields)


def made_from(session: Session, file_id: int) -> list[Any]:
    """Return owner and safety level of everything active that was made from a stored file, in one statement."""
    models: tuple[type[Any], ...] = (Datafile, *TYPES.values())
    queries = [
        select(model.owner_id, model.safety_level).where(model.file_id == file_id, model.current_state == ACTIVE)
        for model in models
    ]
    return list(session.execute(union(*queries, _linked(file_id))))


def stored_file(session: Session, name: str, *, locked: bool = False) -> StoredFile | None:
    """Return a file by its key or URL; if ``locked``, it stays as it is until the end of the transaction."""
    named = select(StoredFile).where(StoredFile.name == name)
    return session.scalar(named.with_for_update() if locked else named)


def sidecars(session: Session, file_id: int) -> list[str]:
    """Return the keys of all sidecars of a file that its active arrays are read by."""
    conditions = (Datafile.file_id == file_id, Datafile.current_state == ACTIVE, Datafile.sidecar.is_not(None))
    return [str(key) for key in session.scalars(select(Datafile.sidecar).where(*conditions).distinct())]


def _condition(model: type[Any], name: str, value: Any) -> ColumnElement[bool]:
    if name == "id__in":
        return cast(ColumnElement[bool], model.id.in_([id_ for id_ in value if id_ <= MAX_ID]))
    if name == "name":
        return cast(ColumnElement[bool], model.name == value)
    if value > MAX_ID:
        return false()
    if model is Unit:
        return Unit.recordingchannels.any(RecordingChannel.id == value)
    return cast(ColumnElement[bool], getattr(model, f"{name}_id") == value)


def _linked(file_id: int) -> Any:
    """Select owner and safety level of whatever links an array of a file."""
    of_file = select(Datafile.id).where(Datafile.file_id == file_id)
    linking = links(lambda linked: linked.in_(of_file)).subquery()
    return select(linking.c.owner_id, linking.c.safety_level)


def _children_of(model: type[NeoObject], kind: str, ids: Sequence[int], caller: Caller) -> Any:
    child = TYPES[kind]
    if child is Unit and model is RecordingChannel:
        parent_id, child_id = unit_recordingchannel.c.recordingchannel_id, Unit.id
        rows = select(literal(kind), parent_id, child_id.label("child_id")).join(
            Unit, unit_recordingchannel.c.unit_id == Unit.id
        )
    else:
        parent_id = getattr(child, f"{model.type_name}_id")
        rows = select(literal(kind), parent_id, child.id.label("child_id"))
    return rows.where(parent_id.in_(ids), child.current_state == ACTIVE, readable(child, caller))


def is_any_unseen(session: Session, urls: Sequence[str]) -> bool:
    """Whether any of these files, or of what they were imported as, is private and nobody's."""
    named = StoredFile.name.in_(urls) | StoredFile.imported_from.in_(urls)
    every = session.scalars(select(StoredFile.options).where(named))
    return any(told.get("owner") is None and told.get("safety_level") in (None, PRIVATE) for told in every)

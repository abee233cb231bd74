"""Objects with the links to the asked part of their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.links import datafile_link
from app.services import Services
from schemas.fields import Shown
from schemas.numbers import plain
from schemas.objects import SCHEMAS, DatafileDocumentSchema
from schemas.permalinks import datafile_permalink, object_permalink
from schemas.queries import ArrayQuery, ObjectQuery
from storage.catalog.files import Datafile
from storage.catalog.lending import hidden_arrays
from storage.catalog.models import NeoObject
from storage.catalog.permissions import Caller, Forbidden, LoginNeeded, require_read
from storage.errors import FileChanged, FileDamaged, NotStored, OrderUnknown, SelectionError
from storage.slices import Downsampled, slice_object
from storage.timings import Timings
from storage.uploads.importing import Importing

Children = Mapping[str, Sequence[int]]


def selected_object(
    row: NeoObject, query: ObjectQuery, children: Children, services: Services, timings: Timings, caller: Caller
) -> Any:
    """Return one entry of ``selected``.

    Raises
    ------
    SelectionError
        If the query has no meaning for this object.
    LoginNeeded, Forbidden
        If a part is asked of arrays that the caller may not read.
    """
    permalink = object_permalink(row.type_name, row.id)
    if query.detail == "link":
        return permalink
    shown = _shown(row, query.array, services, timings, caller, _hidden([row], services, caller)[row.id])
    return _entry(replace(shown, children=children), permalink)


def selected_list(
    rows: Sequence[NeoObject],
    query: ObjectQuery,
    children: Mapping[int, Children],
    services: Services,
    caller: Caller,
) -> list[Any]:
    """Return the entries of a list, each sliced on its own axis; what has no answer says why."""
    if query.detail == "link":
        return [object_permalink(row.type_name, row.id) for row in rows]

    hidden = _hidden(rows, services, caller)

    def show(row: NeoObject) -> Shown:
        try:
            return _shown(row, query.array, services, Timings(), caller, hidden[row.id])
        except (SelectionError, NotStored, FileChanged, FileDamaged, OrderUnknown, Forbidden, LoginNeeded) as error:
            return Shown(row, reason=str(error), hidden=hidden[row.id])

    # Only irregular objects ask the store, for their times; they ask side by side.
    asks_store = bool(rows) and rows[0].time_field is not None and bool(query.array.slice.range_parameters)
    shown = services.side_by_side(show, rows) if asks_store else [show(row) for row in rows]
    return [
        _entry(replace(one, children=children.get(row.id, {})), object_permalink(row.type_name, row.id))
        for row, one in zip(rows, shown, strict=True)
    ]


def datafile_entry(
    datafile: Datafile, detail: str = "full", *, progress: float = 1, importing: Importing | None = None
) -> Any:
    """Return the entry of ``selected`` for a datafile, whose check, or else import, is so far."""
    permalink = datafile_permalink(datafile.id)
    if detail == "link":
        return permalink
    fields = DatafileDocumentSchema().dump(Shown(datafile, progress=progress))
    block_id = None if importing is None else importing.block_id
    fields["format"] = datafile.format
    fields["block"] = None if block_id is None else object_permalink("block", block_id)
    fields["import"] = None if importing is None else importing.as_json()
    if importing is not None:
        fields["progress"] = plain(importing.progress)
    return {"model": "neo_api.datafile", "permalink": permalink, "fields": fields}


def _hidden(rows: Sequence[NeoObject], services: Services, caller: Caller) -> Mapping[int, Sequence[str]]:
    with services.session() as session:
        return hidden_arrays(session, caller, rows)


def _shown(
    row: NeoObject,
    query: ArrayQuery,
    services: Services,
    timings: Timings,
    caller: Caller,
    hidden: Sequence[str],
) -> Shown:
    if query.slice.is_empty and query.format is None and query.scaled:
        return Shown(row, hidden=hidden)
    for name in hidden:
        require_read(caller, getattr(row, name))
    found = slice_object(row, query.slice, services.reader, timings)
    links = {
        name: datafile_link(getattr(row, f"{name}_id"), asked, format=query.format, scaled=query.scaled)
        for name, asked in found.arrays.items()
    }
    changed = {"t_start": found.t_start, "t_stop": found.t_stop}
    return Shown(
        row,
        links=links,
        changed={name: value for name, value in changed.items() if value is not None},
        downsampled=_downsampled(row, found.downsampled),
    )


def _downsampled(row: Any, found: Downsampled | None) -> dict[str, Any] | None:
    if found is None:
        return None
    told: dict[str, Any] = {"points": found.points, "method": found.method}
    if found.sampling_rate is not None:
        told["sampling_rate"] = {"units": row.sampling_rate_units, "data": plain(found.sampling_rate)}
    return told


def _entry(shown: Shown, permalink: str) -> dict[str, Any]:
    type_name = shown.row.type_name
    fields = SCHEMAS[type_name].dump(shown)
    return {"model": f"neo_api.{type_name}", "permalink": permalink, "fields": fields}

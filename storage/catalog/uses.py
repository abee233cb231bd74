"""Which objects link a datafile, and how they lay it in time; with the datafile, in one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Compiled,
    Connection,
    Dialect,
    Float,
    Integer,
    String,
    Text,
    bindparam,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased

from storage.catalog.base import ACTIVE
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.models import TYPES
from storage.errors import FileDamaged, NotFound
from storage.hdf5.sidecar import MENDED_BY

MAX_ID = 2**31 - 1

KNOWN, MAX_KNOWN_CHARACTERS = 1024, 16_384
"""Datafiles of which a process keeps what it made of their rows, and how long these may be: together some 50 MB."""

TOLD = {
    "t_start": Float,
    "t_start_units": String,
    "sampling_rate": Float,
    "sampling_rate_units": String,
    "times_id": Integer,
}
"""What of an object says how its arrays lie in time, as far as its type has it."""

FILE_COLUMNS = ("name", "pin", "nbytes")
NOT_FOR_READING = {
    "date_created",
    "last_modified",
    "current_state",
    "type",
    "file_id",
    "lies_in_id",
    "corrections",
    "format",
    "block_id",
}
DATAFILE_COLUMNS = tuple(column.key for column in Datafile.__table__.columns if column.key not in NOT_FOR_READING)
JSON_COLUMNS = frozenset(column.key for column in Datafile.__table__.columns if isinstance(column.type, JSON))


@dataclass(frozen=True, slots=True)
class Use:
    """One array field of one object that links a datafile, and the time axis of that object."""

    type_name: str
    object_id: int
    field: str
    owner_id: int | None
    safety_level: int
    t_start: Any
    t_start_units: Any
    sampling_rate: Any
    sampling_rate_units: Any
    """As the object has them; None where objects of its type have none."""
    times_id: int | None
    datafile: Datafile
    times: Datafile | None

    @property
    def array_fields(self) -> tuple[str, ...]:
        """Every array field of the object's type."""
        fields: tuple[str, ...] = TYPES[self.type_name].array_fields
        return fields

    @property
    def time_field(self) -> str | None:
        """The array field that holds the times, where the axis is irregular."""
        field: str | None = TYPES[self.type_name].time_field
        return field

    @property
    def signal(self) -> Datafile | None:
        """The datafile, where it is the object's signal."""
        return self.datafile if self.field == "signal" else None


USE_COLUMNS = ("type_name", "object_id", "field", "owner_id", "safety_level", *TOLD)


def datafile_and_uses(connection: Connection, datafile_id: int) -> tuple[Datafile, Sequence[Use]]:
    """Return an active datafile and every active use of it; raises NotFound, also for what is archived.

    The rows are shared between requests and belong to no session. They have no dates, no owner but its id, and of
    the stored file only what reading it takes.
    """
    rows = _rows(connection, datafile_id) if datafile_id <= MAX_ID else ()
    if not rows:
        raise NotFound(f"there is no datafile {datafile_id}")
    is_long = sum(len(cell) for row in rows for cell in row if isinstance(cell, str)) > MAX_KNOWN_CHARACTERS
    return _made.__wrapped__(rows) if is_long else _made(rows)


def _rows(connection: Connection, datafile_id: int) -> tuple[tuple[Any, ...], ...]:
    """Return the rows as the database gives them; what SQLAlchemy puts around rows takes longer than getting them."""
    compiled = _compiled(connection.dialect)
    values = compiled.construct_params({"datafile_id": datafile_id}) or {}
    order = getattr(compiled, "positiontup", None)
    places = tuple(values[name] for name in order) if order else values
    cursor = connection.connection.cursor()
    try:
        cursor.execute(compiled.string, places)
        return tuple(map(tuple, cursor.fetchall()))
    except connection.dialect.loaded_dbapi.Error:  # asked again, what went wrong is told in SQLAlchemy's words
        return tuple(map(tuple, connection.exec_driver_sql(compiled.string, places)))
    finally:
        cursor.close()


@lru_cache(maxsize=KNOWN)
def _made(rows: tuple[tuple[Any, ...], ...]) -> tuple[Datafile, Sequence[Use]]:
    """Make datafile and uses of their rows. Equal rows mean the same, so nothing here is ever out of date."""
    width = len(DATAFILE_COLUMNS) + len(FILE_COLUMNS)
    datafile = _datafile(rows[0][:width])
    uses = []
    for row in rows:
        told = dict(zip(USE_COLUMNS, row[2 * width :], strict=True))
        if told["type_name"] is not None:
            is_itself = told["times_id"] == datafile.id
            times = datafile if is_itself else None if row[width] is None else _datafile(row[width : 2 * width])
            uses.append(Use(**told, datafile=datafile, times=times))
    return datafile, uses


def _datafile(row: tuple[Any, ...]) -> Datafile:
    told = dict(zip(DATAFILE_COLUMNS, row, strict=False))
    try:
        for name in JSON_COLUMNS & told.keys():
            told[name] = None if told[name] is None else orjson.loads(told[name])
    except orjson.JSONDecodeError as error:  # such as a calibration of 1e400, which no file is registered with now
        raise FileDamaged(f"the catalog has a {name} that is beyond numbers; {MENDED_BY}") from error
    file = StoredFile(**dict(zip(FILE_COLUMNS, row[len(DATAFILE_COLUMNS) :], strict=True)))
    return Datafile(**told, file=file)


def links(condition: Callable[[Any], Any], *columns: str) -> Any:
    """Select every active object whose datafile meets a condition.

    Columns are its type and id, the field and the datafile, owner, safety level, and ``columns`` of ``TOLD``.
    """
    return union_all(
        *(
            select(
                literal(name).label("type_name"),
                model.id.label("object_id"),
                literal(field).label("field"),
                getattr(model, f"{field}_id").label("datafile_id"),
                model.owner_id,
                model.safety_level,
                *(_told(model, column) for column in columns),
            ).where(condition(getattr(model, f"{field}_id")), model.current_state == ACTIVE)
            for name, model in TYPES.items()
            for field in model.array_fields
        )
    )


def _told(model: type[Any], column: str) -> Any:
    """Return a column, or NULL of its type where a type of object has none."""
    return getattr(model, column, cast(null(), TOLD[column])).label(column)


@cache
def _compiled(dialect: Dialect) -> Compiled:
    """Return the statement in the words of a database; making it takes longer than the database needs to answer.

    JSON comes as text, so that rows of either database can be compared and kept.
    """
    id_ = bindparam("datafile_id", type_=Integer)
    uses = links(lambda linked: linked == id_, *TOLD).subquery("uses")
    file, times, times_file = aliased(StoredFile), aliased(Datafile), aliased(StoredFile)
    statement = (
        select(*_columns(Datafile, file), *_columns(times, times_file), *(uses.c[name] for name in USE_COLUMNS))
        .join(file, func.coalesce(Datafile.lies_in_id, Datafile.file_id) == file.id)
        .outerjoin(uses, true())
        .outerjoin(times, (times.id == uses.c.times_id) & (times.id != Datafile.id))
        .outerjoin(times_file, func.coalesce(times.lies_in_id, times.file_id) == times_file.id)
        .where(Datafile.id == id_, Datafile.current_state == ACTIVE)
    )
    return statement.compile(dialect=dialect)


def _columns(datafile: Any, file: Any) -> list[Any]:
    own = {name: getattr(datafile, name) for name in DATAFILE_COLUMNS}
    plain = [cast(column, Text) if name in JSON_COLUMNS else column for name, column in own.items()]
    return plain + [getattr(file, name) for name in FILE_COLUMNS]

"""Which objects link a datafile, and how they lay it in time; with the datafile, in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Float, Integer, Select, String, bindparam, cast, literal, null, select, true, union_all
from sqlalchemy.orm import Session, aliased, contains_eager, raiseload

from storage.catalog.base import ACTIVE
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.models import TYPES
from storage.errors import NotFound

MAX_ID = 2**31 - 1

TOLD = {
    "t_start": Float,
    "t_start_units": String,
    "sampling_rate": Float,
    "sampling_rate_units": String,
    "times_id": Integer,
}
"""What of an object says how its arrays lie in time, as far as its type has it."""


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


def datafile_and_uses(session: Session, datafile_id: int) -> tuple[Datafile, list[Use]]:
    """Return an active datafile and every active use of it; raises NotFound, also for what is archived.

    Its ``owner`` is not loaded.
    """
    rows = session.execute(_statement(), {"datafile_id": datafile_id}).all() if datafile_id <= MAX_ID else []
    if not rows:
        raise NotFound(f"there is no datafile {datafile_id}")
    datafile: Datafile = rows[0][0]
    uses = [
        Use(
            type_name=row.type_name,
            object_id=row.object_id,
            field=row.field,
            owner_id=row.owner_id,
            safety_level=row.safety_level,
            t_start=row.t_start,
            t_start_units=row.t_start_units,
            sampling_rate=row.sampling_rate,
            sampling_rate_units=row.sampling_rate_units,
            times_id=row.times_id,
            datafile=datafile,
            times=datafile if row.times_id == datafile.id else row[1],
        )
        for row in rows
        if row.type_name is not None
    ]
    return datafile, uses


def links(condition: Any, *columns: str) -> Any:
    """Select type, id, field, owner, safety level and ``columns`` of every active object whose datafile meets one."""
    return union_all(
        *(
            select(
                literal(name).label("type_name"),
                model.id.label("object_id"),
                literal(field).label("field"),
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
def _statement() -> Select[Any]:
    """Return the statement, made once: building it takes longer than the catalog needs to answer it."""
    id_ = bindparam("datafile_id", type_=Integer)
    uses = links(lambda linked: linked == id_, *TOLD).subquery("uses")
    times, times_file, file = aliased(Datafile), aliased(StoredFile), aliased(StoredFile)
    return (
        select(Datafile, times, *uses.c)
        .join(file, Datafile.file_id == file.id)
        .outerjoin(uses, true())
        .outerjoin(times, (times.id == uses.c.times_id) & (times.id != Datafile.id))
        .outerjoin(times_file, times.file_id == times_file.id)
        .where(Datafile.id == id_, Datafile.current_state == ACTIVE)
        .options(
            contains_eager(Datafile.file.of_type(file)),
            contains_eager(times.file.of_type(times_file)),
            raiseload(Datafile.owner),
            raiseload(times.owner),
        )
    )

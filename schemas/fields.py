"""The kinds of fields that objects have: each as documents tell it, and as it is read back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields

from schemas import permalinks
from schemas.inline import array_of
from schemas.numbers import plain
from schemas.permalinks import datafile_permalink, object_permalink, user_permalink
from storage.catalog import corrections
from storage.catalog.arrays import stored_array
from storage.catalog.files import Datafile
from storage.catalog.forms import ArrayForm
from storage.errors import Refused
from storage.selection import require_axis
from storage.units import hertz, seconds
from storage.writing.given import GivenArray

DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
MIN_YEAR = 1000
INT32 = -(2**31), 2**31 - 1
INT64 = -(2**63), 2**64 - 1
MAX_PARENTS = 1000
MAX_CORRECTIONS = 100
MAX_ANNOTATIONS_NBYTES = 64 * 1024
MAX_ANNOTATIONS_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the catalog with all that its document needs beside it."""

    row: Any
    links: Mapping[str, str] = field(default_factory=dict)
    """Of arrays of which a part was asked, by field; whole ones have their permalink."""
    reason: str | None = None
    """Why no part of the arrays could be linked."""
    hidden: Collection[str] = ()
    """Fields of arrays that who asks may not read: of these only the permalink is told."""
    changed: Mapping[str, float] = field(default_factory=dict)
    """Quantities that differ for the asked part, such as ``t_start``."""
    downsampled: Mapping[str, Any] | None = None
    children: Mapping[str, Sequence[int]] = field(default_factory=dict)
    progress: float = 1
    """Of the check of a datafile, 0 to 1."""


class Column(fields.Field[Any]):
    """A column as it is; null where it is not required."""

    default_error_messages = {"required": "is required", "null": "may not be null"}

    def __init__(self, *, required: bool = False, **kwargs: Any) -> None:
        super().__init__(required=required, allow_none=not required, **kwargs)

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:
        """Return the column as it is."""
        return getattr(obj.row, attr)


class Text(Column):
    """Text, or null."""

    def __init__(self, *, max_nbytes: int = 2000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_nbytes = max_nbytes  # of UTF-8: longer names have no place in an index of the catalog

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("is not text")
        if "\0" in value:
            raise ValidationError("has a NUL, which no text here has")
        if not value.strip():
            raise ValidationError("is empty")
        if len(value.encode()) > self.max_nbytes:
            raise ValidationError(f"has more than {self.max_nbytes} bytes")
        return value


class Number(Column):
    """A whole number without a unit; integral ones without a point."""

    def __init__(self, *, bounds: tuple[int, int] = INT32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bounds = bounds

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:
        """Return the column as documents tell numbers."""
        return plain(getattr(obj.row, attr))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        low, high = self.bounds
        is_whole = type(value) is int or (type(value) is float and value.is_integer())
        if not is_whole or not low <= value <= high:
            raise ValidationError(f"is not a whole number from {low} to {high}")
        return int(value)


class Moment(Column):
    """A date, in UTC."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> str | None:
        """Return the moment to the second."""
        moment = getattr(obj.row, attr)
        return None if moment is None else str(moment.strftime(DATE_FORMAT))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            if not isinstance(value, str) or len(value) > 40:
                raise ValueError
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).replace(microsecond=0)
            if moment.year < MIN_YEAR:
                raise ValueError
        except (ValueError, OverflowError) as error:
            raise ValidationError(
                "is not a date such as '2012-07-26 17:16:07' (UTC) or '2012-07-26T19:16:07+02:00'"
            ) from error
        return moment


class Corrections(fields.Field[Any]):
    """The names of the fields of a registered object that a person changed; a shorter list takes the others back."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> list[str]:
        """Return the names."""
        return corrections.fields(obj.row)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        is_list = isinstance(value, list) and len(value) <= MAX_CORRECTIONS
        if not is_list or not all(isinstance(name, str) for name in value):
            raise ValidationError("is not a list of names of fields")
        return tuple(value)


class Annotations(Column):
    """A JSON object of what the source says beyond the other fields."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("is not a JSON object")
        _require_annotation(value, MAX_ANNOTATIONS_DEPTH)
        if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_ANNOTATIONS_NBYTES:
            raise ValidationError(f"has more than {MAX_ANNOTATIONS_NBYTES} bytes")
        return value


class Quantity(Column):
    """A number with its unit, both null where unset."""

    def __init__(self, kind: str, *, at_least: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.at_least = kind, at_least

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return the number that holds for the asked part, in the unit it was saved in."""
        value = obj.changed.get(attr, getattr(obj.row, attr))
        return {"units": getattr(obj.row, f"{attr}_units"), "data": plain(value)}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[float, str] | None:
        example = "{" + ('"data": 20000, "units": "Hz"' if self.kind == "rate" else '"data": 50, "units": "ms"') + "}"
        if not isinstance(value, dict) or value.keys() != {"data", "units"}:
            raise ValidationError(f"is not a number with its unit such as {example}")
        number, unit = value["data"], value["units"]
        if number is None and unit is None and not self.required:
            return None
        if type(number) not in (int, float) or not isinstance(unit, str):
            raise ValidationError(f"is not a number with its unit such as {example}")
        try:
            found = float(number)
            require_axis(found, 0) if self.kind == "rate" else require_axis(1, found)
            hertz(unit) if self.kind == "rate" else seconds(unit)
        except (Refused, OverflowError) as error:
            size = "positive and at most 1e12" if self.kind == "rate" else "between -1e15 and 1e15"
            raise ValidationError(f"is not {size}") from error
        except ValueError as error:
            raise ValidationError(f"has a unit that is none: {error}") from error
        if unit != unit.strip():
            raise ValidationError("has a unit with spaces around it")
        if self.at_least is not None and found < self.at_least:
            raise ValidationError(f"is less than {self.at_least}")
        return found, unit


class Parent(Column):
    """The permalink of a parent, or null."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> str | None:
        """Return the permalink."""
        id_ = getattr(obj.row, f"{attr}_id")
        return None if id_ is None else object_permalink(attr, id_)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        return _reference(value, attr or "")


class Parents(Column):
    """The permalinks of several parents of one type."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.allow_none = False

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> list[str]:
        """Return the permalinks, by id."""
        ids = sorted(parent.id for parent in getattr(obj.row, f"{attr}s"))
        return [object_permalink(attr, id_) for id_ in ids]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[int, ...]:
        if not isinstance(value, list):
            raise ValidationError(f"is not a list of permalinks of {attr}s")
        if len(value) > MAX_PARENTS:
            raise ValidationError(f"names more than {MAX_PARENTS}")
        ids = tuple(_reference(one, attr or "") for one in value)
        if len(set(ids)) < len(ids):
            raise ValidationError("names one twice")
        return ids


class Owner(Column):
    """The permalink of a user, or null."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> str | None:
        """Return the permalink."""
        return None if obj.row.owner_id is None else user_permalink(obj.row.owner_id)


class Array(Column):
    """An array: where to fetch the asked part of it, and what to plan for."""

    def __init__(self, form: ArrayForm, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.form = form

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return link, unit, guid, shape of the whole array and dtype."""
        datafile: Datafile | None = getattr(obj.row, attr)
        if datafile is None:
            return {"units": None, "data": None}
        because = {"reason": obj.reason} if obj.reason else {}
        if attr in obj.hidden:
            return {"units": None, "data": None if obj.reason else datafile_permalink(datafile.id), **because}
        array = stored_array(datafile)
        told: dict[str, Any] = {
            "units": datafile.units,
            "data": None if obj.reason else obj.links.get(attr, datafile_permalink(datafile.id)),
            "guid": datafile.guid,
            "shape": list(array.shape),
            "dtype": dtype_name(array.dtype),
        }
        return told | because

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> GivenArray | None:
        told = value if isinstance(value, dict) else {"data": value}
        unknown = told.keys() - {"data", "units", "guid", "shape", "dtype"}
        if unknown or not {"data", "units"} & told.keys():
            raise ValidationError('is neither a datafile, nor a list, nor {"data": either of these, "units": a unit}')
        units, guid = told.get("units"), told.get("guid")
        if not isinstance(units, str | None) or not isinstance(guid, str | None):
            raise ValidationError("has a unit or a guid that is no text")
        if "data" not in told:
            return GivenArray(self.form, units=units, guid=guid)
        if told["data"] is None:
            if self.required or units is not None:
                raise ValidationError("has no data")
            return None
        if isinstance(told["data"], list):
            try:
                return GivenArray(self.form, values=array_of(told["data"], self.form), units=units)
            except ValueError as error:
                raise ValidationError(str(error)) from error
        return GivenArray(self.form, datafile_id=_datafile(told["data"]), units=units, guid=guid)


def dtype_name(dtype: Any) -> str:
    """Return how documents spell a dtype: ``float32``, ``int16``; strings by their width in bytes, ``S12``."""
    return f"S{dtype.itemsize}" if dtype.kind == "S" else str(dtype.newbyteorder("="))


def _reference(value: Any, type_name: str) -> int:
    """Return the id of an object that is named by its id or permalink."""
    try:
        if type(value) is int and 0 <= value < 10**19:
            return value
        if isinstance(value, str):
            return permalinks.reference(value, type_name)
    except ValueError as error:
        raise ValidationError(f"is not right: {error}") from error
    raise ValidationError(f"is neither the id nor the permalink of a {type_name}")


def _datafile(value: Any) -> int:
    """Return the id of a datafile that is named by its id or permalink."""
    if type(value) is int and 0 <= value < 10**19:
        return value
    if isinstance(value, str):
        try:
            return permalinks.datafile_reference(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error
    raise ValidationError("is neither the id nor the permalink of a datafile, nor a list")


def _require_annotation(value: Any, depth: int) -> None:
    """Raise ValidationError for what the catalog or a document cannot hold."""
    if isinstance(value, dict | list):
        if depth == 0:
            raise ValidationError(f"is nested more than {MAX_ANNOTATIONS_DEPTH} deep")
        for one in value if isinstance(value, list) else [*value, *value.values()]:
            _require_annotation(one, depth - 1)
    elif isinstance(value, str) and "\0" in value:
        raise ValidationError("has a NUL, which no text here has")
    elif type(value) is int and not INT64[0] <= value <= INT64[1]:
        raise ValidationError("has an integer of more than 64 bits")

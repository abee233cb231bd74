"""Query strings as values: what may be asked of an object, a list and a datafile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError, fields, post_load, validate

from schemas import numbers, permalinks
from storage.downsample import METHODS
from storage.selection import SliceQuery

T = TypeVar("T")

FORMATS = ("hdf5", "json", "npy", "csv")
DETAILS = ("link", "info", "full")
MAX_RESULTS = 1000
MAX_IDS = 1000


class ExactNumber(fields.Field[Fraction]):
    """A number, kept exact."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Fraction:
        return _or_invalid(numbers.number, value)


class Length(ExactNumber):
    """A number that is not negative."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Fraction:
        found = super()._deserialize(value, attr, data, **kwargs)
        if found < 0:
            raise ValidationError(f"{value} is negative; a length is 0 or more")
        return found


class WholeNumber(fields.Field[int]):
    """A whole number from ``at_least`` on."""

    def __init__(self, *, at_least: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.at_least = at_least

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        return _or_invalid(lambda text: numbers.whole_number(text, at_least=self.at_least), value)


class Channels(fields.Field[tuple[int, ...]]):
    """Numbers of channels, such as ``0,3,5-7``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[int, ...]:
        return _or_invalid(numbers.channels, value)


class Switch(fields.Field[bool]):
    """``1`` or ``0``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("0", "1"):
            raise ValidationError(f"{str(value)[:40]!r} is neither 0 nor 1")
        return bool(value == "1")


class Word(fields.Field[str]):
    """One of a few words."""

    def __init__(self, words: Iterable[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = tuple(words)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if value not in self.words:
            raise ValidationError(f"{str(value)[:40]!r} is none of {', '.join(self.words)}")
        return str(value)


class Entry(fields.Field[int]):
    """Samples per entry of a finest overview level: 64 or 256."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if value not in ("64", "256"):
            raise ValidationError(f"{str(value)[:40]!r} is neither 64 nor 256")
        return int(value)


class Reference(fields.Field[int]):
    """An object, by its id or its permalink."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        return _or_invalid(lambda text: permalinks.reference(text, attr or ""), value)


class Ids(fields.Field[list[int]]):
    """A list of ids, ``1,2`` or ``[1,2]``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[int]:
        inner = str(value).strip().removeprefix("[").removesuffix("]")
        parts = [part.strip() for part in inner.split(",")] if inner.strip() else []
        if len(parts) > MAX_IDS:
            raise ValidationError(f"{len(parts)} ids are more than {MAX_IDS}")
        return [_or_invalid(lambda text: numbers.whole_number(text, at_least=1), part) for part in parts]


@dataclass(frozen=True, slots=True)
class ArrayQuery:
    """What was asked of an array, and in which form."""

    slice: SliceQuery
    format: str | None = None
    scaled: bool = True
    beside: str | None = None
    """``extrema``: each bin's first time twice, beside a signal that has two rows per bin."""
    entry: int | None = None
    """256: beside a signal of more than 32 channels, whose bins are coarser."""
    explain: bool = False


@dataclass(frozen=True, slots=True)
class ObjectQuery:
    """What was asked of an object, or of each of a list."""

    array: ArrayQuery
    detail: str = "full"
    filters: Mapping[str, Any] | None = None
    offset: int = 0
    max_results: int = 100


class ArraySchema(Schema):
    """The slice parameters of "Partial data requests", and the form of the answer."""

    start_time = ExactNumber()
    end_time = ExactNumber()
    duration = Length()
    start_index = WholeNumber()
    end_index = WholeNumber()
    samples_count = WholeNumber()
    downsample = WholeNumber(at_least=1)
    method = Word(METHODS)
    channels = Channels()
    format = Word(FORMATS)
    scaled = Switch(load_default=True)

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> Any:
        """Return the query as a value."""
        return _array_query(data)


ARRAY_FIELDS = frozenset(ArraySchema().fields)


class DatafileSchema(ArraySchema):
    """What may be asked of a datafile."""

    explain = Switch(load_default=False)
    beside = Word(("extrema",))
    entry = Entry()


class DetailSchema(Schema):
    """How much of an object is told."""

    q = Word(DETAILS, load_default="full")


class ObjectSchema(ArraySchema, DetailSchema):
    """What may be asked of one object."""

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> ObjectQuery:
        """Return the query as a value."""
        detail, page = (
            data.pop("q"),
            {name: data.pop(name) for name in ("offset", "max_results") if name in data},
        )
        filters = {name: data.pop(name) for name in list(data) if name not in ARRAY_FIELDS}
        return ObjectQuery(_array_query(data), detail, filters, **page)


class ListSchema(ObjectSchema):
    """What may be asked of a list; the filters of a type are added by ``list_schema``."""

    offset = WholeNumber(load_default=0)
    max_results = WholeNumber(load_default=100, at_least=1, validate=validate.Range(max=MAX_RESULTS))
    id__in = Ids()


# Schemas that do not depend on what is asked for are made once: making one takes longer than loading a query with it.
DATAFILE = DatafileSchema()
DETAIL = DetailSchema()
OBJECT = ObjectSchema()
NOTHING = Schema()


@cache
def list_schema(parent_fields: tuple[str, ...], *, has_name: bool, sliced: bool = True) -> ListSchema:
    """Return the schema of lists of a type with these parents; unless ``sliced``, slice parameters are unknown."""
    exclude = () if sliced else tuple(ARRAY_FIELDS)
    filters = _filters(parent_fields, has_name)
    return ListSchema.from_dict(filters, name="FilteredListSchema")(exclude=exclude)  # type: ignore[return-value]


@cache
def chosen_schema(parent_fields: tuple[str, ...], *, has_name: bool, switch: str | None) -> Schema:
    """Return the schema of what chooses objects of a type to be changed, and of the switch that says so."""
    switches: dict[str, fields.Field[Any]] = {} if switch is None else {switch: Switch(load_default=False)}
    return Schema.from_dict({"id__in": Ids(), **_filters(parent_fields, has_name), **switches}, name="ChosenSchema")()


def _filters(parent_fields: tuple[str, ...], has_name: bool) -> dict[str, fields.Field[Any]]:
    filters: dict[str, fields.Field[Any]] = {parent: Reference() for parent in parent_fields}
    if has_name:
        without_nul = validate.ContainsNoneOf("\0", error="has a NUL, which no name has")
        filters["name"] = fields.String(validate=[validate.Length(max=1000), without_nul])
    return filters


def load(schema: Schema, pairs: Iterable[tuple[str, str]]) -> Any:
    """Load a query string; what is not known is refused, so that no misspelt parameter is silently left out.

    Parameters
    ----------
    schema : Schema
    pairs : iterable of (name, value)
        As they stand in the query string.

    Raises
    ------
    ValidationError
        Naming each parameter that is unknown, stands twice, or has a value out of its range.
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise ValidationError({name: [f"{name[:40]} is given more than once"]})
        values[name] = value
    unknown = [name for name in values if name not in schema.fields]
    if unknown:
        known = ", ".join(sorted(schema.fields))
        raise ValidationError({name[:40]: [f"is not a parameter here; known are {known}"] for name in unknown[:10]})
    return schema.load(values)


def _array_query(data: dict[str, Any]) -> ArrayQuery:
    form = {name: data.pop(name) for name in ("format", "scaled", "beside", "entry", "explain") if name in data}
    return ArrayQuery(SliceQuery(**data), **form)


def _or_invalid(parse: Callable[[str], T], value: Any) -> T:
    try:
        return parse(str(value))
    except ValueError as error:
        raise ValidationError(str(error)) from error

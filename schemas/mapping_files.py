"""Mapping files: what the arrays in plain HDF5 are, said by whoever registers it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema

from schemas import numbers, yaml_text
from storage.ingest.formats.clocks import clock
from storage.ingest.formats.mapping import PART, PLACE, WILDCARD
from storage.units import hertz, require_unit, seconds

MAX_ARRAYS = 1000
MAX_CHANNELS = 65_536
MAX_TEXT = 1000
MAX_TOLD = 50
"""Of what is wrong with a mapping file: more is only counted."""
AXES = ("0", "1")

SIGNAL = ("units", "calibration", "channel_names")
KEYS: dict[str, tuple[str, ...]] = {
    "analogsignal": ("sampling_rate", "t_start", *SIGNAL),
    "analogsignalarray": ("sampling_rate", "t_start", *SIGNAL),
    "irsaanalogsignal": ("times", "times_units", *SIGNAL),
    "spiketrain": ("units", "t_start", "t_stop", "waveforms", "waveforms_units"),
    "eventarray": ("units", "labels"),
    "epocharray": ("units", "labels", "durations", "durations_units"),
}
"""What can be told of each type, beside what can be told of all."""
REQUIRED = {"irsaanalogsignal": ("times",), "epocharray": ("durations",)}
OF_TIMES = ("spiketrain", "eventarray", "epocharray")
"""Types whose dataset is their times."""
ALIASES = {"irregularlysampledsignal": "irsaanalogsignal"}
WHERE = re.compile(r"[^\x00-\x1f]+")


def load(content: bytes) -> dict[str, Any]:
    """Return a mapping file as JSON.

    Raises
    ------
    ValidationError
        Saying everything that is wrong with it, as far as that can be read: its messages are a list of sentences, each
        with its place.
    """
    told = yaml_text.load(content)
    if not isinstance(told, dict):
        raise ValidationError("it is not a dictionary with the key 'arrays'")
    try:
        found: dict[str, Any] = MappingSchema().load(told)
    except ValidationError as error:
        wrong = [f"{place}: {message}" for place, message in _flat(error.messages, "")]
        more = [f"the file: {len(wrong) - MAX_TOLD} more things in it are wrong"] if len(wrong) > MAX_TOLD else []
        raise ValidationError(wrong[:MAX_TOLD] + more) from error
    return found


class Text(fields.Field[str]):
    """Text on one line."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT or not WHERE.fullmatch(value):
            raise ValidationError(f"is not text on one line, of up to {MAX_TEXT} characters")
        return value


class Path(Text):
    """Where a dataset is in its file."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        path = super()._deserialize(value, attr, data, **kwargs)
        names = path.split("/")
        if not path.startswith("/") or any(name in ("", ".", "..") for name in names[1:]):
            raise ValidationError("is not a path in the file, such as /group/dataset")
        if "**" in path:
            raise ValidationError("has **; a * stands for any run of characters, but not for a /")
        return path


class Checked(Text):
    """Text that a function of the storage takes."""

    def __init__(self, check: Callable[[str], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            self.check(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return text


class Quantity(fields.Field[dict[str, Any]]):
    """A number and a unit, such as ``500 Hz``, or a dataset that has the number, and its unit."""

    def __init__(self, unit: Callable[[str], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unit = unit

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            if isinstance(value, dict):
                return self._of_dataset(value)
            number, unit = numbers.quantity(value if isinstance(value, str) else "")
            self.unit(unit)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return {"data": number, "units": unit}

    def _of_dataset(self, value: dict[str, Any]) -> dict[str, Any]:
        if set(value) != {"dataset", "units"} or not isinstance(value["units"], str):
            raise ValidationError("is neither a number and a unit nor {dataset: /path, units: …}")
        self.unit(value["units"])
        return {"dataset": Path().deserialize(value["dataset"]), "units": value["units"]}


class Numbers(fields.Field[Any]):
    """A number, a list of them, perhaps one per channel, or the path of a dataset that has them."""

    def __init__(self, *, depth: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth = depth

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and value.startswith("/"):
            return Path().deserialize(value)
        return self._numbers(value, self.depth)

    def _numbers(self, value: Any, depth: int) -> Any:
        if isinstance(value, list) and depth:
            if not 0 < len(value) <= MAX_CHANNELS:
                raise ValidationError("is a list of no numbers, or of too many")
            found = [self._numbers(one, depth - 1) for one in value]
            if len({isinstance(one, list) and len(one) for one in found}) > 1:
                raise ValidationError("has rows of several lengths")
            return found
        try:
            return float(numbers.number(value if isinstance(value, str) else ""))
        except ValueError as error:
            raise ValidationError(f"{error}; nor is it the path of a dataset") from error


class Names(fields.Field[Any]):
    """Names of channels, or the path of a dataset that has them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            return Path().deserialize(value)
        if not isinstance(value, list) or not 0 < len(value) <= MAX_CHANNELS:
            raise ValidationError("is neither a list of names nor the path of a dataset")
        return [Text().deserialize(one) for one in value]


class Axis(fields.Field[int]):
    """0 or 1."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if value not in AXES:
            raise ValidationError("is neither 0 (samples down, channels across) nor 1 (channels down)")
        return int(value)


class Type(fields.Field[str]):
    """What an array becomes."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        found = ALIASES.get(str(value), str(value))
        if found not in KEYS:
            raise ValidationError(f"{str(value)[:40]!r} is none of {', '.join(KEYS)}")
        return found


class StrictSchema(Schema):
    """Knows its keys, and says which one was meant."""

    class Meta:
        """A key that is not known is an error."""

        unknown = RAISE

    error_messages = {"unknown": "is no key here", "type": "is no dictionary of keys"}

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Say of each key that is not known which one is like it."""
        told = error.messages if isinstance(error.messages, dict) else {}
        for key, messages in islice(told.items(), MAX_TOLD):
            near = get_close_matches(str(key)[:MAX_TEXT], self.fields, 1)
            if messages == [self.error_messages["unknown"]] and near:
                error.messages[key] = [f"is no key here; did you mean {near[0]}?"]


class CalibrationSchema(StrictSchema):
    """How stored numbers become units: value = number · gain + offset, or a polynomial of number - origin."""

    gain = Numbers()
    offset = Numbers()
    polynomial = Numbers(depth=2)
    origin = Numbers()

    @validates_schema(skip_on_field_errors=False)
    def one_way(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        """Refuse both ways at once, and neither."""
        if "polynomial" in data and ("gain" in data or "offset" in data):
            raise ValidationError("is told beside gain or offset", "polynomial")
        if "origin" in data and "polynomial" not in data:
            raise ValidationError("is told without a polynomial", "origin")


class ArraySchema(StrictSchema):
    """One array, or all that one path means."""

    dataset = Path(required=True, error_messages={"required": "is missing"})
    type = Type(required=True, error_messages={"required": "is missing"})
    name = Text()
    segment = Text()
    time_axis = Axis()
    units = Text()
    sampling_rate = Quantity(hertz)
    t_start = Quantity(seconds)
    t_stop = Quantity(seconds)
    calibration = fields.Nested(CalibrationSchema)
    channel_names = Names()
    times = Path()
    times_units = Text()
    labels = Path()
    durations = Path()
    durations_units = Text()
    waveforms = Path()
    waveforms_units = Checked(require_unit)

    @validates_schema(skip_on_field_errors=False)
    def fits_its_type(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        """Refuse what is not told of this type, and require what must be."""
        type_name, wrong = data.get("type"), {}
        known = {"dataset", "type", "name", "segment", "time_axis", *KEYS.get(str(type_name), self.fields)}
        for key in data.keys() - known:
            wrong[key] = [f"is not told of {type_name}"]
        for key in REQUIRED.get(str(type_name), ()):
            if key not in data:
                wrong[key] = [f"is missing: {type_name} needs it"]
        for key in ("times_units", "durations_units", *(["units"] if type_name in OF_TIMES else [])):
            if key in data and clock(data[key]) is None:
                wrong[key] = [f"{data[key][:40]!r} is no unit of time; try s, ms or us"]
        if "units" in data and "units" not in wrong and type_name not in OF_TIMES:
            try:
                require_unit(data["units"])
            except ValueError as error:
                wrong["units"] = [str(error)]
        wrong |= {key: [message] for key, message in _wrong_places(data)}
        if wrong:
            raise ValidationError(wrong)


class MappingSchema(StrictSchema):
    """A whole mapping file."""

    block = Text()
    arrays = fields.List(
        fields.Nested(ArraySchema),
        required=True,
        validate=lambda arrays: _require_length(len(arrays)),
        error_messages={"required": "is missing", "invalid": "is no list"},
    )


def _require_length(n_arrays: int) -> None:
    if not 0 < n_arrays <= MAX_ARRAYS:
        raise ValidationError(f"is a list of {n_arrays} arrays, not of 1 to {MAX_ARRAYS}")


def _wrong_places(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys whose text refers to wildcards that the dataset has not, or has wildcards itself."""
    path = str(data.get("dataset", ""))
    n_wildcards = len(WILDCARD.findall(PART.sub("", path)))
    for key, value in data.items():
        if key == "dataset":
            continue
        for text in _texts(value):
            for place in PLACE.findall(text):
                if not 0 < int(place) <= n_wildcards:
                    yield key, f"has {{{place}}}, but its dataset has {n_wildcards} wildcards"
            if text.startswith("/") and key not in ("name", "segment") and WILDCARD.search(text):
                yield key, "has a wildcard; {1} stands for what the first one of its dataset stands for"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)


def _flat(messages: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield each message with its place; arrays are counted from 1."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            word = f"array {key + 1}" if isinstance(key, int) else "" if key == "_schema" else str(key)[:60]
            yield from _flat(inner, ", ".join(part for part in (place.removeprefix("arrays, "), word) if part))
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield place or "the file", str(message)

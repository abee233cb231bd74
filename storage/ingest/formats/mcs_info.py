"""What an MCS recording says of its streams and channels, in attributes and in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

import h5py

from storage.calibration import AnyCalibration, Calibration, Polynomial
from storage.errors import Refused
from storage.ingest.formats import attributes
from storage.ingest.formats.clocks import Clock
from storage.ingest.formats.members import dataset_in, members
from storage.ingest.found import Found, as_path

MAX_ATTRIBUTES = 200
"""Of a group that are told."""
MAX_ROWS = 100_000
"""Of a table of channels."""
NO_UNIT = "NoUnit"
UNITS = {"g": "standard_gravity", "DegreePerSecond": "degree/s"}
"""What the vendor calls otherwise than the units library."""
EXPONENTS = range(-30, 31)
TICK = Clock("us")
"""Of all times in these files, unless they say otherwise."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording while it is read."""

    found: Found
    path: str
    """Of its Segment."""
    start: float
    """In µs, as all times."""
    duration: float

    @property
    def parents(self) -> dict[str, str]:
        """Return where its objects belong."""
        return {"segment": self.path}


def numbered(group: h5py.Group, word: str) -> list[tuple[int, h5py.Group]]:
    """Return the groups that are called a word and a number, in the order of their numbers."""
    found = []
    for name, one in members(group):
        begin, _, number = name.rpartition("_")
        if begin == word and number.isdecimal() and len(number) < 10 and isinstance(one, h5py.Group):
            found.append((int(number), one))
    return sorted(found, key=lambda one: one[0])


def told_of(group: h5py.Group) -> dict[str, Any]:
    """Return the attributes of a group that are not empty."""
    told = {name: _plain(group.attrs[name]) for name in islice(group.attrs, MAX_ATTRIBUTES)}
    return {name: value for name, value in told.items() if value not in (None, "")}


def rows_of(group: h5py.Group, name: str, number: str) -> list[Row]:
    """Return the rows of a table in the order of one of its numbers; raises Refused where there is none."""
    table = dataset_in(group, name)
    if table is None or table.dtype.names is None or table.ndim != 1:
        raise Refused(f"it has no table {name}")
    if len(table) > MAX_ROWS:
        raise Refused(f"its table {name} has {len(table)} rows")
    names = table.dtype.names
    rows = [{key: _plain(value) for key, value in zip(names, row, strict=True)} for row in table[()].tolist()]
    return sorted(rows, key=lambda row: number_in(row, number))


def dataset_of(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset; raises Refused where there is none."""
    found = dataset_in(group, name)
    if found is None:
        raise Refused(f"it has no {name}")
    return found


def number_in(row: Row, name: str) -> int:
    """Return a whole number of a row."""
    value = row.get(name)
    if not isinstance(value, int):
        raise Refused(f"{name} of one of its channels is {value!r}, not a whole number")
    return value


def unit_of(row: Row) -> str | None:
    """Return the unit of a channel; None where its numbers are not measured in any."""
    unit = row.get("Unit")
    return None if not unit or unit == NO_UNIT else UNITS.get(str(unit), str(unit))


def calibration_of(rows: Sequence[Row]) -> AnyCalibration | None:
    """Return ``(stored - ADZero) · ConversionFactor · 10 ** Exponent`` of channels; None of those without a unit."""
    if all(unit_of(row) is None for row in rows):
        return None
    gains, zeros = [], []
    for row in rows:
        factor, exponent = number_in(row, "ConversionFactor"), number_in(row, "Exponent")
        if exponent not in EXPONENTS:
            raise Refused(f"Exponent of one of its channels is {exponent}")
        is_measured = unit_of(row) is not None
        gains.append(float(Decimal(factor).scaleb(exponent)) if is_measured else 1.0)
        zeros.append(number_in(row, "ADZero") if is_measured else 0)
    one_gain = gains[:1] if len(set(gains)) == 1 else gains
    if not any(zeros):
        found: AnyCalibration = Calibration(tuple(one_gain))
    else:
        origin = tuple(map(float, zeros[:1] if len(set(zeros)) == 1 else zeros))
        found = Polynomial(tuple((0.0, gain) for gain in one_gain), origin)
    return None if found.is_identity else found


def channel_names(rows: Sequence[Row]) -> list[str]:
    """Return what channels are called: their labels, or their ids."""
    return [str(row.get("Label") or row.get("ChannelID", place)) for place, row in enumerate(rows)]


def place_of(group: h5py.Group) -> dict[str, Any]:
    """Return the annotations that every object of a stream has."""
    return {"mcs_path": as_path(group.name), **told_of(group)}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; text without the blanks that it is filled up with."""
    said = attributes.plain(value)
    return said.strip() if isinstance(said, str) else said

"""What must hold between the fields of one object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from storage.catalog.arrays import stored_array
from storage.catalog.files import Datafile
from storage.catalog.models import SpikeTrain
from storage.errors import FileChanged, FileDamaged, NotStored
from storage.reader import Reader
from storage.timings import Timings
from storage.units import decimal, seconds
from storage.writing.arrays import Candidate

Ends = tuple[np.generic, np.generic]


class Unread(Exception):
    """Samples are needed that were not read before the catalog was locked: another object is there by now."""


@dataclass(slots=True)
class KnownEnds:
    """First and last values of stored arrays, read before the catalog is locked and known when it is."""

    reader: Reader
    may_read: bool = True
    _known: dict[str, Ends] = field(default_factory=dict)

    def of(self, candidate: Candidate) -> Ends:
        """Return the first and the last value; raises Unread where they are not known and may not be read."""
        if candidate.values is not None:
            return candidate.values[0], candidate.values[-1]
        assert candidate.datafile is not None
        guid = candidate.datafile.guid
        if guid not in self._known:
            if not self.may_read:
                raise Unread
            self._known[guid] = self._read(candidate.datafile)
        return self._known[guid]

    def _read(self, datafile: Datafile) -> Ends:
        last = datafile.n_samples - 1
        first, end = self.reader.runs(stored_array(datafile), [(0, 1), (last, last + 1)], timings=Timings())
        return first[0], end[0]


Fault = tuple[str, str]
"""A field, and what is wrong with it."""


def faults(
    model: type[Any],
    arrays: Mapping[str, Candidate | None],
    value: Callable[[str], Any],
    given: set[str],
    ends: KnownEnds,
) -> Iterator[Fault]:
    """Yield what does not fit together; rules about fields that were not given are left alone.

    Parameters
    ----------
    model : type of NeoObject
    arrays : mapping of str to Candidate or None
        Those that the object would have.
    value : callable
        Returns a column as the object would have it; None where that is not known.
    given : set of str
        Fields that were sent.
    ends : KnownEnds
    """
    if model.time_field is not None and given & set(model.array_fields):
        yield from _lengths(model.time_field, arrays)
    if model is SpikeTrain and given & {"times", "t_start", "t_stop"}:
        yield from _window(arrays.get("times"), value, ends)


def _lengths(time_field: str, arrays: Mapping[str, Candidate | None]) -> Iterator[Fault]:
    times = arrays.get(time_field)
    for name, one in arrays.items():
        if times is None or one is None or one is times:
            continue
        if one.is_hidden or times.is_hidden:
            hidden = name if one.is_hidden else time_field
            yield hidden, "is not yours to read any more, so nothing can be compared with it; link others"
        elif one.shape[0] != times.shape[0]:
            yield name, f"has the length {one.shape[0]}, but {time_field} has {times.shape[0]}"


def _window(times: Candidate | None, value: Callable[[str], Any], ends: KnownEnds) -> Iterator[Fault]:
    """Require that spikes lie within the window of their train, exactly, whatever the units."""
    low, high = _moment(value, "t_start"), _moment(value, "t_stop")
    if low is None or high is None:
        return
    if low > high:
        yield "t_stop", "lies before t_start"
    elif times is not None and times.is_hidden:
        yield "times", "are not yours to read any more, so nothing can be compared with them; link others"
    elif times is not None and times.shape[0]:
        try:
            first, last = ends.of(times)
        except (NotStored, FileChanged, FileDamaged) as error:
            yield "times", f"cannot be read: {error}"
            return
        units = times.units or "s"
        if _compared(first, low / seconds(units)) < 0:
            yield "times", f"begin at {first} {units}, before t_start"
        if _compared(last, high / seconds(units)) > 0:
            yield "times", f"end at {last} {units}, after t_stop"


def _moment(value: Callable[[str], Any], name: str) -> Fraction | None:
    number, unit = value(name), value(f"{name}_units")
    return None if number is None or unit is None else decimal(number) * seconds(unit)


def _compared(time: Any, bound: Fraction) -> int:
    """Return -1, 0 or 1; a stored time is its bound also if that is the bound in its own dtype, as 0.1 in float32."""
    if isinstance(time, np.floating):
        with np.errstate(over="ignore"):
            if time == time.dtype.type(float(bound)):
                return 0
        exact = decimal(float(time))
    else:
        exact = Fraction(int(time))
    return (exact > bound) - (exact < bound)

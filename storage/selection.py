"""From a slice query to the samples it means."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from math import ceil, floor
from typing import Protocol

from storage.errors import Refused, SelectionError

NEAR = Fraction(1, 10**6)
"""A time this close to a sample, in sample intervals, is that sample's."""

RANGE_PARAMETERS = ("start_time", "end_time", "duration", "start_index", "end_index", "samples_count")


@dataclass(frozen=True, slots=True)
class SliceQuery:
    """What was asked; nothing of it is checked against an array yet."""

    start_time: Fraction | None = None
    """In the time unit of the signal; included."""
    end_time: Fraction | None = None
    """In the time unit of the signal; included."""
    duration: Fraction | None = None
    """In the time unit of the signal; not negative."""
    start_index: int | None = None
    """Included; not negative."""
    end_index: int | None = None
    """Excluded; not negative."""
    samples_count: int | None = None
    """Not negative."""
    downsample: int | None = None
    """Number of points, at least 1."""
    method: str | None = None
    """``mean``, ``extrema`` or ``stride``; None is the array's own default."""
    channels: tuple[int, ...] | None = None
    """Columns of a two-dimensional signal, in the order asked for; None is all."""

    @property
    def range_parameters(self) -> tuple[str, ...]:
        """Names of the given parameters that bound the range."""
        return tuple(name for name in RANGE_PARAMETERS if getattr(self, name) is not None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was asked for."""
        return all(getattr(self, field.name) is None for field in fields(self))


@dataclass(frozen=True, slots=True)
class Selection:
    """A run of samples, half-open: ``start`` is in, ``stop`` is out."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise SelectionError(f"backward or negative selection {self.start}:{self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start


class TimeAxis(Protocol):
    """Which sample lies where in time. Times are exact, in the time unit of the object."""

    @property
    def n_samples(self) -> int:
        """Length of the whole stored array."""

    @property
    def may_be_silent(self) -> bool:
        """Whether a window without samples is an answer (irregular axes) or a mistake."""

    def at_or_after(self, time: Fraction) -> int:
        """Return the number of the first sample at or after ``time``."""

    def at_or_before(self, time: Fraction) -> int:
        """Return the number of the last sample at or before ``time``."""

    def time_of(self, index: int) -> Fraction:
        """Return the time of a sample."""

    def describe(self) -> str:
        """Say in words what the array holds."""


@dataclass(frozen=True, slots=True)
class RegularAxis:
    """The endless even grid that a regularly sampled signal lies on."""

    t_start: Fraction
    """Time of sample 0, in ``unit``."""
    sampling_rate: Fraction
    """Samples per ``unit``."""
    n_samples: int
    unit: str

    may_be_silent = False

    def __post_init__(self) -> None:
        if self.sampling_rate <= 0:
            raise ValueError(f"a sampling rate must be positive, not {self.sampling_rate}")

    def at_or_after(self, time: Fraction) -> int:
        """Return the number of the first sample at or after ``time``; may lie outside the array."""
        place = (time - self.t_start) * self.sampling_rate
        near = self._near(time, place)
        return ceil(place) if near is None else near

    def at_or_before(self, time: Fraction) -> int:
        """Return the number of the last sample at or before ``time``; may lie outside the array."""
        place = (time - self.t_start) * self.sampling_rate
        near = self._near(time, place)
        return floor(place) if near is None else near

    def time_of(self, index: int) -> Fraction:
        """Return the exact time of a sample, also of one outside the array."""
        return self.t_start + index / self.sampling_rate

    def describe(self) -> str:
        """Say in words what the array holds."""
        if not self.n_samples:
            return "the array is empty"
        first, last = float(self.time_of(0)), float(self.time_of(self.n_samples - 1))
        return f"the array holds samples 0 to {self.n_samples - 1}, at {first:.10g} to {last:.10g} {self.unit}"

    def _near(self, time: Fraction, place: Fraction) -> int | None:
        """Return the sample whose time this is: within tolerance, or the same once written as float64."""
        near = floor(place + Fraction(1, 2))
        # The API writes times as float64. Far from zero (seconds since 1970) that is coarser than the
        # tolerance, and still the time it gave for a sample has to give that sample.
        if abs(place - near) <= NEAR or float(self.time_of(near)) == float(time):
            return near
        return None


RATES_PER_S = 1e-9, 1e12
MAX_T_START = 1e15


def require_axis(sampling_rate: float, t_start: float) -> None:
    """Raise Refused unless a rate and a start, in any unit, are of a size that times can be computed with."""
    if not RATES_PER_S[0] <= sampling_rate <= RATES_PER_S[1]:
        raise Refused(f"its sampling rate is {sampling_rate}, which is not positive and at most {RATES_PER_S[1]:g}")
    if not abs(t_start) <= MAX_T_START:
        raise Refused(f"its t_start is {t_start}, beyond {MAX_T_START:g}")


def resolve(query: SliceQuery, axis: TimeAxis) -> Selection:
    """Turn a slice query into the samples it means on one array.

    Parameters
    ----------
    query : SliceQuery
        Times are in the time unit of the object; both times are included, ``end_index`` is not.
        Ends win over lengths, indices over times, ``samples_count`` over ``duration``.
    axis : TimeAxis
        Axis of the whole stored array.

    Returns
    -------
    Selection
        Resolved on the endless axis, then cut to ``[0, axis.n_samples)``. Empty only where the array is,
        or where an irregular axis has no sample in the window.

    Raises
    ------
    SelectionError
        If the end lies before the start, or nothing is left on a regular axis.

    References
    ----------
    G-Node Data API, "Working with Arrays", section "Partial data requests":
    ``start_time=50&duration=100`` at 20 kHz gives ``[1000, 3001)``.
    """
    asked = query.range_parameters
    if not asked:
        return Selection(0, axis.n_samples)
    start, stop = _ends(query, axis)
    if axis.may_be_silent:  # such an axis has no grid beyond its samples to be backward on
        start, stop = _cut(start, axis), _cut(stop, axis)
    if start > stop or _is_backward(query):
        raise SelectionError(f"{_named(query)}: the start lies after the end; {axis.describe()}", *asked)
    start, stop = _cut(start, axis), _cut(stop, axis)
    if start == stop and axis.n_samples and not axis.may_be_silent:
        raise SelectionError(f"{_named(query)}: no sample lies there; {axis.describe()}", *asked)
    return Selection(start, stop)


def _ends(query: SliceQuery, axis: TimeAxis) -> tuple[int, int]:
    """Return start and stop on the endless axis."""
    start, stop = _start(query, axis), _stop(query, axis)
    if start is None and stop is None:
        start = 0
    if start is None and stop is not None:
        start = _before(query, axis, stop)
    elif stop is None and start is not None:
        stop = _after(query, axis, start)
    assert start is not None and stop is not None
    return start, stop


def _start(query: SliceQuery, axis: TimeAxis) -> int | None:
    if query.start_index is not None:
        return query.start_index
    return None if query.start_time is None else axis.at_or_after(query.start_time)


def _stop(query: SliceQuery, axis: TimeAxis) -> int | None:
    if query.end_index is not None:
        return query.end_index
    return None if query.end_time is None else axis.at_or_before(query.end_time) + 1


def _after(query: SliceQuery, axis: TimeAxis, start: int) -> int:
    """Return the stop that lies a length after ``start``, or the array's own."""
    if query.samples_count is not None:
        return start + query.samples_count
    if query.duration is None:
        return max(axis.n_samples, start)
    by_index = query.start_index is not None or query.start_time is None
    if not by_index:
        assert query.start_time is not None
        return axis.at_or_before(query.start_time + query.duration) + 1
    if axis.may_be_silent and not 0 <= start < axis.n_samples:
        return start
    return axis.at_or_before(axis.time_of(start) + query.duration) + 1


def _before(query: SliceQuery, axis: TimeAxis, stop: int) -> int:
    """Return the start that lies a length before ``stop``, or the array's own."""
    if query.samples_count is not None:
        return stop - query.samples_count
    if query.duration is None:
        return min(0, stop)
    if query.end_index is None:
        assert query.end_time is not None
        return axis.at_or_after(query.end_time - query.duration)
    last = stop - 1
    if axis.may_be_silent:
        last = min(last, axis.n_samples - 1)
        if last < 0:
            return 0
    return axis.at_or_after(axis.time_of(last) - query.duration)


def _cut(index: int, axis: TimeAxis) -> int:
    return min(max(index, 0), axis.n_samples)


def _is_backward(query: SliceQuery) -> bool:
    """Whether two ends of one kind are the wrong way round, also where no sample tells."""
    if query.start_index is not None and query.end_index is not None:
        return query.start_index > query.end_index
    if query.start_index is not None or query.end_index is not None:
        return False
    if query.start_time is None or query.end_time is None:
        return False
    return query.start_time > query.end_time


def _named(query: SliceQuery) -> str:
    """Return the range parameters as they could be written in a query."""
    return "&".join(f"{name}={_written(getattr(query, name))}" for name in query.range_parameters)


def _written(value: Fraction | int) -> str:
    return str(value) if isinstance(value, int) else f"{float(value):.15g}"

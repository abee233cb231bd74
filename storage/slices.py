"""What a slice query means for the arrays of one object, or for one datafile by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from storage.answer import ReadRequest, StoredArray
from storage.catalog.arrays import axis_of, stored_array
from storage.catalog.files import Datafile
from storage.catalog.models import NeoObject, SpikeTrain
from storage.catalog.uses import Use
from storage.downsample import finest_entry
from storage.errors import SelectionError
from storage.reader import Reader
from storage.selection import RegularAxis, Selection, SliceQuery, TimeAxis, resolve
from storage.times import IrregularAxis, Side
from storage.timings import Timings
from storage.units import decimal, seconds

TIME_PARAMETERS = ("start_time", "end_time", "duration")


@dataclass(frozen=True, slots=True)
class ArraySlice:
    """What of one array is meant."""

    selection: Selection | None
    """None where no range was asked for: the whole array."""
    downsample: int | None = None
    """As asked; may be more than there are samples."""
    method: str | None = None
    """None is the array's own default."""
    channels: tuple[int, ...] | None = None
    beside: str | None = None
    """``extrema``: two rows per bin."""
    entry: int | None = None
    """Of the signal that times lie beside, where its bins are not those that the times alone would have."""


@dataclass(frozen=True, slots=True)
class Downsampled:
    """What became of the asked number of points."""

    points: int
    method: str
    sampling_rate: float | None
    """Of the answered points, in the unit of the array's own; None on an irregular axis."""


@dataclass(frozen=True, slots=True)
class ObjectSlice:
    """What of one object is meant."""

    arrays: dict[str, ArraySlice] = field(default_factory=dict)
    """By field."""
    t_start: float | None = None
    """Of the answered part; None leaves the object's own."""
    t_stop: float | None = None
    downsampled: Downsampled | None = None


def slice_object(owner: Any, query: SliceQuery, reader: Reader, timings: Timings) -> ObjectSlice:
    """Turn a slice query into what it means for each array of an object.

    Parameters
    ----------
    owner : NeoObject
        Sliced on its own time axis.
    query : SliceQuery
        Times are in the unit of the object's ``t_start``, or of its ``times`` where it has none.
    reader : Reader
        Reads the times of irregular objects; regular ones cost nothing.
    timings : Timings

    Raises
    ------
    SelectionError
        If the query has no meaning for this object.

    References
    ----------
    G-Node Data API, "Working with Arrays", section "Partial data requests": "This works for both single and
    multiple object requests."
    """
    axis = axis_of(owner, reader, timings)
    datafiles = {name: getattr(owner, name) for name in owner.array_fields if getattr(owner, name) is not None}
    _require_form(owner, datafiles, query)
    if isinstance(axis, IrregularAxis):
        axis.expect(_ends(query))
    selection = resolve(query, axis) if query.range_parameters else None
    chosen = Selection(0, axis.n_samples) if selection is None else selection
    t_start, t_stop = _times(owner, query, axis, selection)
    return ObjectSlice(
        arrays={name: _array_slice(owner, name, query, selection, len(chosen)) for name in datafiles},
        t_start=t_start,
        t_stop=t_stop,
        downsampled=_downsampled(owner, datafiles, query, axis, len(chosen)),
    )


def request_of(array: StoredArray, asked: ArraySlice, default_method: str, *, scaled: bool) -> ReadRequest:
    """Turn a slice of one array into what the reader is asked.

    Raises
    ------
    SelectionError
        If channels, method or points do not fit the array.
    """
    _require_channels(array.shape, asked.channels)
    method = asked.method or default_method
    if method != "stride" and (len(array.shape) > 2 or array.dtype.kind == "S"):
        raise SelectionError(f"method={method}: this array has only stride", "method")
    paired = method == "extrema" or asked.beside is not None
    _require_pairs(asked.downsample, "extrema" if paired else method)
    selection = Selection(0, array.n_samples) if asked.selection is None else asked.selection
    fewer = asked.downsample is not None and asked.downsample < len(selection)
    return ReadRequest(
        selection=selection,
        points=asked.downsample if fewer else None,
        method=method,
        channels=asked.channels,
        scaled=scaled,
        entry=asked.entry,
        doubled=asked.beside is not None,
    )


def default_method(field_names: Sequence[str], array: StoredArray) -> str:
    """Return the method of an array that is linked from these fields: only signals have means."""
    is_signal = not field_names or any(name in ("signal", "waveform") for name in field_names)
    return "mean" if is_signal and len(array.shape) <= 2 and array.dtype.kind != "S" else "stride"


def _require_form(owner: NeoObject, datafiles: dict[str, Datafile], query: SliceQuery) -> None:
    """Check what of a query does not depend on the axis."""
    signal = datafiles.get("signal")
    if query.channels is not None:
        if signal is None:
            raise SelectionError(f"channels: a {owner.type_name} has none", "channels")
        _require_channels(stored_array(signal).shape, query.channels)
    if query.method not in (None, "stride") and signal is None:
        raise SelectionError(f"method={query.method}: a {owner.type_name} has only stride", "method")
    _require_pairs(query.downsample, query.method)


def _require_channels(shape: tuple[int, ...], channels: tuple[int, ...] | None) -> None:
    if channels is None:
        return
    if len(shape) != 2:
        raise SelectionError(f"channels: this array has {len(shape)} dimension(s), not samples × channels", "channels")
    missing = [channel for channel in channels if channel >= shape[1]]
    if missing:
        raise SelectionError(f"channels={missing[0]}: there are channels 0 to {shape[1] - 1}", "channels")


def _require_pairs(downsample: int | None, method: str | None) -> None:
    if method == "extrema" and downsample is not None and downsample % 2:
        raise SelectionError(
            f"downsample={downsample}: method=extrema needs an even number, two points per bin",
            "downsample",
            "method",
        )


def _array_slice(
    owner: NeoObject, name: str, query: SliceQuery, selection: Selection | None, n_samples: int
) -> ArraySlice:
    """Return what of one array is meant; what is the array's default is left out."""
    if name == "signal":
        method = None if query.method == "mean" else query.method
        return ArraySlice(selection, query.downsample, method, query.channels)
    beside_signal = getattr(owner, "signal_id", None) is not None and query.downsample is not None
    is_doubled = query.method == "extrema" and query.downsample is not None and query.downsample < n_samples
    return ArraySlice(
        selection,
        query.downsample,
        "stride" if beside_signal else None,
        beside="extrema" if beside_signal and is_doubled else None,
        entry=_entry_beside(owner) if beside_signal else None,
    )


def _entry_beside(owner: Any) -> int | None:
    """Return the finest entry of the signal of an object, where it is not that of an array of single values."""
    entry = finest_entry(stored_array(owner.signal).n_channels)
    return None if entry == finest_entry(1) else entry


def _downsampled(
    owner: Any, datafiles: dict[str, Datafile], query: SliceQuery, axis: TimeAxis, n_samples: int
) -> Downsampled | None:
    if query.downsample is None:
        return None
    points = min(query.downsample, n_samples)
    method = query.method or ("mean" if "signal" in datafiles else "stride")
    rate = None
    if isinstance(axis, RegularAxis) and n_samples:
        rate = answered_rate(owner.sampling_rate, points, n_samples)
    return Downsampled(points, method, rate)


def answered_rate(sampling_rate: float, points: int, n_samples: int) -> float:
    """Return the rate of ``points`` made from ``n_samples``, in the unit of the samples' own."""
    return float(decimal(sampling_rate) * points / n_samples)


def _times(
    owner: Any, query: SliceQuery, axis: TimeAxis, selection: Selection | None
) -> tuple[float | None, float | None]:
    """Return ``t_start`` and ``t_stop`` of the answered part; None where they are the object's own."""
    if selection is None or not hasattr(owner, "t_start"):
        return None, None
    if isinstance(owner, SpikeTrain):
        return _window(owner, query, axis, selection)
    if len(selection):
        return float(axis.time_of(selection.start)), None
    return None if query.start_time is None else float(query.start_time), None


def _window(owner: SpikeTrain, query: SliceQuery, axis: TimeAxis, selection: Selection) -> tuple[float, float]:
    """Return the window of a spike train, cut to its own: asked times, or those of the selected spikes.

    Times are asked, and told by the axis, in the unit of ``t_start``; ``t_stop`` may have another one.
    """
    per_stop = seconds(owner.t_stop_units) / seconds(owner.t_start_units)
    own = decimal(owner.t_start), decimal(owner.t_stop) * per_stop
    low, high = query.start_time, query.end_time
    counted = query.samples_count is not None
    # Where an end is told as a number of a spike, it is that spike's time: only then are spikes looked at.
    if len(selection) and (query.start_index is not None or (counted and low is None)):
        low = axis.time_of(selection.start)
    if len(selection) and (query.end_index is not None or (counted and high is None)):
        high = axis.time_of(selection.stop - 1)
    if query.duration is not None and not counted:
        low, high = _with_duration(query.duration, low, high, own)
    start = _clamped(own[0] if low is None else low, own)
    stop = _clamped(own[1] if high is None else high, own)
    return float(start), float(max(start, stop) / per_stop)


def _with_duration(
    duration: Fraction, low: Fraction | None, high: Fraction | None, own: tuple[Fraction, Fraction]
) -> tuple[Fraction | None, Fraction | None]:
    """Return both ends of a window of which a length is known; two known ends win over it."""
    if low is None and high is not None:
        return high - duration, high
    low = own[0] if low is None else low
    return low, low + duration if high is None else high


def _ends(query: SliceQuery) -> list[tuple[Fraction, Side]]:
    """Return the times that resolving will search for, so that they are fetched together."""
    low, high, duration = query.start_time, query.end_time, query.duration
    if duration is not None:
        low, high = (
            high - duration if low is None and high is not None else low,
            low + duration if high is None and low is not None else high,
        )
    found: list[tuple[Fraction, Side]] = []
    if low is not None and query.start_index is None:
        found.append((low, "left"))
    if high is not None and query.end_index is None:
        found.append((high, "right"))
    return found


def _clamped(time: Fraction, bounds: tuple[Fraction, Fraction]) -> Fraction:
    return min(max(time, bounds[0]), bounds[1])


@dataclass(frozen=True, slots=True)
class CountingAxis:
    """The axis of an array that no object, or several that differ, lay in time: only indices mean something."""

    n_samples: int
    may_be_silent: bool
    n_axes: int

    def at_or_after(self, time: Fraction) -> int:
        """Raise SelectionError: times mean nothing here."""
        raise self._no_time()

    def at_or_before(self, time: Fraction) -> int:
        """Raise SelectionError: times mean nothing here."""
        raise self._no_time()

    def time_of(self, index: int) -> Fraction:
        """Raise SelectionError: times mean nothing here."""
        raise self._no_time()

    def describe(self) -> str:
        """Say in words what the array holds."""
        return f"the array holds samples 0 to {self.n_samples - 1}" if self.n_samples else "the array is empty"

    def _no_time(self) -> SelectionError:
        who = "objects with different time axes use" if self.n_axes else "no object that you may read uses"
        return SelectionError(
            f"times mean nothing for this array, because {who} it; ask by start_index and end_index",
            *TIME_PARAMETERS,
        )


def datafile_axis(array: StoredArray, uses: Sequence[Use], reader: Reader, timings: Timings) -> TimeAxis:
    """Return the axis that the objects which use a datafile agree on, else one that only counts."""
    axes: dict[object, TimeAxis] = {}
    for use in uses:
        axis = axis_of(use, reader, timings)
        axes.setdefault((use.times_id, axis.unit) if isinstance(axis, IrregularAxis) else axis, axis)
    if len(axes) == 1:
        return next(iter(axes.values()))
    return CountingAxis(array.n_samples, any(axis.may_be_silent for axis in axes.values()), len(axes))


def slice_datafile(
    array: StoredArray,
    query: SliceQuery,
    axis: TimeAxis,
    reader: Reader,
    *,
    beside: str | None,
    entry: int | None,
) -> ArraySlice:
    """Turn a slice query into what it means on one datafile by itself; raises SelectionError."""
    ends = _ends(query)
    if isinstance(axis, IrregularAxis) and ends:
        reader.datasets.fetch_index_ahead(array.dataset)
        axis.expect(ends)
    selection = resolve(query, axis) if query.range_parameters else None
    return ArraySlice(selection, query.downsample, query.method, query.channels, beside, entry)

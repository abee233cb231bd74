"""Plain HDF5 in Neo's words, as a mapping file says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import attributes, mapped_numbers, time_arrays
from storage.ingest.formats.channels import calibration_of
from storage.ingest.formats.clocks import clock
from storage.ingest.formats.mapping import MappedArray, Match, matches
from storage.ingest.formats.time_arrays import Times
from storage.ingest.found import Found, FoundArray, FoundObject, Refusal
from storage.progress import DatasetProgress, untold
from storage.selection import require_axis
from storage.units import hertz, seconds

Quantity = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the command line tells of arrays of which the mapping file does not."""

    sampling_rate: Quantity | None
    t_start: Quantity | None
    units: str | None


@dataclass(slots=True)
class _Mapped:
    """One array while it is added."""

    found: Found
    file: h5py.File
    array: MappedArray
    match: Match
    path: str
    """``source_path`` of its object."""
    segment: str
    defaults: Defaults

    @property
    def name(self) -> str:
        """What it is called."""
        return self.array.text("name", self.match.words) or self.match.path.lstrip("/")

    def quantity(self, key: str, default: Quantity | None = None) -> Quantity | None:
        """Return a quantity that the mapping file tells, or a dataset that it names."""
        told = self.array.told.get(key)
        if told is None:
            return default
        if "data" in told:
            return float(told["data"]), str(told["units"])
        found = self.array.match(self.file, told["dataset"], self.match.words)
        return attributes.number(mapped_numbers.values_of(found, self.array.time_axis), key), str(told["units"])

    def other(self, key: str) -> Match | None:
        """Return another dataset that the mapping file names."""
        path = self.array.told.get(key)
        return None if path is None else self.array.match(self.file, path, self.match.words)

    def unit(self, key: str, default: str | None = None) -> str | None:
        """Return a unit that the mapping file tells."""
        told = self.array.told.get(key)
        return default if told is None else str(told)

    def add(self, type_name: str, fields: dict[str, Any], arrays: dict[str, str]) -> None:
        """Add its object."""
        annotations = {"hdf5_path": self.match.path, **fields.pop("annotations", {})}
        told = {**fields, "annotations": annotations}
        self.found.objects.append(FoundObject(type_name, self.path, told, {"segment": self.segment}, arrays))


@dataclass(slots=True)
class _Segments:
    """The segments that arrays say they are in."""

    default: str
    names: dict[str, str] = field(default_factory=dict)
    """Paths by name, in the order they were met."""

    def path_of(self, name: str | None) -> str:
        """Return the path of the segment of this name, or of the one for all that say none."""
        return self.names.setdefault(name or self.default, "/" if name is None else f"/#{name}")


def inspect(
    file: h5py.File, name: str, mapping: Mapping[str, Any], defaults: Defaults, progress: DatasetProgress = untold
) -> Found:
    """Find what a mapping file tells of, and why some of it cannot be served.

    Parameters
    ----------
    file : h5py.File
    name : str
        What the Block will be called unless the mapping file says it.
    mapping : dict
        The mapping file, as JSON.
    defaults : Defaults
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.
    """
    found, block = Found(progress=progress), str(mapping.get("block") or name)
    segments, used = _Segments(block), Counter[tuple[str, str]]()
    for array in map(MappedArray, mapping["arrays"]):
        n_matches = 0
        with found.refusing(array.dataset):
            for match in matches(file, array.dataset):
                n_matches += 1
                if isinstance(match, Refusal):
                    found.refusals.append(match)
                    continue
                with found.refusing(match.path):
                    used[array.type_name, match.path] += 1
                    number = used[array.type_name, match.path]
                    path = match.path if number == 1 else f"{match.path}#{number}"
                    segment = segments.path_of(array.text("segment", match.words))
                    _ADD[array.type_name](_Mapped(found, file, array, match, path, segment, defaults))
        if not n_matches and not any(refusal.path == array.dataset for refusal in found.refusals):
            found.refusals.append(Refusal(array.dataset, "no dataset of the file has this path"))
    _add_parents(found, block, segments)
    return found


def _add_parents(found: Found, name: str, segments: _Segments) -> None:
    """Add the Block and its Segments, as far as something is in them."""
    used = {one.parents["segment"] for one in found.objects}
    there = [(segment, path) for segment, path in segments.names.items() if path in used]
    parents = [
        FoundObject("segment", path, {"name": segment, "index": index, "annotations": {}}, {"block": "/"})
        for index, (segment, path) in enumerate(there)
    ]
    if parents:
        block = FoundObject("block", "/", {"name": name, "annotations": {"hdf5_path": "/"}})
        found.objects[:0] = [block, *parents]


def _add_signal(mapped: _Mapped) -> None:
    """Add a regular signal: of one axis, or of samples and channels."""
    array, type_name = _add_samples(mapped), mapped.array.type_name
    rate = mapped.quantity("sampling_rate", mapped.defaults.sampling_rate)
    if rate is None:
        raise Refused("its sampling rate is not known; the mapping file can tell its sampling_rate")
    t_start = mapped.quantity("t_start", mapped.defaults.t_start) or (0.0, "s")
    hertz(rate[1])
    seconds(t_start[1])
    require_axis(rate[0], t_start[0])
    fields: dict[str, Any] = {"name": mapped.name, **_named_channels(array)}
    fields |= {"sampling_rate": rate[0], "sampling_rate_units": rate[1]}
    fields |= {"t_start": t_start[0], "t_start_units": t_start[1]}
    n_axes = mapped.match.dataset.ndim - (mapped.match.part is not None)
    if n_axes != (1 if type_name == "analogsignal" else 2):
        better = "analogsignal" if n_axes == 1 else "analogsignalarray"
        raise Refused(f"it has {n_axes} axes and so is no {type_name}, but an {better}")
    mapped.add(type_name, fields, {"signal": mapped.found.add_array(array)})


def _add_irregular(mapped: _Mapped) -> None:
    """Add a signal whose samples each have a time."""
    array, source = _add_samples(mapped), mapped.other("times")
    if source is None:
        raise Refused("the mapping file does not tell its times")
    times = _times(mapped, source, mapped.unit("times_units"))
    if times.order is not None:
        raise Refused("its times are not sorted")
    if times.n_times != array.n_samples:
        raise Refused(f"it has {array.n_samples} samples but {times.n_times} times")
    fields = {"name": mapped.name, "t_start": times.first, "t_start_units": times.unit, **_named_channels(array)}
    mapped.add("irsaanalogsignal", fields, {"signal": mapped.found.add_array(array), "times": times.path})


def _add_samples(mapped: _Mapped) -> FoundArray:
    """Return the array of a signal, which is described."""
    match, found, time_axis = mapped.match, mapped.found, mapped.array.time_axis
    path = found.describe(match.dataset)
    told = found.datasets[path]
    if told.dtype.kind == "S" or len(told.shape) > 2:
        raise Refused(f"it has the type {told.dtype} and the shape {told.shape}: not a signal")
    is_transposed = len(told.shape) == 2 and time_axis == 1
    n_channels = told.shape[1 - time_axis] if len(told.shape) == 2 else 1
    if match.part is not None and (len(told.shape) == 1 or match.part >= n_channels):
        raise Refused(f"it has the shape {told.shape}, in which there is no channel {match.part}")
    numbers = mapped_numbers.calibration(mapped.array, mapped.file, match.words)
    if numbers is not None and not {*mapped_numbers.lengths(numbers)} <= {1, n_channels}:
        told_for = max(mapped_numbers.lengths(numbers))
        raise Refused(f"it has {n_channels} channels, but its calibration is told for {told_for}")
    names = mapped_numbers.channel_names(mapped.array, mapped.file, match.words)
    if names is not None and len(names) != n_channels:
        raise Refused(f"it has {n_channels} channels, of which the mapping file names {len(names)}")
    if match.part is not None:
        numbers, names = None if numbers is None else calibration_of(numbers, match.part), None
    return FoundArray(
        path if match.part is None else f"{path}[{match.part}]",
        path,
        mapped.name,
        n_samples=told.shape[1 if is_transposed else 0],
        units=mapped.unit("units") or mapped.defaults.units or attributes.text(match.dataset.attrs.get("units")),
        calibration=numbers,
        channel_names=names if len(told.shape) == 2 else None,
        is_transposed=is_transposed,
        column=match.part,
    )


def _add_spike_train(mapped: _Mapped) -> None:
    times = _times(mapped, mapped.match, mapped.unit("units"))
    arrays, annotations = {"times": times.path}, {}
    spikes = [times.first, times.last] if times.n_times else []
    t_start, t_stop = mapped.quantity("t_start"), mapped.quantity("t_stop")
    if t_stop is None:
        t_stop, annotations["t_stop_source"] = (max([0.0, *spikes]), times.unit), "last spike"
    t_start = t_start or (min([0.0, *spikes]), times.unit)
    fields: dict[str, Any] = {"name": mapped.name, "annotations": annotations}
    for key, (value, unit) in (("t_start", t_start), ("t_stop", t_stop)):
        seconds(unit)
        fields |= {key: value, f"{key}_units": unit}
    waveforms = mapped.other("waveforms")
    if waveforms is not None:
        arrays["waveforms"] = _add_waveforms(mapped, waveforms, times)
    mapped.add("spiketrain", fields, arrays)


def _add_waveforms(mapped: _Mapped, source: Match, times: Times) -> str:
    found, data, unit = mapped.found, source.dataset, mapped.unit("waveforms_units")
    if data.ndim != 3 or data.shape[0] != times.n_times or source.part is not None:
        raise Refused(f"its waveforms have the shape {data.shape}, not {times.n_times} spikes × channels × samples")
    if times.order is None:
        return found.whole(found.describe(data), source.path.lstrip("/"), unit)
    return time_arrays.add_made(found, f"{source.path}#sorted", times.ordered(time_arrays.values_of(data)), unit)


def _add_moments(mapped: _Mapped) -> None:
    """Add events or epochs."""
    unit = mapped.unit("units")
    times = _times(mapped, mapped.match, unit)
    arrays = {"times": times.path}
    labels, durations = mapped.other("labels"), mapped.other("durations")
    if labels is not None:
        words = time_arrays.labels_of(labels.dataset)
        arrays["labels"] = _beside(mapped, "labels", times, np.empty(0, "S1") if words is None else words, None)
    if durations is not None:
        told = clock(mapped.unit("durations_units") or unit or "s")
        values = mapped_numbers.values_of(durations, mapped.array.time_axis)
        if told is None or not np.isfinite(values).all() or np.less(values, 0).any():
            raise Refused("its durations are not all numbers that are not negative")
        arrays["durations"] = _beside(mapped, "durations", times, told.times(values), told.unit)
    elif mapped.array.type_name == "epocharray":
        raise Refused("the mapping file does not tell its durations")
    mapped.add(mapped.array.type_name, {"annotations": {"name": mapped.name}}, arrays)


def _beside(mapped: _Mapped, what: str, times: Times, values: Any, unit: str | None) -> str:
    if len(values) != times.n_times:
        raise Refused(f"it has {times.n_times} times but {len(values)} {what}")
    return time_arrays.add_made(mapped.found, f"{mapped.path}#{what}", times.ordered(values), unit)


def _times(mapped: _Mapped, source: Match, unit: str | None) -> Times:
    """Add times, in place if they are a dataset of their own."""
    told = clock(unit or "s")
    if told is None:
        raise Refused(f"{unit!r} is no unit of time")
    if source.dataset.ndim == 1 and source.part is None:
        return time_arrays.add_times(mapped.found, source.dataset, told)
    values = mapped_numbers.values_of(source, mapped.array.time_axis)
    return time_arrays.make_times(mapped.found, source.path, told.times(values), told.unit)


def _named_channels(array: FoundArray) -> dict[str, Any]:
    names: Sequence[str] | None = array.channel_names
    return {} if names is None else {"annotations": {"channel_names": list(names)}}


_ADD = {
    "analogsignal": _add_signal,
    "analogsignalarray": _add_signal,
    "irsaanalogsignal": _add_irregular,
    "spiketrain": _add_spike_train,
    "eventarray": _add_moments,
    "epocharray": _add_moments,
}

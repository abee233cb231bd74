"""Streams of an MCS recording that tell times: events, time stamps, and cutouts around spikes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import time_arrays
from storage.ingest.formats.clocks import Clock
from storage.ingest.formats.mcs_info import (
    EXPONENTS,
    TICK,
    Recording,
    Row,
    calibration_of,
    channel_names,
    dataset_of,
    number_in,
    place_of,
    rows_of,
    unit_of,
)
from storage.ingest.formats.members import dataset_in
from storage.ingest.formats.time_arrays import Times
from storage.ingest.found import FoundArray, FoundObject, as_path
from storage.units import SECONDS

SPIKES = ("NeuralSpike", "Spike")
"""Subtypes of streams whose times are those of spikes."""


def add_events(recording: Recording, stream: h5py.Group) -> None:
    """Add the entities of an event stream: events, or epochs where some have a duration."""
    for row in rows_of(stream, "InfoEvent", "EventID"):
        number = number_in(row, "EventID")
        name = f"EventEntity_{number}"
        data = dataset_in(stream, name)
        if data is None:  # nothing happened
            continue
        path = as_path(data.name)
        with recording.found.refusing(path):
            if data.ndim != 2 or data.shape[0] != 2:
                raise Refused(f"it has the shape {data.shape}, not a row of times and one of durations")
            moments, durations = time_arrays.values_of(data)
            if np.less(durations, 0).any():
                raise Refused("some of its durations are negative")
            times = time_arrays.make_times(recording.found, path, moments, TICK.unit)
            arrays = {"times": times.path}
            if durations.any():
                lasting = times.ordered(durations)
                arrays["durations"] = time_arrays.add_made(recording.found, f"{path}#durations", lasting, TICK.unit)
            type_name = "epocharray" if "durations" in arrays else "eventarray"
            told = {"annotations": {**place_of(stream), **_about(row), "mcs_path": path}}
            recording.found.objects.append(FoundObject(type_name, path, told, recording.parents, arrays))


def add_time_stamps(recording: Recording, stream: h5py.Group) -> None:
    """Add the entities of a stream of time stamps: spike trains, or events where they are not of spikes."""
    annotations = place_of(stream)
    for row in rows_of(stream, "InfoTimeStamp", "TimeStampEntityID"):
        data = dataset_in(stream, f"TimeStampEntity_{number_in(row, 'TimeStampEntityID')}")
        if data is None:
            continue
        path = as_path(data.name)
        with recording.found.refusing(path):
            clock = _clock(row)
            times = _times(recording, data, clock)
            about = {**annotations, **_about(row), "mcs_path": path}
            if annotations.get("DataSubType") in SPIKES:
                name = str(row.get("SourceChannelLabels") or row.get("Label") or as_path(data.name))
                _add_spike_train(recording, path, name, times, about, {})
            else:
                told = {"annotations": about}
                arrays = {"times": times.path}
                recording.found.objects.append(FoundObject("eventarray", path, told, recording.parents, arrays))


def add_cutouts(recording: Recording, stream: h5py.Group) -> None:
    """Add the entities of a stream of cutouts around spikes: spike trains with waveforms."""
    annotations = place_of(stream)
    sources = {number_in(row, "ChannelID"): row for row in rows_of(stream, "SourceInfoChannel", "ChannelID")}
    for row in rows_of(stream, "InfoSegment", "SegmentID"):
        number = number_in(row, "SegmentID")
        with recording.found.refusing(f"{as_path(stream.name)}/SegmentData_{number}"):
            if row.get("SegmentType") == "Average" or dataset_in(stream, f"AverageData_{number}") is not None:
                raise Refused("it holds averages of cutouts, which are not served")
            if annotations.get("DataSubType") not in SPIKES:
                raise Refused(
                    f"it holds cutouts around {annotations.get('DataSubType')!r}; only those of spikes are served"
                )
            if dataset_in(stream, f"SegmentData_{number}") is not None:
                _add_cutout(recording, stream, number, row, _channels(row, sources))


def _add_cutout(recording: Recording, stream: h5py.Group, number: int, row: Row, channels: list[Row]) -> None:
    found, data = recording.found, dataset_of(stream, f"SegmentData_{number}")
    path = as_path(data.name)
    stamps = dataset_of(stream, f"SegmentData_ts_{number}")
    times = _times(recording, stamps, TICK)
    values = time_arrays.values_of(data)
    if values.ndim == 2:
        values = values[:, np.newaxis, :]
    if values.ndim != 3 or values.shape[2] != times.n_times:
        raise Refused(f"it has the shape {data.shape} for {times.n_times} times, not samples × spikes")
    if len(channels) not in (1, values.shape[1]):
        raise Refused(f"it has cutouts of {values.shape[1]} channels, but tells of {len(channels)}")
    waveforms = times.ordered(np.moveaxis(values, 2, 0).swapaxes(1, 2))
    calibration, units = calibration_of(channels), {unit_of(one) for one in channels}
    is_uniform = calibration is None or calibration == calibration_of(channels[:1])
    if len(units) > 1 or not is_uniform:
        raise Refused("its channels are measured differently")
    made = found.make(f"{path}#waveforms", waveforms)
    array = FoundArray(made, made, made.lstrip("/"), len(waveforms), 0, units.pop(), calibration)
    about = {**place_of(stream), **_about(row), "mcs_path": path}
    about["waveforms_sampling_rate"] = {"data": TICK.rate_hz(number_in(channels[0], "Tick")), "units": "Hz"}
    about["left_sweep"] = {"data": number_in(row, "PreInterval"), "units": TICK.unit}
    name = " ".join(channel_names(channels))
    _add_spike_train(recording, path, name, times, about, {"waveforms": found.add_array(array)})


def _add_spike_train(
    recording: Recording, path: str, name: str, times: Times, about: dict[str, Any], more: dict[str, str]
) -> None:
    """Add a spike train that was watched for as long as the recording took."""
    scale = SECONDS[TICK.unit] / SECONDS[times.unit]
    start, stop = (float(Fraction(moment) * scale) for moment in (recording.start, recording.duration))
    spikes = [times.first, times.last] if times.n_times else []
    fields = {
        "name": name,
        "t_start": min([start, *spikes]),
        "t_start_units": times.unit,
        "t_stop": max([start, stop, *spikes]),
        "t_stop_units": times.unit,
        "annotations": {**about, "t_stop_source": "duration of the recording"},
    }
    arrays = {"times": times.path, **more}
    recording.found.objects.append(FoundObject("spiketrain", path, fields, recording.parents, arrays))


def _times(recording: Recording, data: h5py.Dataset, clock: Clock) -> Times:
    """Add times that lie in one row; they are copied, because times have one axis."""
    if data.ndim not in (1, 2) or (data.ndim == 2 and data.shape[0] != 1):
        raise Refused(f"its times have the shape {data.shape}, not one row")
    values = clock.times(time_arrays.values_of(data))
    return time_arrays.make_times(recording.found, as_path(data.name), values, clock.unit)


def _clock(row: Row) -> Clock:
    """Return how the times of an entity are told: in powers of ten of seconds."""
    unit, exponent = row.get("Unit"), number_in(row, "Exponent")
    if unit != "s" or exponent not in EXPONENTS:
        raise Refused(f"its times are told in 10^{exponent} {unit}, which is no unit of time")
    return {0: Clock("s"), -3: Clock("ms"), -6: TICK}.get(exponent, Clock("s", Fraction(10) ** exponent))


def _channels(row: Row, sources: dict[int, Row]) -> list[Row]:
    """Return what is told of the channels that a cutout comes from."""
    ids = [word.strip() for word in str(row.get("SourceChannelIDs") or "").split(",")]
    known = [sources[int(word)] for word in ids if word.isdecimal() and int(word) in sources]
    if not known:
        raise Refused(f"nothing is told of its channels {', '.join(ids)[:40]!r}")
    return known


def _about(row: Row) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value not in (None, "")}

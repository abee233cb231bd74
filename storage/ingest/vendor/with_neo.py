"""Recordings read by Neo's ``rawio`` readers: as they store their samples, with Neo's gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.calibration import Calibration
from storage.errors import Refused
from storage.ingest.vendor.telling import Columns, Recording, Run, grouped

TECHNICAL = {
    "format_version", "format_ver", "header_version", "neuroexplorer_version", "plexon_version", "system_id",
    "avail_file_set", "avail_nsx", "avail_nev", "nsx", "rec_pauses", "role", "sweep_number",
}  # fmt: skip
"""What is told of that which Neo says of files. All else may be about a person, as names and comments are."""


@dataclass(frozen=True, slots=True)
class Channel:
    """What Neo, or whoever knows better, says of one channel."""

    name: str
    units: str
    gain: float
    offset: float


Stretch = tuple[int, int, float]
"""Samples ``[start, stop)`` of a stream, and the time of the first in seconds."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the files of one format are read with Neo, and what Neo has wrong about them."""

    kind: str
    """What its recordings are called, such as ``ABF``."""
    reader: Any
    """With its header parsed."""
    corrections: Sequence[str] = ()
    """What is told otherwise than Neo tells it: a sentence each."""
    channel: Callable[[Any], Channel] | None = None
    """What a row of Neo's ``signal_channels`` says, corrected."""
    is_alone: bool = False
    """Whether each channel is a signal of its own, rather than all of one unit together."""
    events: Callable[[Recording, Sequence[str]], None] | None = None
    """Tells of events instead of Neo; it is given the paths of the Segments."""
    segment_name: Callable[[int], str] | None = None
    """What the Segment of a number is called."""
    stretches: Callable[[int, int, float], Sequence[Stretch]] | None = None
    """What of a stream is without a pause, and when that begins: number of the stream, samples, what Neo says."""
    spike_units: str | None = None
    """Of waveforms, where Neo does not know."""


def tell(recording: Recording, reading: Reading) -> None:
    """Tell of all that a reader finds."""
    reader = reading.reader
    n_segments = reader.segment_count(0)
    if reader.block_count() != 1:
        recording.target.refuse("/", f"only the first of its {reader.block_count()} blocks is imported")
    said = reader.raw_annotations["blocks"][0]
    started = said.get("rec_datetime")
    annotations: dict[str, Any] = {"imported_from": reading.kind, "read_by": f"neo {type(reader).__name__}"}
    if reading.corrections:
        annotations["corrections"] = list(reading.corrections)
    recording.block(moment(started), {**annotations, **_said(said)})
    runs = [
        [run for stream in range(reader.signal_streams_count()) for run in _runs(recording, reading, number, stream)]
        for number in range(n_segments)
    ]
    recording.expect(sum(run.n_samples * run.n_channels for every in runs for _, run in every))
    segments = []
    for number, every in enumerate(runs):
        name = f"segment {number + 1}" if n_segments > 1 else recording.name
        if reading.segment_name is not None:
            name = reading.segment_name(number)
        segments.append(recording.segment(number, name, _said(said["segments"][number])))
        for stream, run in every:
            recording.signals(segments[-1], run, _columns(reading, number, stream))
    _tell_spikes(recording, reading, segments)
    if reading.events is not None:
        reading.events(recording, segments)
    else:
        _tell_events(recording, reading, segments)


def moment(said: Any) -> datetime | None:
    """Return a date that a file tells; files of vendors do not say of which zone it is, so it is taken as UTC."""
    if not isinstance(said, datetime):
        return None
    return said if said.tzinfo is not None else said.replace(tzinfo=UTC)


def _said(told: Any) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name in TECHNICAL}


def _channels(reading: Reading, stream: int) -> list[Channel]:
    header = reading.reader.header
    rows = header["signal_channels"]
    rows = rows[rows["stream_id"] == header["signal_streams"][stream]["id"]]
    return [(reading.channel or as_neo_says)(row) for row in rows]


def as_neo_says(row: Any) -> Channel:
    """Return what Neo says of a channel."""
    return Channel(str(row["name"]), str(row["units"]).strip(), float(row["gain"]), float(row["offset"]))


def _runs(recording: Recording, reading: Reading, number: int, stream: int) -> list[tuple[int, Run]]:
    """Return the runs of a stream without a pause; one that cannot be served is left out."""
    reader = reading.reader
    header = reader.header
    rows = header["signal_channels"]
    rows = rows[rows["stream_id"] == header["signal_streams"][stream]["id"]]
    n_samples = int(reader.get_signal_size(0, number, stream))
    t_start = float(reader.get_signal_t_start(0, number, stream))
    stretches: Sequence[Stretch] = [(0, n_samples, t_start)]
    try:
        dtype = _dtype(reader, number, stream, rows, n_samples)
        if reading.stretches is not None:
            stretches = reading.stretches(stream, n_samples, t_start)
    except Refused as error:
        recording.target.refuse(str(header["signal_streams"][stream]["name"]) or f"stream {stream}", str(error))
        return []
    rate = float(reader.get_signal_sampling_rate(stream))
    if abs(rate - round(rate)) < 1e-12 * rate:  # it was computed from the time between samples
        rate = float(round(rate))
    return [
        (stream, Run(stop - start, begins, rate, dtype, len(rows), partial(_read_of, reader, number, stream, start)))
        for start, stop, begins in stretches
    ]


def _read_of(reader: Any, number: int, stream: int, first: int, start: int, stop: int) -> NDArray[Any]:
    return _read(reader, number, stream, first + start, first + stop)


def _dtype(reader: Any, number: int, stream: int, rows: Any, n_samples: int) -> np.dtype[Any]:
    """Return the type of samples as they come; what a header says of it is not always so."""
    dtype = np.dtype(str(rows[0]["dtype"])) if not n_samples else _read(reader, number, stream, 0, 1).dtype
    if dtype.kind not in "iuf":
        raise Refused(f"its samples are of the type {dtype}, which is not served")
    return np.dtype("<f4") if dtype == np.float16 else dtype


def _read(reader: Any, number: int, stream: int, start: int, stop: int) -> NDArray[Any]:
    return np.asarray(reader.get_analogsignal_chunk(0, number, start, stop, stream_index=stream))


def _columns(reading: Reading, number: int, stream: int) -> list[Columns]:
    channels = _channels(reading, stream)
    said = reading.reader.raw_annotations["blocks"][0]["segments"][number]["signals"][stream]
    keys = range(len(channels)) if reading.is_alone else ((one.units, one.offset) for one in channels)
    stream_name = str(reading.reader.header["signal_streams"][stream]["name"]) or f"stream {stream}"
    groups = grouped(keys)
    return [
        Columns(
            places,
            name=channels[places[0]].name if len(places) == 1 else _name(stream_name, channels[places[0]], groups),
            units=channels[places[0]].units or None,
            gain=[channels[place].gain for place in places],
            offset=channels[places[0]].offset,
            channel_names=[channels[place].name for place in places],
            annotations=_said(said),
        )
        for places in groups
    ]


def _name(stream_name: str, first: Channel, groups: Sequence[Any]) -> str:
    return stream_name if len(groups) == 1 else f"{stream_name} ({first.units or 'no unit'})"


def _tell_spikes(recording: Recording, reading: Reading, segments: Sequence[str]) -> None:
    reader = reading.reader
    for number, row in enumerate(reader.header["spike_channels"]):
        name = str(row["name"])
        unit = recording.unit(number, name, {"id": str(row["id"])})
        for place, segment in enumerate(segments):
            stamps = reader.get_spike_timestamps(0, place, number)
            times = np.asarray(reader.rescale_spike_timestamp(np.asarray(stamps), "float64"), np.float64)
            span = float(reader.segment_t_start(0, place)), float(reader.segment_t_stop(0, place))
            waves = reader.get_spike_raw_waveforms(0, place, number) if row["wf_sampling_rate"] > 0 else None
            told, told_of = None, {}
            if waves is not None and np.ndim(waves) == 3 and len(waves) == len(times):
                units = reading.spike_units or str(row["wf_units"])
                calibration = Calibration((float(row["wf_gain"]),), float(row["wf_offset"]))
                told = np.asarray(waves), None if calibration.is_identity else calibration, units
                told_of = {
                    "waveforms_sampling_rate_hz": float(row["wf_sampling_rate"]),
                    "waveforms_left_sweep_samples": int(row["wf_left_sweep"]),
                }
            recording.spikes(segment, unit, name, times, span, told, told_of)


def _tell_events(recording: Recording, reading: Reading, segments: Sequence[str]) -> None:
    reader = reading.reader
    for number, row in enumerate(reader.header["event_channels"]):
        for place, segment in enumerate(segments):
            stamps, durations, labels = reader.get_event_timestamps(0, place, number)
            stamps = np.asarray(stamps)
            if not len(stamps):
                continue
            times = np.asarray(reader.rescale_event_timestamp(stamps, "float64", number), np.float64)
            if durations is not None:
                durations = np.asarray(durations)
                if durations.dtype.kind == "u":  # of an end before its beginning, neo has a huge one
                    durations = durations.view(durations.dtype.str.replace("u", "i"))
                durations = np.asarray(reader.rescale_epoch_duration(durations, "float64", number))
            recording.events(segment, str(row["name"]), times, [str(label) for label in labels], durations)

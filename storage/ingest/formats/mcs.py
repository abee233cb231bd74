"""Recordings of Multi Channel Systems (MCS-HDF5, protocol "RawData"): a Segment per recording, a signal per stream."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats import attributes, mcs_signals, mcs_times
from storage.ingest.formats.mcs_info import Recording, numbered, told_of
from storage.ingest.formats.members import group_in
from storage.ingest.found import Found, FoundObject, as_path
from storage.progress import DatasetProgress, untold

PROTOCOL = "McsHdf5ProtocolType"
RAW_DATA = "RawData"


def is_mcs(file: h5py.File) -> bool:
    """Whether a file says that it is of Multi Channel Systems."""
    return PROTOCOL in file.attrs


def inspect(file: h5py.File, name: str, progress: DatasetProgress = untold) -> Found:
    """Find everything in a recording that can be served, and why the rest cannot.

    Parameters
    ----------
    file : h5py.File
    name : str
        What the Block will be called.
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.

    Raises
    ------
    Refused
        If it is of another protocol.
    """
    protocol = attributes.text(file.attrs.get(PROTOCOL))
    data = group_in(file["/"], "Data")
    if protocol != RAW_DATA or data is None:
        raise Refused(f"it is an MCS file of the protocol {protocol!r}; only {RAW_DATA!r} is read")
    found = Found(progress=progress)
    about_block = {"mcs_path": "/Data", **told_of(data)}
    started = _moment(data.attrs.get("DateInTicks"))
    if started is not None:
        about_block["time_zone"] = "not told, taken as UTC"
    said = {"name": name, "filedatetime": started}
    found.objects.append(FoundObject("block", "/", {**said, "annotations": about_block}))
    for number, group in numbered(data, "Recording"):
        with found.refusing(as_path(group.name)):
            _add_recording(found, group, number, started)
    return found


def _add_recording(found: Found, group: h5py.Group, number: int, started: datetime | None) -> None:
    path, told = as_path(group.name), told_of(group)
    name = str(told.get("Label") or f"Recording {number}")
    said = {"name": name, "index": number, "filedatetime": started}
    said["annotations"] = {"mcs_path": path, **told}
    found.objects.append(FoundObject("segment", path, said, {"block": "/"}))
    start, duration = (attributes.number(group.attrs.get(key, 0), key) for key in ("TimeStamp", "Duration"))
    recording = Recording(found, path, start, duration)
    for kind, add in _STREAMS.items():
        streams = group_in(group, kind)
        for _, stream in () if streams is None else numbered(streams, "Stream"):
            with found.refusing(as_path(stream.name)):
                add(recording, stream)


def _moment(ticks: Any) -> datetime | None:
    """Return a moment that is told in units of 100 ns since the year 1."""
    try:
        return datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(ticks) // 10) if ticks else None
    except (TypeError, ValueError, OverflowError):
        return None


def _refuse_frames(*_: Any) -> None:
    raise Refused("it is a stream of frames (sensors × sensors × time), which are not served")


_STREAMS: dict[str, Callable[[Recording, h5py.Group], None]] = {
    "AnalogStream": mcs_signals.add_stream,
    "EventStream": mcs_times.add_events,
    "SegmentStream": mcs_times.add_cutouts,
    "TimeStampStream": mcs_times.add_time_stamps,
    "FrameStream": _refuse_frames,
}

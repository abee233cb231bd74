"""Recordings of WaveSurfer: a Segment per sweep, its analog inputs as one signal of counts with a polynomial each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import floor
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats import attributes, channels, time_arrays
from storage.ingest.formats.members import dataset_in, group_in, members
from storage.ingest.formats.wavesurfer_header import Header, header_of
from storage.ingest.found import Found, FoundArray, FoundObject, as_path
from storage.progress import DatasetProgress, untold
from storage.selection import require_axis

SWEEPS = ("sweep_", "trial_")
ANALOG, DIGITAL = "analogScans", "digitalScans"
GROUPS = {ANALOG: "/header#analog", DIGITAL: "/header#digital"}
"""``source_path`` of the group of channels of each."""


def is_wavesurfer(file: h5py.File) -> bool:
    """Whether a file has the header and the sweeps of WaveSurfer."""
    header = file.get("header", getlink=True)
    return isinstance(header, h5py.HardLink) and any(name.startswith(SWEEPS) for name in file)


def inspect(file: h5py.File, name: str, progress: DatasetProgress = untold) -> Found:
    """Find all sweeps of a recording, and why some cannot be served.

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
        If its header does not tell how quick the samples are.
    """
    around = group_in(file["/"], "header")
    if around is None:
        raise Refused("its header is not a group")
    found, header = Found(progress=progress), header_of(around)
    about = {"wavesurfer_path": "/", "header": header.texts}
    started = _moment(header.clock)
    if started is not None:
        about["time_zone"] = "not told, taken as UTC"
    said = {"name": name, "filedatetime": started}
    found.objects.append(FoundObject("block", "/", {**said, "annotations": about}))
    told = {ANALOG: ("analog inputs", header.names), DIGITAL: ("digital inputs", header.digital_names)}
    for kind, (word, names) in told.items():
        if names:
            fields = {"name": word, "annotations": {"wavesurfer_path": "/header"}}
            channels.add_group(found, GROUPS[kind], "/", fields, names, [{} for _ in names])
    sweeps = [(key, one) for key, one in members(file["/"]) if key.startswith(SWEEPS)]
    for index, (key, sweep) in enumerate(sweeps):
        with found.refusing(as_path(sweep.name)):
            if not isinstance(sweep, h5py.Group):
                raise Refused("it is a sweep of a version of WaveSurfer before 0.9; register it with a mapping file")
            _add_sweep(found, sweep, as_path(key), index, header, started)
    return found


def _add_sweep(
    found: Found, sweep: h5py.Group, name: str, index: int, header: Header, started: datetime | None
) -> None:
    """Add a sweep, which begins when it says so after the run began."""
    path, stamp = as_path(sweep.name), dataset_in(sweep, "timestamp")
    t_start = 0.0 if stamp is None else attributes.number(time_arrays.values_of(stamp), "timestamp")
    require_axis(header.rate_hz, t_start)
    said: dict[str, Any] = {"name": name, "index": index, "annotations": {"wavesurfer_path": path}}
    if stamp is not None:
        said["annotations"]["timestamp"] = {"data": t_start, "units": "s"}
    if started is not None and 0 <= t_start < 1e9:
        said["filedatetime"] = started + timedelta(seconds=int(t_start))
    found.objects.append(FoundObject("segment", path, said, {"block": "/"}))
    axis = {"t_start": t_start, "t_start_units": "s"}
    axis |= {"sampling_rate": header.rate_hz, "sampling_rate_units": "Hz"}
    for kind, add in ((ANALOG, _add_analog), (DIGITAL, _add_digital)):
        data = dataset_in(sweep, kind)
        if data is not None:
            with found.refusing(as_path(data.name)):
                add(found, data, path, axis, header)


def _add_analog(found: Found, data: h5py.Dataset, segment: str, axis: dict[str, Any], header: Header) -> None:
    """Add the samples of the active analog inputs: volts of each by a polynomial, and divided by its scale."""
    path, n_channels, n_samples = _described(found, data)
    if n_channels != len(header.names):
        raise Refused(f"it has {n_channels} channels, of which the header says that {len(header.names)} are active")
    array = FoundArray(
        path,
        path,
        f"{ANALOG} {segment.lstrip('/')}",
        n_samples,
        calibration=header.calibration(data.dtype),
        channel_names=header.names,
        is_transposed=True,
    )
    told = {**axis, "annotations": {"wavesurfer_path": path}}
    channels.add_signal(found, array, header.units, told, {"segment": segment}, GROUPS[ANALOG])


def _add_digital(found: Found, data: h5py.Dataset, segment: str, axis: dict[str, Any], header: Header) -> None:
    """Add the samples of the digital inputs: one number each, whose bits are the active lines."""
    path, _, n_samples = _described(found, data)
    name = f"{DIGITAL} {segment.lstrip('/')}"
    array = FoundArray(path, path, name, n_samples, is_transposed=True)
    told = {**axis, "name": name, "annotations": {"wavesurfer_path": path, "bits": header.digital_names}}
    parents = {"segment": segment}
    if header.digital_names:
        parents["recordingchannelgroup"] = GROUPS[DIGITAL]
    arrays = {"signal": found.add_array(array)}
    found.objects.append(FoundObject("analogsignalarray", path, told, parents, arrays))


def _described(found: Found, data: h5py.Dataset) -> tuple[str, int, int]:
    path = found.describe(data)
    shape = found.datasets[path].shape
    if len(shape) != 2:
        raise Refused(f"it has the shape {shape}, not channels × samples")
    return path, shape[0], shape[1]


def _moment(clock: list[float]) -> datetime | None:
    """Return a moment that is told as year, month, day, hour, minute and seconds."""
    try:
        year, month, day, hour, minute, second = map(floor, clock)
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None

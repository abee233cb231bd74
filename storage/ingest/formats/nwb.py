"""NWB files in Neo's words: time series as signals, sorted units as spike trains, one Block per file.

Read by attributes with h5py alone: what a newer or extended schema calls its types does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np

from storage.calibration import Calibration
from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_tables, nwb_tree
from storage.ingest.found import Found, FoundObject
from storage.progress import DatasetProgress, untold
from storage.selection import require_axis

ROOT = "/"
"""``source_path`` of the Block and of the Segment that stand for the file."""

BLOCK_TEXTS = (
    "session_description",
    "identifier",
    "nwb_version",
    "session_start_time",
    "timestamps_reference_time",
)
SERIES_TEXTS = ("neurodata_type", "description", "comments")


def is_nwb(file: h5py.File) -> bool:
    """Whether a file says that it is NWB."""
    return nwb_tree.type_of(file) == "NWBFile" or "nwb_version" in file.attrs


def inspect(file: h5py.File, name: str, progress: DatasetProgress = untold) -> Found:
    """Find everything in an NWB file that can be served, and why the rest cannot.

    Parameters
    ----------
    file : h5py.File
    name : str
        What the Block will be called.
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.
    """
    found = Found(progress=progress)
    _add_session(found, file, name)
    for group in _walked(found, file):
        with found.refusing(nwb_tree.path_of(group)):
            if nwb_tree.has(group, "spike_times"):
                nwb_tables.add_units(found, group)
            elif nwb_tree.has(group, "start_time") and nwb_tree.has(group, "stop_time"):
                nwb_tables.add_epochs(found, group)
            elif any(nwb_tree.has(group, name) for name in ("data", "timestamps", "starting_time")):
                _add_series(found, group)
    return found


def _walked(found: Found, file: h5py.File) -> Iterator[h5py.Group]:
    """Yield the typed groups, as far as the file can be walked."""
    with found.refusing(ROOT):
        yield from nwb_tree.typed_groups(file)


def _add_session(found: Found, file: h5py.File, name: str) -> None:
    """Add the Block and its one Segment: all clocks of an NWB file agree."""
    annotations = {"nwb_path": ROOT, **nwb_tree.texts(file, *BLOCK_TEXTS)}
    started = _moment(annotations.get("session_start_time"))
    if started is not None:
        # filedatetime is told in UTC; where the recording was made is told by its own spelling.
        annotations["time_zone"] = str(started.tzinfo) if started.tzinfo else "not told, taken as UTC"
        started = started if started.tzinfo else started.replace(tzinfo=UTC)
    said = {"name": name, "filedatetime": started}
    found.objects.append(FoundObject("block", ROOT, {**said, "annotations": annotations}))
    found.objects.append(
        FoundObject("segment", ROOT, {**said, "annotations": {"nwb_path": ROOT}}, parents={"block": ROOT})
    )


def _moment(said: Any) -> datetime | None:
    """Return a date as it is told; None for what is none, or cannot be told in UTC."""
    try:
        moment = datetime.fromisoformat(str(said)) if said else None
        return moment if moment is None or moment.astimezone(UTC) else None
    except (ValueError, OverflowError):
        return None


def _add_series(found: Found, group: h5py.Group) -> None:
    """Add one time series: regular where it has a rate, irregular where it has timestamps."""
    data = nwb_tree.dataset_in(group, "data")
    if data is None:
        raise Refused("it has no data")
    if not (nwb_tree.has(group, "starting_time") or nwb_tree.has(group, "timestamps")):
        raise Refused("it has neither starting_time nor timestamps")
    path = found.describe(data)
    description = found.datasets[path]
    if description.dtype.kind == "S":
        nwb_tables.add_events(found, group, path)
        return
    if len(description.shape) > 2:
        raise Refused(f"it has {len(description.shape)} dimensions: pictures and the like are not served")
    name = nwb_tree.path_of(group).rpartition("/")[2]
    signal = found.whole(
        path,
        name,
        attributes.text(data.attrs.get("unit")),
        calibration=_calibration(group, data),
        channel_names=_channel_names(group, description.shape),
    )
    fields = {"name": name, "annotations": _annotations(found, group, signal)}
    if nwb_tree.has(group, "starting_time"):
        _add_regular(found, group, signal, fields)
    else:
        _add_irregular(found, group, signal, fields)


def _add_regular(found: Found, group: h5py.Group, signal: str, fields: dict[str, Any]) -> None:
    start = nwb_tree.dataset_in(group, "starting_time")
    if start is None or "rate" not in start.attrs:
        raise Refused("its starting_time has no rate")
    rate, t_start = attributes.number(start.attrs["rate"], "rate"), attributes.number(start[()], "starting_time")
    require_axis(rate, t_start)
    axis = {
        "t_start": t_start,
        "t_start_units": "s",
        "sampling_rate": rate,
        "sampling_rate_units": "Hz",
    }
    shape = found.datasets[found.arrays[signal].dataset].shape
    type_name = "analogsignal" if len(shape) == 1 else "analogsignalarray"
    found.objects.append(
        FoundObject(type_name, nwb_tree.path_of(group), {**fields, **axis}, {"segment": ROOT}, {"signal": signal})
    )


def _add_irregular(found: Found, group: h5py.Group, signal: str, fields: dict[str, Any]) -> None:
    timestamps = nwb_tree.dataset_in(group, "timestamps")
    if timestamps is None:
        raise Refused("its timestamps are not a dataset")
    n_samples = found.arrays[signal].n_samples
    if timestamps.shape != (n_samples,):
        raise Refused(f"it has {n_samples} samples but timestamps of the shape {timestamps.shape}")
    times = nwb_tables.times_of(found, timestamps, later=True)
    t_start = {
        "t_start": attributes.number(timestamps[0], "first timestamp") if n_samples else 0.0,
        "t_start_units": "s",
    }
    found.objects.append(
        FoundObject(
            "irsaanalogsignal",
            nwb_tree.path_of(group),
            {**fields, **t_start},
            {"segment": ROOT},
            {"signal": signal, "times": times},
        )
    )


def _annotations(found: Found, group: h5py.Group, signal: str) -> dict[str, Any]:
    said = {"nwb_path": nwb_tree.path_of(group), **nwb_tree.texts(group, *SERIES_TEXTS)}
    names = found.arrays[signal].channel_names
    return said if names is None else {**said, "channel_names": list(names)}


def _calibration(group: h5py.Group, data: h5py.Dataset) -> Calibration | None:
    """Return ``data · conversion · channel_conversion + offset``, None where that changes nothing."""
    conversion = attributes.number(data.attrs.get("conversion", 1.0), "conversion")
    offset = attributes.number(data.attrs.get("offset", 0.0), "offset")
    gains = np.array([conversion])
    if nwb_tree.has(group, "channel_conversion"):
        per_channel = nwb_tree.dataset_in(group, "channel_conversion")
        if per_channel is None or per_channel.dtype.kind not in "iuf":
            raise Refused("its channel_conversion is not one number per channel")
        n_channels = data.shape[1] if data.ndim == 2 else 1
        if per_channel.shape != (n_channels,):
            raise Refused(f"its channel_conversion has the shape {per_channel.shape} for {n_channels} channels")
        gains = conversion * per_channel[()].astype(np.float64)
    if not np.isfinite(gains).all():
        raise Refused("its channel_conversion has values that are not numbers")
    calibration = Calibration(tuple(gains.tolist()), offset)
    return None if calibration.is_identity else calibration


def _channel_names(group: h5py.Group, shape: tuple[int, ...]) -> list[str] | None:
    """Return what the table of electrodes calls the channels of a two-dimensional series."""
    region = nwb_tree.dataset_in(group, "electrodes")
    if region is None or len(shape) != 2 or region.shape != (shape[1],) or region.dtype.kind not in "iu":
        return None
    table = region.attrs.get("table")
    try:
        electrodes = group.file[table] if isinstance(table, h5py.Reference) and table else None
    except (KeyError, ValueError, RuntimeError):  # a reference to what is gone; names are not needed to serve
        electrodes = None
    if not isinstance(electrodes, h5py.Group):
        return None
    column = next((name for name in ("channel_name", "label", "id") if name in electrodes), None)
    names = None if column is None else nwb_tree.dataset_in(electrodes, column)
    rows = region[()]
    if names is None or names.ndim != 1 or (len(rows) and not 0 <= rows.min() <= rows.max() < len(names)):
        return None
    every = names[()]
    return [str(attributes.plain(every[row])) for row in rows]

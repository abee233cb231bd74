"""Time series of an NWB file as signals: whole, or the parts of them that are sweeps."""

from __future__ import annotations

from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_calibration, nwb_electrodes, nwb_events, nwb_tree, nwb_waveforms
from storage.ingest.formats.nwb_electrodes import Electrodes, Region
from storage.ingest.formats.nwb_sweeps import Part, Sweeps
from storage.ingest.found import Found, FoundArray, FoundObject
from storage.selection import require_axis
from storage.units import decimal

MAX_CHANNELS_TOLD = 2000
"""Channels whose conversions are told in annotations."""

OWN_ANNOTATIONS = frozenset(
    {"data", "timestamps", "starting_time", "electrodes", "rois", "control", "control_description"}
    | {"channel_conversion", "external_file", "dimension", "sync", "feature_units"}
)
"""Members of a series that are not told as annotations, or in another form."""

IMAGES = ("ImageSeries", "TwoPhotonSeries", "OnePhotonSeries", "OpticalSeries", "ImageMaskSeries")


def is_series(group: h5py.Group) -> bool:
    """Whether a typed group is a time series, by what lies in it."""
    return any(nwb_tree.has(group, name) for name in ("data", "timestamps", "starting_time", "external_file"))


def add(found: Found, group: h5py.Group, electrodes: Electrodes, sweeps: Sweeps) -> None:
    """Add one time series: regular where it has a rate, irregular where it has timestamps."""
    if nwb_tree.has(group, "external_file"):
        raise Refused("it is video in files of its own, which are never opened: only signals are served")
    data = nwb_tree.dataset_in(group, "data")
    if data is None:
        raise Refused("it has no data")
    if not (nwb_tree.has(group, "starting_time") or nwb_tree.has(group, "timestamps")):
        raise Refused("it has neither starting_time nor timestamps")
    if nwb_waveforms.is_of_events(group, data):
        nwb_waveforms.add_events(found, group, data, nwb_electrodes.of_series(electrodes, group))
        return
    _require_axes(group, data)
    path = found.describe(data)
    if found.datasets[path].dtype.kind == "S":
        nwb_events.add_annotations(found, group, path)
        return
    region = nwb_electrodes.of_series(electrodes, group)
    calibration = nwb_calibration.of_series(group, data)
    names = _channel_names(group, region, found.datasets[path].shape)
    for part in sweeps.parts_of(group):
        _add_part(found, group, data, part, region, {"calibration": calibration, "channel_names": names})


def _require_axes(group: h5py.Group, data: h5py.Dataset) -> None:
    """Raise Refused for what is no signal, before any index of it is built."""
    if data.ndim <= 2:
        return
    type_name = nwb_tree.type_of(group)
    if type_name == "DecompositionSeries":
        raise Refused("it is spectra, samples × channels × bands: only signals of one or two axes are served")
    if type_name in IMAGES:
        size = " × ".join(map(str, data.shape[1:]))
        raise Refused(f"it is video, {data.shape[0]} pictures of {size}: only signals are served")
    raise Refused(f"it has {data.ndim} dimensions: pictures and the like are not served")


def _add_part(
    found: Found, group: h5py.Group, data: h5py.Dataset, part: Part, region: Region | None, told: dict[str, Any]
) -> None:
    """Add all of a series, or the samples of one sweep, as an object of its own."""
    path, units = found.describe(data), attributes.text(data.attrs.get("unit"))
    name = nwb_tree.name_of(nwb_tree.path_of(group))
    first, n_samples = part.rows_in(len(data))
    signal = _rows(found, path, name, first, n_samples, units=units, **told)
    shape = found.datasets[path].shape
    annotations = {"nwb_path": nwb_tree.path_of(group), **_annotations(group, data), **part.annotations}
    if told["channel_names"] is not None:
        annotations["channel_names"] = list(told["channel_names"])
    if region is not None:
        annotations |= region.annotations()
    fields: dict[str, Any] = {"name": name, "annotations": annotations}
    arrays = {"signal": signal}
    if nwb_tree.has(group, "starting_time"):
        type_name = "analogsignal" if len(shape) == 1 else "analogsignalarray"
        fields |= _regular(group, first)
    else:
        type_name = "irsaanalogsignal"
        arrays["times"], t_start = _times(found, group, len(data), first, n_samples)
        fields |= {"t_start": t_start, "t_start_units": "s"}
    parents = {"segment": part.segment}
    if region is not None:
        parents |= region.parents(len(shape), type_name)
    found.objects.append(FoundObject(type_name, part.source_path(group), fields, parents, arrays))


def _rows(found: Found, path: str, name: str, first: int, n_samples: int, **more: Any) -> str:
    """Add some rows of a described dataset as one array."""
    if (first, n_samples) == (0, found.datasets[path].shape[0]):
        return found.whole(path, name, more.pop("units"), **more)
    own = f"{path}[{first}:{first + n_samples}]"
    return found.add_array(FoundArray(own, path, name, n_samples, first_row=first, **more))


def _regular(group: h5py.Group, first: int) -> dict[str, Any]:
    """Return the axis of samples from one of them on; exact, as the decimals that the file's numbers are."""
    start = nwb_tree.dataset_in(group, "starting_time")
    if start is None or "rate" not in start.attrs:
        raise Refused("its starting_time has no rate")
    rate, t_start = attributes.number(start.attrs["rate"], "rate"), attributes.number(start[()], "starting_time")
    require_axis(rate, t_start)
    if first:
        t_start = float(decimal(t_start) + first / decimal(rate))
    return {"t_start": t_start, "t_start_units": "s", "sampling_rate": rate, "sampling_rate_units": "Hz"}


def _times(found: Found, group: h5py.Group, n_samples: int, first: int, n_selected: int) -> tuple[str, float]:
    """Add the times of some samples; return the array and the first of them."""
    timestamps = nwb_tree.dataset_in(group, "timestamps")
    if timestamps is None:
        raise Refused("its timestamps are not a dataset")
    if timestamps.shape != (n_samples,):
        raise Refused(f"it has {n_samples} samples but timestamps of the shape {timestamps.shape}")
    path = nwb_events.times_in(found, timestamps)
    if (first, n_selected) == (0, n_samples):
        return found.whole(path, path.lstrip("/"), "s"), _first(timestamps, 0) if n_samples else 0.0
    times = _rows(found, path, path.lstrip("/"), first, n_selected, units="s")
    return times, _first(timestamps, first) if n_selected else 0.0


def _first(timestamps: h5py.Dataset, row: int) -> float:
    return attributes.number(timestamps[row], "first timestamp")


def _annotations(group: h5py.Group, data: h5py.Dataset) -> dict[str, Any]:
    """Return what is said of a series and how its numbers are stored."""
    told = {"neurodata_type": nwb_tree.type_of(group), **nwb_tree.everything(group, leave_out=OWN_ANNOTATIONS)}
    for name in ("conversion", "offset", "resolution"):
        if name in data.attrs:
            told[name] = attributes.plain(data.attrs[name])
    gains = nwb_tree.dataset_in(group, "channel_conversion")
    if gains is not None and gains.size <= MAX_CHANNELS_TOLD:
        told["channel_conversion"] = nwb_tree.listed(gains)
    return told


def _channel_names(group: h5py.Group, region: Region | None, shape: tuple[int, ...]) -> list[str] | None:
    """Return what the channels of a series are called, by the table of electrodes or by the series itself."""
    if region is not None:
        return region.names
    features = nwb_tree.dataset_in(group, "features")
    if features is None or len(shape) != 2 or features.shape != (shape[1],):
        return None
    names = nwb_tree.listed(features)
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None

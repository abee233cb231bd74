"""DataArrays of a NIX file: what their numbers mean, and which of their dimensions is time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.calibration import AnyCalibration, Calibration, Polynomial
from storage.errors import Refused
from storage.ingest.formats import attributes, time_arrays
from storage.ingest.formats.clocks import Clock, clock
from storage.ingest.formats.members import dataset_in, group_in, members
from storage.ingest.formats.nix_entities import name_of, text_of
from storage.ingest.formats.time_arrays import Times
from storage.ingest.found import Found, FoundArray, FoundObject, as_path, identity
from storage.selection import require_axis

TIME_LABEL = "time"
"""What a dimension without a unit is called if it is time, in seconds."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What one axis of a DataArray is."""

    kind: str
    """``sample``, ``range`` or ``set``."""
    group: h5py.Group
    told_by: h5py.Group | None
    """The DataArray or DataFrame that has the ticks or labels, where the dimension has none itself."""
    clock: Clock | None
    """None where it is not time."""
    unit: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class DataArray:
    """One DataArray."""

    group: h5py.Group
    data: h5py.Dataset
    dimensions: tuple[Dimension, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return name_of(self.group)

    @property
    def is_own_axis(self) -> bool:
        """Whether its values are the times of what they tell of: moments, not samples."""
        told_by = self.dimensions[0].told_by if self.dimensions and self.data.ndim == 1 else None
        return told_by is not None and identity(told_by) == identity(self.group)

    @property
    def time_axis(self) -> int | None:
        """Which of its axes is time; None where none is, Refused where that is not clear."""
        places = [place for place, one in enumerate(self.dimensions[: self.data.ndim]) if one.clock is not None]
        if len(places) > 1:
            raise Refused(f"{len(places)} of its dimensions are time")
        return places[0] if places else None


def data_array(group: h5py.Group) -> DataArray:
    """Return a DataArray; raises Refused where it has no data."""
    data = dataset_in(group, "data")
    if data is None:
        raise Refused("it has no data")
    return DataArray(group, data, tuple(map(_dimension, dimension_groups(group))))


def dimension_groups(group: h5py.Group) -> list[h5py.Group]:
    """Return the dimensions of a DataArray, which are numbered from 1."""
    around = group_in(group, "dimensions")
    numbered = {} if around is None else dict(members(around))
    found = [numbered.get(str(number)) for number in range(1, len(numbered) + 1)]
    return [one for one in found if isinstance(one, h5py.Group)]


def linked_group(dimension: h5py.Group) -> h5py.Group | None:
    """Return the DataArray or DataFrame that tells the ticks or labels of a dimension."""
    if dataset_in(dimension, "ticks") is not None or dataset_in(dimension, "labels") is not None:
        return None
    link = group_in(dimension, "link") or dimension  # before version 1.2.1 the dimension itself held the array
    return next((one for _, one in members(link) if isinstance(one, h5py.Group)), None)


def _dimension(group: h5py.Group) -> Dimension:
    kind = text_of(group, "dimension_type") or ""
    told_by = linked_group(group) if kind in ("range", "set", "alias") else None
    own = group if told_by is None else told_by
    unit, label = text_of(own, "unit"), text_of(own, "label")
    if told_by is not None and "units" in told_by.attrs:
        units = [attributes.plain(one) for one in np.ravel(told_by.attrs["units"])]
        unit = units[_index_of(group)[0]] or None
    told = clock(unit) if unit else Clock("s") if (label or "").strip().lower() == TIME_LABEL else None
    told = None if kind == "set" else told
    return Dimension("range" if kind == "alias" else kind, group, told_by, told, unit, label)


def _index_of(dimension: h5py.Group) -> list[int]:
    """Return which part of a linked array or table tells the ticks; -1 stands for the axis itself."""
    link = group_in(dimension, "link")
    index = [-1] if link is None else np.ravel(link.attrs.get("index", -1)).tolist()
    return [int(place) for place in index]


def calibration_of(group: h5py.Group) -> AnyCalibration | None:
    """Return ``polynomial(stored - expansion_origin)`` of a DataArray; None where that changes nothing."""
    origin = attributes.number(group.attrs.get("expansion_origin", 0.0), "expansion_origin")
    stored = dataset_in(group, "polynom_coefficients")
    coefficients = () if stored is None else tuple(np.ravel(time_arrays.values_of(stored)).astype(float).tolist())
    if not coefficients:
        return Polynomial(((0.0, 1.0),), (origin,)) if origin else None
    found: AnyCalibration
    if len(coefficients) <= 2 and not origin:
        constant, gain = coefficients if len(coefficients) == 2 else (coefficients[0], 0.0)
        found = Calibration((gain,), constant)
    else:
        found = Polynomial((coefficients,), (origin,))
    return None if found.is_identity else found


def add_samples(found: Found, array: DataArray, time_axis: int, name: str) -> str:
    """Add the samples of a DataArray, time first; return the ``source_path``."""
    path = found.describe(array.data)
    shape = found.datasets[path].shape
    if len(shape) > 2:
        raise Refused(f"it has {len(shape)} dimensions: pictures and the like are not served")
    names = None
    if len(shape) == 2:
        across = array.dimensions[1 - time_axis] if len(array.dimensions) == 2 else None
        labels = None if across is None else labels_of(across)
        if labels is not None and len(labels) == shape[1 - time_axis]:
            names = [label.decode("utf-8", "replace") for label in labels.tolist()]
    told = FoundArray(
        path,
        path,
        name,
        n_samples=shape[time_axis],
        units=text_of(array.group, "unit"),
        calibration=calibration_of(array.group),
        channel_names=names,
        is_transposed=time_axis == 1,
    )
    return found.add_array(told)


def add_signal(found: Found, array: DataArray, axis: int, told: FoundObject) -> None:
    """Add a signal: regular where its axis of time is sampled, else irregular.

    Parameters
    ----------
    found : Found
    array : DataArray
    axis : int
        Which of its axes is time.
    told : FoundObject
        What else is told of it; its type is not known yet, and its name may be missing.
    """
    dimension, name = array.dimensions[axis], told.fields.get("name") or array.name
    signal = add_samples(found, array, axis, name)
    arrays, fields = {"signal": signal}, {**told.fields, "name": name}
    names = found.arrays[signal].channel_names
    if names is not None:
        fields["annotations"] = {**fields["annotations"], "channel_names": list(names)}
    if dimension.kind == "sample":
        type_name = "analogsignal" if array.data.ndim == 1 else "analogsignalarray"
        fields = {**regular_fields(dimension), **fields}
    else:
        times = add_ticks(found, dimension)
        if times.n_times != found.arrays[signal].n_samples:
            raise Refused(f"it has {found.arrays[signal].n_samples} samples but {times.n_times} times")
        type_name, arrays["times"] = "irsaanalogsignal", times.path
        fields |= {"t_start": times.first, "t_start_units": times.unit}
    found.objects.append(replace(told, type_name=type_name, fields=fields, arrays=arrays))


def labels_of(dimension: Dimension) -> NDArray[np.bytes_] | None:
    """Return the labels of a dimension; None where it has none."""
    if dimension.kind != "set":
        return None
    if dimension.told_by is None:
        return time_arrays.labels_of(dataset_in(dimension.group, "labels"))
    data = dataset_in(dimension.told_by, "data")
    if data is None or h5py.check_string_dtype(data.dtype) is None:
        return None
    return time_arrays.labels_of(data)


def regular_fields(dimension: Dimension) -> dict[str, Any]:
    """Return where a sampled dimension begins, and how quick it is."""
    told = dimension.clock or Clock("s")
    interval = attributes.number(dimension.group.attrs.get("sampling_interval"), "sampling_interval")
    offset = told.time(attributes.number(dimension.group.attrs.get("offset", 0.0), "offset"))
    rate = told.rate_hz(interval)
    require_axis(rate, offset)
    return {
        "t_start": offset,
        "t_start_units": told.unit,
        "sampling_rate": rate,
        "sampling_rate_units": "Hz",
    }


def add_ticks(found: Found, dimension: Dimension) -> Times:
    """Add the ticks of a range dimension, which are sorted, as times."""
    told = dimension.clock or Clock("s")
    ticks = dataset_in(dimension.group, "ticks")
    if ticks is not None:
        times = time_arrays.add_times(found, ticks, told)
    elif dimension.told_by is not None:
        times = _add_linked(found, dimension, dimension.told_by, told)
    else:
        raise Refused("its range dimension has no ticks")
    if times.order is not None:
        raise Refused("its times are not sorted")
    return times


def _add_linked(found: Found, dimension: Dimension, told_by: h5py.Group, told: Clock) -> Times:
    """Add ticks that are a part of a DataArray or DataFrame."""
    data = dataset_in(told_by, "data")
    if data is None:
        raise Refused("what its range dimension links to has no data")
    return add_positions(found, told_by, data, told, _index_of(dimension.group))


def add_positions(
    found: Found, group: h5py.Group, data: h5py.Dataset, told: Clock, index: list[int] | None = None
) -> Times:
    """Add numbers of a DataArray, or of a column of a DataFrame, as times.

    Parameters
    ----------
    found : Found
    group : h5py.Group
        The DataArray or DataFrame.
    data : h5py.Dataset
        Its data.
    told : Clock
    index : list of int, optional
        Which of its numbers: one place for each axis, -1 for all along it; a lone axis without.
    """
    calibration = None if data.dtype.names else calibration_of(group)
    if data.ndim == 1 and not data.dtype.names and calibration is None:
        return time_arrays.add_times(found, data, told)
    values, path = quantities_of(group, data, index)
    return time_arrays.make_times(found, path, told.times(values), told.unit)


def quantities_of(
    group: h5py.Group, data: h5py.Dataset, index: list[int] | None = None
) -> tuple[NDArray[np.generic], str]:
    """Return numbers of a DataArray or a column of a DataFrame, calibrated, and what they can be called."""
    place = "" if index is None or index == [-1] else str(index)
    path = f"{as_path(data.name)}{place}"
    if data.dtype.names:
        column = (index or [-1])[0]
        if data.ndim != 1 or not 0 <= column < len(data.dtype.names):
            raise Refused("what it links to is not one column of a table")
        return time_arrays.values_of(data, data.dtype.names[column]), path
    places = [-1] * data.ndim if index is None else index
    if len(places) != data.ndim or places.count(-1) != 1:
        raise Refused(f"what it links to has the shape {data.shape}, of which {places} is not one run of numbers")
    if any(not 0 <= one < length for one, length in zip(places, data.shape, strict=True) if one != -1):
        raise Refused(f"what it links to has the shape {data.shape}, in which {places} does not lie")
    values = time_arrays.values_of(data, tuple(slice(None) if one == -1 else one for one in places))
    calibration = calibration_of(group)
    return (values if calibration is None else calibration.apply(values, None)), path

"""Tables of an NWB file: sorted units, events and epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_tree
from storage.ingest.found import Found, FoundArray, FoundObject, Refusal

SEGMENT = {"segment": "/"}
MAX_INTERVALS = 100
"""Observation intervals of a unit that are told in its annotations."""


def times_of(found: Found, timestamps: h5py.Dataset, *, later: bool = False) -> str:
    """Add timestamps, once for all that link to them; raises Refused unless they are sorted, or checked later."""
    path, (fault,) = found.describe_times(timestamps, later=later)
    if fault is not None:
        raise Refused(fault)
    return found.whole(path, path.lstrip("/"), "s")


def add_events(found: Found, group: h5py.Group, labels: str) -> None:
    """Add a series of annotations as an eventarray; ``labels`` is its described dataset."""
    timestamps = nwb_tree.dataset_in(group, "timestamps")
    if timestamps is None:
        raise Refused("it holds text but no timestamps")
    times = times_of(found, timestamps, later=True)
    n_labels = found.datasets[labels].shape
    if n_labels != (found.arrays[times].n_samples,):
        raise Refused(f"it has labels of the shape {n_labels} for {found.arrays[times].n_samples} timestamps")
    annotations = {
        "nwb_path": nwb_tree.path_of(group),
        **nwb_tree.texts(group, "neurodata_type", "description", "comments"),
    }
    arrays = {"labels": found.whole(labels, labels.lstrip("/"), None), "times": times}
    found.objects.append(
        FoundObject("eventarray", nwb_tree.path_of(group), {"annotations": annotations}, SEGMENT, arrays)
    )


def add_epochs(found: Found, group: h5py.Group) -> None:
    """Add a table of intervals as an epocharray: labelled by its tags, else by its row numbers."""
    start, stop = nwb_tree.dataset_in(group, "start_time"), nwb_tree.dataset_in(group, "stop_time")
    if start is None or stop is None or start.shape != stop.shape:
        raise Refused("its start_time and stop_time are not one column each of one length")
    times = times_of(found, start)
    durations = np.asarray(stop[()] - start[()], np.float64)
    labels = np.array([label.encode() for label in _labels(group, len(durations))] or [b""], "S")[: len(durations)]
    made = {"durations": (durations, "s"), "labels": (labels, None)}
    arrays = {"times": times}
    for field, (values, units) in made.items():
        path = found.make(f"{nwb_tree.path_of(group)}#{field}", values)
        arrays[field] = found.whole(path, path.lstrip("/"), units)
    annotations = {"nwb_path": nwb_tree.path_of(group), **nwb_tree.texts(group, "neurodata_type", "description")}
    found.objects.append(
        FoundObject("epocharray", nwb_tree.path_of(group), {"annotations": annotations}, SEGMENT, arrays)
    )


def _labels(group: h5py.Group, n_rows: int) -> list[str]:
    tags = nwb_tree.dataset_in(group, "tags")
    if tags is not None:
        ends = _ends(group, "tags", len(tags))
        if ends is not None and len(ends) == n_rows:
            words = [str(attributes.plain(word)) for word in tags[()]]
            starts = [0, *ends[:-1].tolist()]
            return [", ".join(words[first:last]) for first, last in zip(starts, ends.tolist(), strict=True)]
    return [str(row) for row in range(n_rows)]


@dataclass(frozen=True, slots=True)
class _Units:
    """What the rows of a table of units share."""

    group: h5py.Group
    spike_times: h5py.Dataset
    path: str
    """What the dataset of spike times goes by."""
    columns: dict[str, NDArray[Any]]
    """Plain columns: one value per unit."""
    intervals: tuple[NDArray[np.float64], NDArray[np.int64]] | None
    """Observation intervals of all units, shape (n, 2), and where those of each unit end."""
    has_bounds: bool
    """Whether first and last spikes are told; else whoever checks the order of all widens the windows to hold them."""


def add_units(found: Found, group: h5py.Group) -> None:
    """Add each row of a table of units as a unit and its spike train."""
    spike_times = nwb_tree.dataset_in(group, "spike_times")
    if spike_times is None or spike_times.ndim != 1:
        raise Refused("its spike_times are not one column")
    ends = _ends(group, "spike_times", len(spike_times))
    if ends is None:
        raise Refused("its spike_times have no index")
    path, faults = found.describe_times(spike_times, ends, later=True)
    table = _Units(
        group, spike_times, path, _columns(group, len(ends)), _intervals(group, len(ends)), path in found.blocks
    )
    starts = np.concatenate([[0], ends])[:-1]
    for row, (first, last, fault) in enumerate(zip(starts.tolist(), ends.tolist(), faults, strict=True)):
        if fault is None:
            _add_unit(found, table, row, first, last)
        else:
            found.refusals.append(Refusal(f"{nwb_tree.path_of(group)}[{row}]", fault))


def _add_unit(found: Found, table: _Units, row: int, first: int, last: int) -> None:
    place = f"{nwb_tree.path_of(table.group)}[{row}]"
    told = {key: attributes.plain(values[row]) for key, values in table.columns.items()}
    name = f"unit {told.get('id', row)}"
    annotations = {"nwb_path": place, **{key: value for key, value in told.items() if value is not None}}
    found.objects.append(FoundObject("unit", place, {"name": name, "annotations": annotations}))
    times = found.add_array(
        FoundArray(f"{table.path}[{first}:{last}]", table.path, name, last - first, first_row=first, units="s")
    )
    t_start, t_stop, source = _bounds(table, row, first, last)
    fields = {
        "name": name,
        "t_start": t_start,
        "t_start_units": "s",
        "t_stop": t_stop,
        "t_stop_units": "s",
        "annotations": {"nwb_path": place, **source},
    }
    found.objects.append(FoundObject("spiketrain", place, fields, {**SEGMENT, "unit": place}, {"times": times}))


def _bounds(table: _Units, row: int, first: int, last: int) -> tuple[float, float, dict[str, Any]]:
    """Return between which times a unit was observed, and how that is known."""
    is_known = last > first and table.has_bounds
    spikes = [float(table.spike_times[first]), float(table.spike_times[last - 1])] if is_known else []
    if table.intervals is not None:
        every, ends = table.intervals
        own = every[ends[row - 1] if row else 0 : ends[row]]
        if len(own) and np.isfinite(own).all():
            source = {"t_stop_source": "obs_intervals", "obs_intervals": own[:MAX_INTERVALS].tolist()}
            return min([own.min(), *spikes]), max([own.max(), *spikes]), source
    return min([0.0, *spikes]), max([0.0, *spikes]), {"t_stop_source": "last spike"}


def _ends(group: h5py.Group, column: str, length: int) -> NDArray[np.int64] | None:
    """Return where each row of a ragged column ends; None where it has no index."""
    index = nwb_tree.dataset_in(group, f"{column}_index")
    if index is None:
        return None
    ends = np.atleast_1d(index[()])
    if ends.ndim != 1 or ends.dtype.kind not in "iu":
        raise Refused(f"its {column}_index is not one column of whole numbers")
    ends = ends.astype(np.int64)
    if len(ends) and (ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] > length):
        raise Refused(f"its {column}_index does not rise from 0 to {length}")
    return ends


def _columns(group: h5py.Group, n_rows: int) -> dict[str, NDArray[Any]]:
    """Return the plain columns of a table: one number or text per row."""
    columns = {}
    for name in group:
        if nwb_tree.has(group, f"{name}_index") or name.endswith("_index") or name == "spike_times":
            continue
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        dataset = nwb_tree.dataset_in(group, name)
        is_text = dataset is not None and h5py.check_string_dtype(dataset.dtype) is not None
        if dataset is not None and dataset.shape == (n_rows,) and (is_text or dataset.dtype.kind in "biuf"):
            columns[name] = dataset[()]
    return columns


def _intervals(group: h5py.Group, n_rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    intervals = nwb_tree.dataset_in(group, "obs_intervals")
    if intervals is None or intervals.ndim != 2 or intervals.shape[1] != 2:
        return None
    ends = _ends(group, "obs_intervals", len(intervals))
    return None if ends is None or len(ends) != n_rows else (intervals[()].astype(np.float64), ends)

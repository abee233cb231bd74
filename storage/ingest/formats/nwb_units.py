"""Sorted units of an NWB file and their spike trains, with all that their table tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest import sorted_times
from storage.ingest.formats import attributes, nwb_columns, nwb_events, nwb_tree, nwb_waveforms
from storage.ingest.formats.nwb_columns import Column
from storage.ingest.formats.nwb_electrodes import Electrodes, Region
from storage.ingest.formats.nwb_session import SEGMENT
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.formats.nwb_waveforms import Waveforms
from storage.ingest.found import Found, FoundArray, FoundObject

MAX_INTERVALS = 100
"""Observation intervals of a unit that are told in its annotations."""

OF_TRAINS = ("spike_times", "obs_intervals", "waveforms")
"""Columns that are told of the spike train, not of the unit."""
ARRAYS = ("waveform_mean", "waveform_sd")
"""Columns that are arrays, however short they are."""


@dataclass(frozen=True, slots=True)
class _Units:
    """What the rows of a table of units share."""

    group: h5py.Group
    spike_times: Column | None
    path: str
    """What the dataset of spike times goes by."""
    cells: dict[str, list[Any]]
    """Values of each row, of the columns that are told as annotations."""
    arrays: list[Column]
    """Columns whose rows are datafiles."""
    electrodes: list[Region | None]
    waveforms: Waveforms | None
    intervals: tuple[NDArray[np.float64], NDArray[np.int64]] | None
    """Observation intervals of all units, shape (n, 2), and where those of each unit end."""
    train: dict[str, Any]
    """What is told of all spike trains alike."""
    n_sorted_left: list[int]
    """One number: how many spikes may still be copied because they are not in order."""
    has_bounds: bool
    """Whether first and last spikes are told; else whoever checks the order of all widens the windows to hold them."""


def is_units(group: h5py.Group) -> bool:
    """Whether a typed group is a table of units."""
    return nwb_tree.type_of(group) == "Units" or nwb_tree.has(group, "spike_times")


def add(found: Found, tree: Tree, group: h5py.Group, electrodes: Electrodes) -> None:
    """Add each row of a table of units as a unit and its spike train."""
    path = nwb_tree.path_of(group)
    times, spikes = nwb_tree.dataset_in(group, "spike_times"), None
    if times is not None:
        if times.ndim != 1:
            raise Refused("its spike_times are not one column")
        spikes = nwb_columns.column(group, "spike_times")
        if spikes is None or spikes.ends is None:
            raise Refused("its spike_times have no index")
    elif nwb_tree.has(group, "spike_times"):
        raise Refused("its spike_times are not one column")
    n_rows = len(spikes.ends) if spikes is not None and spikes.ends is not None else nwb_columns.length_of(group)
    if n_rows is None:
        raise Refused("it has neither spike_times nor ids")
    faults: list[str | None] = [None] * n_rows
    described = path
    if spikes is not None and spikes.ends is not None:
        described, faults = found.describe_times(spikes.dataset, spikes.ends, later=True)
    table = _table(found, tree, group, electrodes, n_rows, spikes, described)
    for row, fault in enumerate(faults):
        with found.refusing(f"{path}[{row}]"):
            _add_unit(found, table, row, None if fault is None else _sorted(table, row, fault))


def _table(
    found: Found,
    tree: Tree,
    group: h5py.Group,
    electrodes: Electrodes,
    n_rows: int,
    spikes: Column | None,
    described: str,
) -> _Units:
    """Read what all units share; what of it cannot be told is listed, and does not keep units from being served."""
    path = nwb_tree.path_of(group)
    every = nwb_columns.columns(found, group, n_rows, OF_TRAINS)
    arrays = [one for one in every if one.is_numeric and (one.name in ARRAYS or not one.is_short)]
    cells = nwb_columns.cells(found, tree, path, (one for one in every if one not in arrays))
    waveforms, intervals = None, None
    with found.refusing(f"{path}/waveforms"):
        waveforms = nwb_waveforms.of_units(found, group, n_rows)
    with found.refusing(f"{path}/obs_intervals"):
        intervals = _intervals(group, n_rows)
    column = next((one for one in every if one.name == "electrodes"), None)
    train = {}
    if spikes is not None and "resolution" in spikes.dataset.attrs:
        train["resolution"] = attributes.plain(spikes.dataset.attrs["resolution"])
    if waveforms is not None:
        train |= waveforms.annotations()
    regions = _regions(electrodes, column, n_rows)
    has_bounds = described in found.blocks
    left = [nwb_events.MAX_SORTED]
    return _Units(group, spikes, described, cells, arrays, regions, waveforms, intervals, train, left, has_bounds)


def _regions(electrodes: Electrodes, column: Column | None, n_rows: int) -> list[Region | None]:
    """Return the electrodes of each unit."""
    if column is None or column.dataset.ndim != 1 or column.dataset.dtype.kind not in "iu":
        return [None] * n_rows
    if column.dataset.size > nwb_columns.MAX_VALUES:
        return [None] * n_rows
    reference, rows = column.dataset.attrs.get("table"), column.dataset[()].tolist()
    return [electrodes.of_rows(reference, rows[slice(*column.span(row))]) for row in range(n_rows)]


def _sorted(table: _Units, row: int, fault: str) -> NDArray[np.generic]:
    """Return the spike times of a unit in order; raises Refused where they are no times, or too many to copy."""
    assert table.spike_times is not None
    first, last = table.spike_times.span(row)
    if not fault.startswith(sorted_times.UNSORTED):
        raise Refused(fault)
    if last - first > table.n_sorted_left[0]:
        raise Refused(f"{fault}; there are too many to store a sorted copy")
    table.n_sorted_left[0] -= last - first
    return np.sort(table.spike_times.dataset[first:last])


def _add_unit(found: Found, table: _Units, row: int, in_order: NDArray[np.generic] | None) -> None:
    """Add a unit and its spike train; of one whose spikes are not in order there is a copy of them that is."""
    place = f"{nwb_tree.path_of(table.group)}[{row}]"
    told = {name: rows[row] for name, rows in table.cells.items() if rows[row] is not None}
    name = f"unit {told.get('id', row)}"
    region = table.electrodes[row]
    annotations: dict[str, Any] = {"nwb_path": place, **told}
    noted = {}
    for column in table.arrays:
        with found.refusing(f"{place}/{column.name}"):
            noted[column.name] = _add_array(found, column, row, name)
            units = attributes.text(column.dataset.attrs.get("unit"))
            more = {} if units is None else {"units": units}
            annotations[column.name] = {**more, **nwb_waveforms.sampling(column.dataset)}
    channels = () if region is None or region.channels is None else tuple(dict.fromkeys(region.channels))
    parents = {"recordingchannel": channels} if channels else {}
    found.objects.append(FoundObject("unit", place, {"name": name, "annotations": annotations}, parents, noted=noted))
    if table.spike_times is not None:
        _add_train(found, table, row, name, place, in_order)


def _add_array(found: Found, column: Column, row: int, name: str) -> str:
    """Add the rows of a column that belong to one unit as an array."""
    path = found.describe(column.dataset)
    first, last = column.span(row)
    units = attributes.text(column.dataset.attrs.get("unit"))
    source_path = f"{path}[{first}:{last}]"
    return found.add_array(FoundArray(source_path, path, f"{name} {column.name}", last - first, first, units))


def _add_train(
    found: Found, table: _Units, row: int, name: str, place: str, in_order: NDArray[np.generic] | None
) -> None:
    assert table.spike_times is not None
    first, last = table.spike_times.span(row)
    own = f"{table.path}[{first}:{last}]"
    if in_order is None:
        times = found.add_array(FoundArray(own, table.path, name, last - first, first_row=first, units="s"))
    else:
        times = found.whole(found.make_times(f"{own}#times", in_order), name, "s")
    arrays = {"times": times}
    region = table.electrodes[row]
    if table.waveforms is not None:
        with found.refusing(f"{place}/waveforms"):
            if in_order is not None:
                raise Refused("its spikes are sorted in a copy, and its waveforms are not")
            n_electrodes = 0 if region is None else len(region.rows)
            arrays["waveforms"] = table.waveforms.of_unit(row, last - first, name, n_electrodes)
    channels = {} if region is None or region.names is None else {"channel_names": region.names}
    spikes = _ends(table, first, last) if in_order is None else [float(in_order[0]), float(in_order[-1])]
    t_start, t_stop, source = _bounds(table, row, spikes)
    fields = {
        "name": name,
        "t_start": t_start,
        "t_start_units": "s",
        "t_stop": t_stop,
        "t_stop_units": "s",
        "annotations": {"nwb_path": place, **table.train, **channels, **source},
    }
    found.objects.append(FoundObject("spiketrain", place, fields, {**SEGMENT, "unit": place}, arrays))


def _ends(table: _Units, first: int, last: int) -> list[float]:
    """Return the first and the last of some spike times, if they are looked at now."""
    assert table.spike_times is not None
    times = table.spike_times.dataset
    return [float(times[first]), float(times[last - 1])] if last > first and table.has_bounds else []


def _bounds(table: _Units, row: int, spikes: list[float]) -> tuple[float, float, dict[str, Any]]:
    """Return between which times a unit was observed, and how that is known."""
    if table.intervals is not None:
        every, ends = table.intervals
        own = every[ends[row - 1] if row else 0 : ends[row]]
        if len(own) and np.isfinite(own).all():
            source = {"t_stop_source": "obs_intervals", "obs_intervals": own[:MAX_INTERVALS].tolist()}
            return min([own.min(), *spikes]), max([own.max(), *spikes]), source
    return min([0.0, *spikes]), max([0.0, *spikes]), {"t_stop_source": "last spike"}


def _intervals(group: h5py.Group, n_rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    intervals = nwb_tree.dataset_in(group, "obs_intervals")
    if intervals is None or intervals.ndim != 2 or intervals.shape[1] != 2:
        return None
    ends = nwb_columns.ends_in(group, "obs_intervals", len(intervals))
    return None if ends is None or len(ends) != n_rows else (intervals[()].astype(np.float64), ends)

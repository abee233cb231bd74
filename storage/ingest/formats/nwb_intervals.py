"""Intervals of an NWB file as epochs, and further times of their tables as events."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import nwb_columns, nwb_events, nwb_tree
from storage.ingest.formats.nwb_columns import Column
from storage.ingest.formats.nwb_events import Moments
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.found import Found

MAX_CHANGES = 1 << 22
"""Starts and ends of an IntervalSeries, all of which are read."""


def add_table(found: Found, tree: Tree, group: h5py.Group) -> None:
    """Add a table of intervals as an epocharray, labelled by its tags, else by the ids of its rows.

    Each further column of times is an eventarray with the same labels; all others are annotations, one value a row.
    """
    start, stop = nwb_tree.dataset_in(group, "start_time"), nwb_tree.dataset_in(group, "stop_time")
    if start is None or stop is None or start.ndim != 1 or start.shape != stop.shape:
        raise Refused("its start_time and stop_time are not one column each of one length")
    if len(start) > nwb_events.MAX_SORTED or {start.dtype.kind, stop.dtype.kind} - {*"iuf"}:
        raise Refused("its start_time and stop_time are not numbers, or too many to compute durations of")
    path, n_rows = nwb_tree.path_of(group), len(start)
    leave_out = ("start_time", "stop_time", "tags", "id")
    every = nwb_columns.columns(found, group, n_rows, leave_out)
    times = [one for one in every if _is_times(one)]
    cells = nwb_columns.cells(found, tree, path, (one for one in every if one not in times))
    labels = _labels(tree, group, n_rows)
    durations = stop[()].astype(np.float64) - start[()].astype(np.float64)
    nwb_events.add(found, Moments(path, start, labels, durations, _annotations(group), cells))
    for one in times:
        with found.refusing(f"{path}/{one.name}"):
            _add_times(found, path, one, labels)


def _is_times(column: Column) -> bool:
    is_named = column.name.endswith(("_time", "_times"))
    return is_named and column.dataset.ndim == 1 and column.inner is None and column.dataset.dtype.kind in "iuf"


def _add_times(found: Found, path: str, column: Column, labels: list[str]) -> None:
    """Add a column of times; rows without one have no event."""
    if column.dataset.size > nwb_events.MAX_SORTED:
        raise Refused(f"its {column.dataset.size} times are too many to copy")
    times = column.dataset[()]
    rows = np.arange(len(times))
    if column.ends is not None:
        rows = np.repeat(np.arange(len(column.ends)), np.diff(column.ends, prepend=0))
        times = times[: len(rows)]
    there = np.isfinite(times)
    place = f"{path}/{column.name}"
    told: h5py.Dataset | Any = column.dataset if len(rows) == len(column.dataset) and there.all() else times[there]
    annotations = nwb_tree.texts(column.dataset, "description")
    if not there.all():
        annotations["left_out"] = f"{np.count_nonzero(~there)} of {len(there)} rows, which have no time"
    nwb_events.add(found, Moments(place, told, [labels[row] for row in rows[there].tolist()], annotations=annotations))


def _labels(tree: Tree, group: h5py.Group, n_rows: int) -> list[str]:
    tags = nwb_columns.column(group, "tags", n_rows)
    if tags is None or not tags.is_short:
        return [str(one) for one in nwb_columns.ids_of(group, n_rows)]
    return [", ".join(map(str, row)) if isinstance(row, list) else str(row) for row in tags.rows(tree)]


def add_series(found: Found, group: h5py.Group) -> None:
    """Add a series of starts (k > 0) and ends (−k) of intervals of kind k as an epocharray, labelled by the kind."""
    data, timestamps = nwb_tree.dataset_in(group, "data"), nwb_tree.dataset_in(group, "timestamps")
    if data is None or timestamps is None or data.ndim != 1 or data.shape != timestamps.shape:
        raise Refused("its data and timestamps are not one number each for each start and end")
    if data.dtype.kind not in "iu" or timestamps.dtype.kind not in "iuf" or len(data) > MAX_CHANGES:
        raise Refused(f"its data are not whole numbers, or more than {MAX_CHANGES}")
    changes, times = data[()], timestamps[()].astype(np.float64)
    if not np.isfinite(times).all():
        raise Refused("some of its timestamps are not numbers")
    order = np.argsort(times, kind="stable")
    starts: list[float] = []
    durations: list[float] = []
    labels: list[str] = []
    begun: dict[int, float] = {}
    unpaired = 0
    for change, time in zip(changes[order].tolist(), times[order].tolist(), strict=True):
        if change > 0:
            unpaired += change in begun
            begun[change] = time
        elif change < 0 and -change in begun:
            starts.append(begun.pop(-change))
            durations.append(time - starts[-1])
            labels.append(str(-change))
        else:
            unpaired += change < 0
    unpaired += len(begun)
    annotations, path = _annotations(group), nwb_tree.path_of(group)
    if unpaired:
        annotations["left_out"] = f"{unpaired} starts or ends without the other"
    nwb_events.add(found, Moments(path, np.array(starts), labels, np.array(durations), annotations))


def _annotations(group: h5py.Group) -> dict[str, Any]:
    return {"neurodata_type": nwb_tree.type_of(group), **nwb_tree.texts(group, "description", "comments")}

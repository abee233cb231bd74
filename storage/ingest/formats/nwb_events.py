"""Labelled moments and stretches of time in an NWB file; what is not in order gets a sorted copy beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.hdf5.file import MAX_INLINE_NBYTES
from storage.ingest.formats import attributes, nwb_columns, nwb_tree
from storage.ingest.formats.nwb_session import SEGMENT
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.found import Found, FoundObject, Refusal

MAX_SORTED = MAX_INLINE_NBYTES // 8
"""Moments of which a sorted copy is stored."""

OWN_ANNOTATIONS = frozenset({"data", "timestamps", "timestamp", "duration", "times", "source_idx", "colnames", "id"})


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments as a file tells them: in any order, and not all with a time."""

    place: str
    times: h5py.Dataset | NDArray[Any]
    labels: Sequence[str] | h5py.Dataset
    """One for each moment."""
    durations: NDArray[np.float64] | None = None
    annotations: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """More that is told of each moment."""


def times_in(found: Found, timestamps: h5py.Dataset) -> str:
    """Describe timestamps, once for all that link to them; raises Refused unless they are sorted, or checked later."""
    path, (fault,) = found.describe_times(timestamps, later=True)
    if fault is not None:
        raise Refused(fault)
    return path


def add(found: Found, moments: Moments) -> None:
    """Add moments as an eventarray, or as an epocharray where they have durations."""
    times, order = _sorted(found, moments)
    arrays = {"times": times, "labels": _labels(found, moments, order)}
    if moments.durations is not None:
        arrays["durations"] = _made(found, moments, "durations", _in_order(moments.durations, order), "s")
    told, noted = nwb_columns.parallel(found, moments.place, moments.columns, order)
    annotations = {**told, "nwb_path": moments.place, **moments.annotations}
    type_name = "eventarray" if moments.durations is None else "epocharray"
    found.objects.append(
        FoundObject(type_name, moments.place, {"annotations": annotations}, SEGMENT, arrays, noted=noted)
    )


def _sorted(found: Found, moments: Moments) -> tuple[str, NDArray[np.int64] | None]:
    """Add sorted times, and tell which moments they are of; None where they are all of them, as the file has them."""
    times = moments.times
    is_backward = np.zeros(len(times), bool) if moments.durations is None else moments.durations < 0
    if isinstance(times, h5py.Dataset):
        path, (fault,) = found.describe_times(times)
        if fault is None and not is_backward.any():
            return found.whole(path, path.lstrip("/"), "s"), None
        if len(times) > MAX_SORTED:
            raise Refused(f"{fault or 'some end before they begin'}; there are too many to store a sorted copy")
        times = times[()]
    is_nowhere = ~np.isfinite(times)
    _tell_left_out(found, moments.place, is_nowhere, "have no time")
    _tell_left_out(found, moments.place, is_backward & ~is_nowhere, "end before they begin")
    kept = np.flatnonzero(~is_nowhere & ~is_backward)
    order = kept[np.argsort(times[kept], kind="stable")]
    path = found.make_times(f"{moments.place}#times", times[order])
    return found.whole(path, path.lstrip("/"), "s"), order


def _tell_left_out(found: Found, place: str, rows: NDArray[np.bool_], why: str) -> None:
    if rows.any():
        which = f"{np.count_nonzero(rows)} of its {len(rows)} moments {why}; the first is number {rows.argmax()}"
        found.refusals.append(Refusal(place, f"{which}, counted from 0. The others are served"))


def _labels(found: Found, moments: Moments, order: NDArray[np.int64] | None) -> str:
    labels = moments.labels
    if isinstance(labels, h5py.Dataset):
        if order is None:
            path = found.describe(labels)
            return found.whole(path, path.lstrip("/"), None)
        labels = [str(attributes.plain(one)) for one in labels[()]]
    chosen = labels if order is None else [labels[row] for row in order.tolist()]
    return _made(found, moments, "labels", nwb_columns.as_texts(chosen), None)


def _made(found: Found, moments: Moments, name: str, values: NDArray[Any], units: str | None) -> str:
    path = found.make(f"{moments.place}#{name}", values)
    return found.whole(path, path.lstrip("/"), units)


def _in_order(values: NDArray[Any], order: NDArray[np.int64] | None) -> NDArray[Any]:
    return values if order is None else values[order]


def add_annotations(found: Found, group: h5py.Group, labels: str) -> None:
    """Add a series of text as an eventarray; ``labels`` is its described dataset."""
    timestamps, data = nwb_tree.dataset_in(group, "timestamps"), nwb_tree.dataset_in(group, "data")
    if timestamps is None or data is None:
        raise Refused("it holds text but no timestamps")
    if found.datasets[labels].shape != timestamps.shape:
        raise Refused(f"it has labels of the shape {data.shape} for {timestamps.size} timestamps")
    add(found, Moments(nwb_tree.path_of(group), timestamps, data, annotations=_annotations(group)))


def is_of_events(group: h5py.Group) -> bool:
    """Whether a typed group tells of events by a table, or by timestamps that need no samples."""
    type_name = nwb_tree.type_of(group)
    if nwb_tree.has(group, "event_times") and nwb_tree.has(group, "event_times_index"):
        return True
    if type_name in ("EventDetection", "Clustering"):
        return nwb_tree.has(group, "times")
    if nwb_tree.has(group, "timestamp"):
        return nwb_tree.has(group, "id")
    if not nwb_tree.has(group, "timestamps") or nwb_tree.has(group, "starting_time"):
        return False
    return type_name == "Events" if not nwb_tree.has(group, "data") else _labels_of(group) is not None


def add_events(found: Found, tree: Tree, group: h5py.Group) -> None:
    """Add events of any of these forms."""
    if nwb_tree.has(group, "event_times"):
        _add_annotated(found, tree, group)
    elif nwb_tree.has(group, "timestamp"):
        _add_table(found, tree, group)
    else:
        _add_labelled(found, group)


def _labels_of(group: h5py.Group) -> list[str] | None:
    """Return what the numbers of labelled events mean; None where the series has no such labels."""
    data = nwb_tree.dataset_in(group, "data")
    if data is None or data.ndim != 1 or data.dtype.kind not in "iu":
        return None
    labels = data.attrs["labels"] if "labels" in data.attrs else nwb_tree.dataset_in(group, "data__labels")
    if labels is None:
        return None
    told = np.ravel(labels[()] if isinstance(labels, h5py.Dataset) else labels)
    return [str(attributes.plain(one)) for one in told]


def _add_labelled(found: Found, group: h5py.Group) -> None:
    """Add timestamps whose labels are numbers that stand for text, or all the name of the series."""
    path = nwb_tree.path_of(group)
    times = nwb_tree.dataset_in(group, "timestamps") or nwb_tree.dataset_in(group, "times")
    if times is None or times.ndim != 1:
        raise Refused("its timestamps are not one number each")
    labels, meant = [nwb_tree.name_of(path)] * len(times), _labels_of(group)
    data = nwb_tree.dataset_in(group, "num" if meant is None else "data")  # num: which cluster each spike is of
    if data is not None and data.dtype.kind in "iu":
        numbers = np.ravel(data[()]).tolist()
        if len(numbers) != len(times):
            raise Refused(f"it has {len(numbers)} labels for {len(times)} timestamps")
        labels = [meant[one] if meant is not None and 0 <= one < len(meant) else str(one) for one in numbers]
    add(found, Moments(path, times, labels, annotations=_annotations(group)))


def _add_table(found: Found, tree: Tree, group: h5py.Group) -> None:
    """Add a table with one event in each row."""
    path, times = nwb_tree.path_of(group), nwb_tree.dataset_in(group, "timestamp")
    n_rows = nwb_columns.length_of(group)
    if times is None or n_rows is None or times.shape != (n_rows,):
        raise Refused("its timestamps are not one for each row")
    columns = nwb_columns.columns(found, group, n_rows, leave_out=("id", "timestamp", "duration"))
    cells = nwb_columns.cells(found, tree, path, columns)
    labels = next((cells[name] for name in ("annotation", "label", "event_type") if name in cells), None)
    if labels is None:
        labels = nwb_columns.ids_of(group, n_rows)
    durations = nwb_tree.dataset_in(group, "duration")
    told = None if durations is None or durations.shape != (n_rows,) else durations[()].astype(np.float64)
    if told is not None and not np.isfinite(told).any():
        told = None
    add(found, Moments(path, times, [str(one) for one in labels], told, _annotations(group), cells))


def _add_annotated(found: Found, tree: Tree, group: h5py.Group) -> None:
    """Add each row of a table that has all events of one kind in a row."""
    path, n_rows = nwb_tree.path_of(group), nwb_columns.length_of(group)
    times = nwb_columns.column(group, "event_times", n_rows)
    if n_rows is None or times is None or times.dataset.ndim != 1 or times.dataset.size > MAX_SORTED:
        raise Refused("its event_times are not some for each row, or too many to copy")
    columns = nwb_columns.columns(found, group, n_rows, leave_out=("event_times",))
    cells = nwb_columns.cells(found, tree, path, columns)
    ids = nwb_columns.ids_of(group, n_rows)
    every = times.dataset[()]
    for row in range(n_rows):
        own = every[slice(*times.span(row))]
        told = {name: values[row] for name, values in cells.items()}
        label = str(told.get("label") or ids[row])
        add(found, Moments(f"{path}[{row}]", own, [label] * len(own), annotations={**told, **_annotations(group)}))


def _annotations(group: h5py.Group) -> dict[str, Any]:
    told = nwb_tree.texts(group, "description", "comments", "source_description", "detection_method")
    return {"neurodata_type": nwb_tree.type_of(group), **told}

"""Waveforms of spikes in an NWB file: spikes × channels × samples, where they lie unless their order is another."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_calibration, nwb_columns, nwb_events, nwb_tree
from storage.ingest.formats.nwb_columns import Column
from storage.ingest.formats.nwb_electrodes import Region
from storage.ingest.formats.nwb_session import SEGMENT
from storage.ingest.found import Found, FoundArray, FoundObject

MAX_SPIKES = 1 << 24
"""Spikes of all units of which is told where each one's waveforms end."""
MAX_COPIED_NBYTES = 64 * 1024 * 1024
"""Of all waveforms of a table that lie in another order than they are served in."""


@dataclass(slots=True)
class Waveforms:
    """The column of waveforms of a table of units."""

    found: Found
    column: Column
    units: str
    left_nbytes: int = MAX_COPIED_NBYTES

    def of_unit(self, row: int, n_spikes: int, name: str, n_electrodes: int) -> str:
        """Add the waveforms of one unit; raises Refused where they cannot be told apart, or are not of its spikes."""
        first, last = self.column.span(row)
        n_channels = self._channels_of(row, n_spikes, last - first) or max(1, n_electrodes)
        path = self.found.describe(self.column.dataset)
        told = self.found.datasets[path]
        if len(told.shape) == 3 and told.shape[2] > 1:
            return self._copied(path, first, last, name, None)
        fits = first % n_channels == 0 and told.shape[0] % n_channels == 0
        chunk = told.chunk_shape
        if chunk is not None and chunk[0] % n_channels:
            fits = False
        if not fits:
            return self._copied(path, first, last, name, n_channels)
        chunk_shape = None if chunk is None else (chunk[0] // n_channels, n_channels, chunk[1])
        shape = told.shape[0] // n_channels, n_channels, told.shape[1]
        own = self.found.reshape(path, shape, chunk_shape)
        return self._added(own, f"{own}[{first}:{last}]", name, first // n_channels, n_spikes)

    def _channels_of(self, row: int, n_spikes: int, n_waveforms: int) -> int:
        """Return how many waveforms each spike of a unit has, one for each channel; 0 where it has no spikes."""
        ends, inner = self.column.ends, self.column.inner
        if ends is None or self.column.dataset.ndim not in (2, 3):
            raise Refused("its waveforms are not any number of rows of samples for each unit")
        if inner is None:
            n_events, per_event = n_waveforms, {1}
        else:
            begin = int(ends[row - 1]) if row else 0
            own = inner[begin : int(ends[row])]
            n_events, per_event = len(own), set(np.diff(own, prepend=inner[begin - 1] if begin else 0).tolist())
        if n_events != n_spikes:
            raise Refused(f"it has waveforms of {n_events} spikes, but times of {n_spikes}")
        if len(per_event) > 1 or 0 in per_event:
            raise Refused("its spikes have waveforms of different numbers of channels")
        if self.column.dataset.ndim == 3 and per_event - {1}:
            raise Refused("its spikes have several waveforms of several channels each")
        return per_event.pop() if per_event and n_events else 0

    def _copied(self, path: str, first: int, last: int, name: str, n_channels: int | None) -> str:
        """Copy the waveforms of a unit in the order that they are served in; without a number, channels are last."""
        dataset = self.column.dataset
        nbytes = (last - first) * prod(dataset.shape[1:]) * dataset.dtype.itemsize
        if nbytes > self.left_nbytes:
            raise Refused("its waveforms lie in another order than they are served in, and are too many to copy")
        self.left_nbytes -= nbytes
        rows = dataset[first:last]
        if n_channels is None:
            values = rows.transpose(0, 2, 1)
        else:
            values = rows.reshape(len(rows) // n_channels, n_channels, dataset.shape[1])
        own = self.found.make(f"{path}[{first}:{last}]", values)
        return self._added(own, own, name, 0, len(values))

    def _added(self, dataset: str, source_path: str, name: str, first: int, n_spikes: int) -> str:
        array = FoundArray(source_path, dataset, f"{name} waveforms", n_spikes, first_row=first, units=self.units)
        return self.found.add_array(array)

    def annotations(self) -> dict[str, Any]:
        """Return what is told of how the samples were taken."""
        return sampling(self.column.dataset, "waveforms_")


def of_units(found: Found, group: h5py.Group, n_rows: int) -> Waveforms | None:
    """Return the waveforms of a table of units, if it has any; raises Refused where they cannot be told apart."""
    index = nwb_tree.dataset_in(group, "waveforms_index")
    if index is not None and index.size > MAX_SPIKES:
        raise Refused(f"it has waveforms of {index.size} spikes, more than {MAX_SPIKES}")
    column = nwb_columns.column(group, "waveforms", n_rows)
    if column is None:
        return None
    return Waveforms(found, column, attributes.text(column.dataset.attrs.get("unit")) or "volts")


def sampling(dataset: h5py.Dataset, prefix: str = "") -> dict[str, Any]:
    """Return what a dataset of waveforms says of how its samples were taken."""
    names = ("sampling_rate", "time_before_peak_in_ms")
    told = {f"{prefix}{name}": attributes.plain(dataset.attrs[name]) for name in names if name in dataset.attrs}
    return {name: value for name, value in told.items() if value is not None}


def is_of_events(group: h5py.Group, data: h5py.Dataset) -> bool:
    """Whether a series has a snippet of samples for each of its timestamps."""
    return nwb_tree.type_of(group) == "SpikeEventSeries" and data.ndim in (2, 3) and nwb_tree.has(group, "timestamps")


def add_events(found: Found, group: h5py.Group, data: h5py.Dataset, region: Region | None) -> None:
    """Add a series of snippets as a spike train of no unit, with its waveforms."""
    timestamps = nwb_tree.dataset_in(group, "timestamps")
    if timestamps is None or timestamps.shape != (len(data),):
        raise Refused(f"it has {len(data)} events, but not as many timestamps")
    path = found.describe(data)
    told = found.datasets[path]
    if len(told.shape) == 2:
        chunk = None if told.chunk_shape is None else (told.chunk_shape[0], 1, told.chunk_shape[1])
        path = found.reshape(path, (told.shape[0], 1, told.shape[1]), chunk)
    calibration = nwb_calibration.of_series(group, data)
    if calibration is not None and len(calibration.gain) > 1:
        raise Refused("its channels have conversions of their own, which waveforms cannot have")
    times = nwb_events.times_in(found, timestamps)
    name, own = nwb_tree.name_of(nwb_tree.path_of(group)), nwb_tree.path_of(group)
    units = attributes.text(data.attrs.get("unit"))
    ends = [float(timestamps[0]), float(timestamps[-1])] if len(data) else [0.0, 0.0]
    fields = {
        "name": name,
        "t_start": min(0.0, ends[0]),
        "t_start_units": "s",
        "t_stop": max(0.0, ends[1]),
        "t_stop_units": "s",
        "annotations": {
            "nwb_path": own,
            "neurodata_type": nwb_tree.type_of(group),
            "t_stop_source": "last spike",
            **nwb_tree.texts(group, "description", "comments", "filtering"),
            **({} if region is None else {**region.annotations(), "channel_names": region.names}),
        },
    }
    arrays = {
        "times": found.whole(times, times.lstrip("/"), "s"),
        "waveforms": found.whole(path, f"{name} waveforms", units, calibration=calibration),
    }
    found.objects.append(FoundObject("spiketrain", own, fields, SEGMENT, arrays))

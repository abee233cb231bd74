"""Analog streams of an MCS recording: channels × samples, with a table of channels and one of gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import channels, time_arrays
from storage.ingest.formats.mcs_info import (
    TICK,
    Recording,
    Row,
    calibration_of,
    channel_names,
    dataset_of,
    number_in,
    place_of,
    rows_of,
    unit_of,
)
from storage.ingest.formats.members import dataset_in
from storage.ingest.found import FoundArray
from storage.selection import require_axis

MAX_RUNS = 10_000
"""Stretches between gaps, of one stream."""


@dataclass(frozen=True, slots=True)
class Run:
    """Samples without a gap between them."""

    start_us: int
    first: int
    stop: int


def add_stream(recording: Recording, stream: h5py.Group) -> None:
    """Add an analog stream: a signal for each stretch without a gap, or one per channel where units differ."""
    data = dataset_of(stream, "ChannelData")
    path = recording.found.describe(data)
    shape = recording.found.datasets[path].shape
    rows = _of_each_row(rows_of(stream, "InfoChannel", "RowIndex"), shape)
    ticks = {number_in(row, "Tick") for row in rows}
    if len(ticks) != 1:
        raise Refused(f"its channels have several sampling intervals: {sorted(ticks)[:5]} µs")
    (tick,) = ticks
    annotations, names = place_of(stream), channel_names(rows)
    group = str(annotations["mcs_path"])
    name = str(annotations.get("Label") or group.rpartition("/")[2])
    about = [{key: value for key, value in row.items() if value not in (None, "")} for row in rows]
    channels.add_group(recording.found, group, "/", {"name": name, "annotations": annotations}, names, about)
    runs, calibration = _runs(recording, stream, shape[1], tick), calibration_of(rows)
    for run in runs:
        axis: dict[str, Any] = {"t_start": float(run.start_us), "t_start_units": TICK.unit}
        axis |= {"sampling_rate": TICK.rate_hz(tick), "sampling_rate_units": "Hz"}
        require_axis(axis["sampling_rate"], axis["t_start"])
        array = FoundArray(
            path if len(runs) == 1 else f"{path}[{run.first}:{run.stop}]",
            path,
            name,
            n_samples=run.stop - run.first,
            first_row=run.first,
            calibration=calibration,
            channel_names=names,
            is_transposed=True,
        )
        fields = {**axis, "annotations": annotations}
        channels.add_signal(recording.found, array, [unit_of(row) for row in rows], fields, recording.parents, group)


def _of_each_row(rows: list[Row], shape: tuple[int, ...]) -> list[Row]:
    """Return what is told of each row of the data."""
    if len(shape) != 2:
        raise Refused(f"its ChannelData have the shape {shape}, not channels × samples")
    if [number_in(row, "RowIndex") for row in rows] != list(range(shape[0])):
        raise Refused(f"its table of {len(rows)} channels does not tell of each of {shape[0]} rows once")
    return rows


def _runs(recording: Recording, stream: h5py.Group, n_samples: int, tick: int) -> list[Run]:
    """Return the stretches between gaps, of which a table tells first time, first and last sample."""
    table = dataset_in(stream, "ChannelDataTimeStamps")
    if table is None:
        return [Run(round(recording.start), 0, n_samples)]
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind not in "iu" or table.shape[0] > MAX_RUNS:
        raise Refused(f"its ChannelDataTimeStamps have the shape {table.shape} and the type {table.dtype}")
    runs: list[Run] = []
    for start, first, last in np.asarray(time_arrays.values_of(table)).tolist():
        before = runs[-1] if runs else None
        if not (0 if before is None else before.stop) <= first <= last < n_samples:
            raise Refused(f"its ChannelDataTimeStamps tell of samples {first} to {last} of {n_samples}")
        if before is not None and first == before.stop and start == before.start_us + tick * (first - before.first):
            runs[-1] = Run(before.start_us, before.first, last + 1)
        else:
            runs.append(Run(start, first, last + 1))
    return runs

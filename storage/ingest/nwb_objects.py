"""The parts of a Neurodata Without Borders (NWB) file in writing: typed objects, tables, time series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid5

import h5py
import numpy as np
from numpy.typing import NDArray

STRING = h5py.string_dtype()
COMMON_TYPES = {"DynamicTable", "DynamicTableRegion", "ElementIdentifiers", "VectorData", "VectorIndex"}
"""Types of the namespace hdmf-common; all others are of the namespace core."""
GZIP_LEVEL = 4


def mark(obj: h5py.Group | h5py.Dataset, neurodata_type: str, **attributes: Any) -> None:
    """Say which type an object is; its id follows from its name and the id of the file's root."""
    object_id = uuid5(UUID(obj.file.attrs["object_id"]), obj.name)
    obj.attrs["namespace"] = "hdmf-common" if neurodata_type in COMMON_TYPES else "core"
    obj.attrs["neurodata_type"] = neurodata_type
    obj.attrs["object_id"] = str(object_id)
    obj.attrs.update(attributes)


def mark_root(file: h5py.File, object_id: str, nwb_version: str) -> None:
    """Say that this is an NWB file, before anything is added to it."""
    root = {
        "namespace": "core",
        "neurodata_type": "NWBFile",
        "nwb_version": nwb_version,
        "object_id": object_id,
    }
    file.attrs.update(root)


def add_group(parent: h5py.Group, name: str, neurodata_type: str, **attributes: Any) -> h5py.Group:
    """Add an object that is a group."""
    group = parent.create_group(name)
    mark(group, neurodata_type, **attributes)
    return group


def strings(values: Iterable[str]) -> NDArray[np.object_]:
    """Return text that h5py stores with variable length."""
    return np.array(list(values), STRING)


def add_table(parent: h5py.Group, name: str, neurodata_type: str, description: str, n_rows: int) -> h5py.Group:
    """Add a table without columns; rows are numbered from 0."""
    table = add_group(parent, name, neurodata_type, description=description, colnames=strings([]))
    ids = table.create_dataset("id", data=np.arange(n_rows))
    mark(ids, "ElementIdentifiers")
    return table


def add_column(
    table: h5py.Group, name: str, description: str, values: NDArray[Any], neurodata_type: str = "VectorData"
) -> h5py.Dataset:
    """Add a column with one value per row."""
    column = table.create_dataset(name, data=values)
    mark(column, neurodata_type, description=description)
    table.attrs["colnames"] = strings([*table.attrs["colnames"], name])
    return column


def add_ragged_column(
    table: h5py.Group,
    name: str,
    description: str,
    rows: Sequence[NDArray[Any]],
    neurodata_type: str = "VectorData",
) -> h5py.Dataset:
    """Add a column with any number of values per row, and where each row ends in it."""
    column = add_column(table, name, description, np.concatenate(rows), neurodata_type)
    ends = np.cumsum([len(row) for row in rows]).astype(np.uint32)
    index = table.create_dataset(f"{name}_index", data=ends)
    mark(index, "VectorIndex", description=f"Where the rows of {name!r} end.", target=column.ref)
    return column


def add_ragged_region(
    table: h5py.Group, name: str, description: str, rows: Sequence[NDArray[Any]], target: h5py.Group
) -> None:
    """Add a column that names any number of rows of another table per row."""
    column = add_ragged_column(table, name, description, rows, "DynamicTableRegion")
    column.attrs["table"] = target.ref


def add_region(series: h5py.Group, table: h5py.Group, rows: Iterable[int]) -> None:
    """Say which electrodes the channels of a series come from."""
    region = series.create_dataset("electrodes", data=np.array(list(rows)))
    mark(region, "DynamicTableRegion", description="One electrode per channel.", table=table.ref)


def add_series(parent: h5py.Group, name: str, neurodata_type: str, description: str) -> h5py.Group:
    """Add a time series that has neither samples nor times."""
    return add_group(parent, name, neurodata_type, description=description, comments="Simulated.")


def add_samples(
    series: h5py.Group,
    shape: tuple[int, ...],
    dtype: type,
    chunks: tuple[int, ...],
    unit: str,
    conversion: float = 1.0,
) -> h5py.Dataset:
    """Add the compressed dataset of a series, unwritten."""
    data = _compressed(series, "data", shape, dtype, chunks)
    describe_samples(data, unit, conversion)
    return data


def describe_samples(data: h5py.Dataset, unit: str, conversion: float = 1.0) -> None:
    """Say how stored values become units; a resolution of -1 means that it is not known."""
    data.attrs.update(unit=unit, conversion=conversion, offset=0.0, resolution=-1.0)


def add_timestamps(series: h5py.Group, times: NDArray[np.float64], chunks: tuple[int, ...]) -> None:
    """Add the time of each sample."""
    dataset = _compressed(series, "timestamps", times.shape, np.float64, chunks)
    dataset[...] = times
    dataset.attrs.update(unit="seconds", interval=np.int32(1))


def add_rate(series: h5py.Group, sampling_rate_hz: float) -> None:
    """Say that the samples are regular, from the start of the session on."""
    start = series.create_dataset("starting_time", data=0.0)
    start.attrs.update(unit="seconds", rate=float(sampling_rate_hz))


def _compressed(
    group: h5py.Group, name: str, shape: tuple[int, ...], dtype: type, chunks: tuple[int, ...]
) -> h5py.Dataset:
    """Add an unwritten dataset, in chunks that are no larger than it."""
    fitting = tuple(max(1, min(chunk, length)) for chunk, length in zip(chunks, shape, strict=True))
    return group.create_dataset(
        name, shape, dtype, chunks=fitting, compression="gzip", compression_opts=GZIP_LEVEL, shuffle=True
    )

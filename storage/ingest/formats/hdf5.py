"""Plain HDF5: one array in the root, or what a mapping file tells of; what the file does not say, the caller does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats import attributes, mapped
from storage.ingest.found import Found, FoundObject
from storage.progress import DatasetProgress, untold
from storage.selection import require_axis
from storage.units import hertz, seconds

Quantity = tuple[float, str]


@dataclass(frozen=True, slots=True)
class PlainOptions:
    """What is told about arrays in plain HDF5 files.

    Attributes of the same names in the file count where nothing is told.
    """

    sampling_rate: Quantity | None = None
    t_start: Quantity | None = None
    units: str | None = None
    mapping: Mapping[str, Any] | None = None
    """A mapping file, as JSON: what each array is. An empty one is none, whatever was told before."""


def inspect(file: h5py.File, name: str, options: PlainOptions, progress: DatasetProgress = untold) -> Found:
    """Find what a mapping file tells of, or, without one, the one array in the root of a file, as a signal.

    Parameters
    ----------
    file : h5py.File
    name : str
        What the signal, or the Block, will be called.
    options : PlainOptions
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.
    """
    if options.mapping:
        defaults = mapped.Defaults(options.sampling_rate, options.t_start, options.units)
        return mapped.inspect(file, name, options.mapping, defaults, progress)
    found = Found(progress=progress)
    with found.refusing("/"):
        _add_signal(found, _only_dataset(file), name, options)
    return found


def _only_dataset(file: h5py.File) -> h5py.Dataset:
    """Return the one array in the root, following no link out of the file."""
    here = [key for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink)]
    datasets = [found for found in map(file.get, here) if isinstance(found, h5py.Dataset)]
    if len(datasets) != 1 or len(here) != 1:
        n_groups = len(here) - len(datasets)
        raise Refused(
            f"it is neither NWB nor an HDF5 file with one array in the root: "
            f"there are {len(datasets)} arrays and {n_groups} groups; a mapping file can tell what they are (--map)"
        )
    return datasets[0]


def _add_signal(found: Found, dataset: h5py.Dataset, name: str, options: PlainOptions) -> None:
    path = found.describe(dataset)
    description = found.datasets[path]
    if description.dtype.kind == "S" or len(description.shape) > 2:
        raise Refused(f"its array has the type {description.dtype} and the shape {description.shape}: not a signal")
    rate = options.sampling_rate or _attributes(dataset, "sampling_rate")
    if rate is None:
        raise Refused('its sampling rate is not known; tell it by flask register --sampling-rate "20000 Hz"')
    t_start = options.t_start or _attributes(dataset, "t_start") or (0.0, "s")
    units = options.units or attributes.text(dataset.attrs.get("units"))
    require_axis(rate[0], t_start[0])
    hertz(rate[1])
    seconds(t_start[1])
    signal = found.whole(path, name, units)
    fields: dict[str, Any] = {"name": name, "annotations": {"hdf5_path": path}}
    fields["sampling_rate"], fields["sampling_rate_units"] = rate
    fields["t_start"], fields["t_start_units"] = t_start
    type_name = "analogsignal" if len(description.shape) == 1 else "analogsignalarray"
    found.objects.append(FoundObject(type_name, path, fields, arrays={"signal": signal}))


def _attributes(dataset: h5py.Dataset, name: str) -> Quantity | None:
    """Return a quantity that the dataset's own attributes tell, as this service writes them."""
    value, unit = dataset.attrs.get(name), attributes.text(dataset.attrs.get(f"{name}_units"))
    return None if value is None or unit is None else (attributes.number(value, name), unit)

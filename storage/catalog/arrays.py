"""From rows of the catalog to what can be read: arrays, and the axes they lie on."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from storage.answer import StoredArray
from storage.calibration import from_json
from storage.catalog.files import CHECKING_ORDER, MISSING, Datafile
from storage.catalog.models import NeoObject, Spike
from storage.catalog.uses import Use
from storage.errors import FileDamaged, Missing, SelectionError
from storage.hdf5.chunk_index import ChunkIndex, grid_of
from storage.hdf5.filters import Filter
from storage.hdf5.layout import Chunked, Contiguous, Dataset
from storage.overviews.form import StoredOverview
from storage.reader import Reader
from storage.selection import RegularAxis, TimeAxis
from storage.times import BLOCK_ROWS, IrregularAxis, TimeBlocks
from storage.timings import Timings
from storage.units import decimal, hertz, seconds

KNOWN = 1024
"""Arrays and axes that a process keeps: making one takes longer than using it."""


def stored_array(datafile: Datafile) -> StoredArray:
    """Return how to read a datafile."""
    offsets = datafile.sidecar_offsets or {}
    inline = "values" in offsets
    dataset = Dataset(
        file=datafile.sidecar if inline and datafile.sidecar else datafile.stored_in.name,
        pin=None if inline else datafile.stored_in.pin,
        dtype=np.dtype(datafile.dtype),
        shape=tuple(datafile.dataset_shape),
        layout=Contiguous(offsets["values"]) if inline else _layout(datafile),
        fill=bytes.fromhex(datafile.fill),
        is_transposed=bool(datafile.is_transposed),
    )
    return StoredArray(
        dataset=dataset,
        first_row=datafile.first_row,
        n_samples=datafile.n_samples,
        column=datafile.column,
        columns=None if datafile.columns is None else (datafile.columns[0], datafile.columns[1]),
        calibration=from_json(datafile.calibration),
        overview=_overview(datafile),
    )


def _overview(datafile: Datafile) -> StoredOverview | None:
    if datafile.overview is None or datafile.overview_form is None:
        return None
    return StoredOverview.from_json(datafile.overview, datafile.overview_form)


known_array = lru_cache(maxsize=KNOWN)(stored_array)
"""``stored_array`` of a row that is shared between requests, and so never changed."""


def axis_of(owner: NeoObject | Use, reader: Reader, timings: Timings) -> TimeAxis:
    """Return the time axis that all arrays of an object lie on.

    Raises
    ------
    SelectionError
        If an object of this type has no array, or one that is not sliced.
    """
    if not owner.array_fields or owner.type_name == Spike.type_name:
        what = "has no array" if not owner.array_fields else "has one short waveform, which is not sliced"
        raise SelectionError(f"a {owner.type_name} {what}")
    return regular_axis(owner) if owner.time_field is None else _irregular(owner, reader, timings)


def regular_axis(owner: Any) -> RegularAxis:
    """Return the axis of an object with a sampling rate."""
    n_samples = owner.signal.n_samples if owner.signal else 0
    return _regular(owner.t_start, owner.t_start_units, owner.sampling_rate, owner.sampling_rate_units, n_samples)


@lru_cache(maxsize=KNOWN)
def _regular(t_start: float, time_unit: str, rate: float, rate_unit: str, n_samples: int) -> RegularAxis:
    per_unit = decimal(rate) * hertz(rate_unit) * seconds(time_unit)
    if per_unit <= 0:
        raise FileDamaged(f"the catalog says that the sampling rate is {rate}; registering its file again may mend it")
    return RegularAxis(t_start=decimal(t_start), sampling_rate=per_unit, n_samples=n_samples, unit=time_unit)


def _irregular(owner: Any, reader: Reader, timings: Timings) -> IrregularAxis:
    datafile = owner.times
    require_there(datafile)
    array_unit = datafile.units or "s"
    unit = getattr(owner, "t_start_units", None) or array_unit
    return IrregularAxis(
        reader=reader,
        times=stored_array(datafile),
        blocks=_time_blocks(datafile),
        unit=unit,
        per_unit=Fraction(seconds(unit), seconds(array_unit)),
        timings=timings,
        is_ordered=datafile.state != CHECKING_ORDER,
    )


def require_there(datafile: Datafile) -> None:
    """Raise Missing where the file of an array is known not to be where it was."""
    if datafile.state == MISSING:
        raise Missing(f"{datafile.name} cannot be read: {datafile.reason}", datafile.file.name)


def _time_blocks(datafile: Datafile) -> TimeBlocks:
    rows = datafile.chunk_shape[0] if datafile.chunk_shape else BLOCK_ROWS
    offsets = datafile.sidecar_offsets or {}
    n_blocks = -(-datafile.dataset_shape[0] // rows)
    return TimeBlocks(datafile.sidecar or "", offsets.get("blocks", 0), n_blocks, rows)


def _layout(datafile: Datafile) -> Contiguous | Chunked:
    if datafile.chunk_shape is None:
        return Contiguous(datafile.byte_offset)
    assert datafile.sidecar is not None and datafile.sidecar_offsets is not None
    chunk_shape = tuple(datafile.chunk_shape)
    n_rows = int(np.prod(grid_of(tuple(datafile.dataset_shape), chunk_shape)))
    filters = tuple(Filter(number, tuple(values)) for number, values in datafile.filters or ())
    return Chunked(
        chunk_shape, filters, ChunkIndex(datafile.sidecar, datafile.sidecar_offsets.get("chunks", 0), n_rows)
    )

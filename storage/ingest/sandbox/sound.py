"""What must be true of what was found, whoever says it: asked by the child, and again by the parent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.calibration import AnyCalibration, Polynomial
from storage.errors import Refused
from storage.hdf5.chunk_index import MISSING, grid_of
from storage.hdf5.file import Description
from storage.hdf5.filters import GROWS_TO_AT_MOST, UnknownFilter, require_known
from storage.hdf5.packed_index import ROW
from storage.ingest import sorted_times
from storage.ingest.found import CONTROL, Found, FoundArray
from storage.ingest.sandbox.limits import Limits
from storage.selection import require_axis
from storage.times import BLOCK_ROWS
from storage.units import hertz, seconds

CONTROL_BUT_LINES = re.compile(CONTROL.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b\x0c\x0e-\x1f"))
"""What cannot be printed, but for tab and the ends of lines, which prose may have."""
FILTER_VALUES = 256
MAX_INDEX = 2**31
"""Of an object among others of its kind."""


def require_name(text: str, what: str, limits: Limits) -> None:
    """Raise Refused unless a name can be shown on one line, and kept."""
    if len(text.encode("utf-8", "surrogatepass")) > limits.path_nbytes:
        raise Refused(f"its {what} has more than {limits.path_nbytes} bytes")
    if CONTROL.search(text):
        raise Refused(f"its {what} has characters that cannot be printed")


def require_dataset(told: Description, file_nbytes: int, limits: Limits) -> None:
    """Raise Refused unless a dataset can lie in a file of this length, and be read within limits."""
    _require_form(told, limits)
    nbytes = prod(told.shape) * told.dtype.itemsize
    if told.values is None and nbytes > limits.unbacked_nbytes + limits.grows_to * file_nbytes:
        raise Refused(f"it tells of {nbytes} bytes of samples, which a file of {file_nbytes} bytes cannot hold")
    n_forms = (told.values is not None) + (told.chunk_shape is not None) + (told.byte_offset is not None)
    if n_forms > 1 or (told.chunks is None) != (told.chunk_shape is None):
        raise Refused("it is told to be stored in several ways")
    if told.values is not None:
        _require_values(told, told.values, limits)
    elif told.chunk_shape is not None and told.chunks is not None:
        _require_chunks(told, told.chunk_shape, told.chunks, file_nbytes, limits)
    elif told.byte_offset is not None and (told.byte_offset < 0 or told.byte_offset + nbytes > file_nbytes):
        raise Refused(f"its samples reach beyond the end of the file ({file_nbytes} bytes)")
    if told.filters and told.chunk_shape is None:
        raise Refused("it has filters but no chunks")


def _require_form(told: Description, limits: Limits) -> None:
    kind, size = told.dtype.kind, told.dtype.itemsize
    if kind not in "biufS" or told.dtype.hasobject or not 0 < size <= (limits.item_nbytes if kind == "S" else 8):
        raise Refused(f"its type {told.dtype} is neither numbers nor strings of up to {limits.item_nbytes} bytes")
    if not 1 <= len(told.shape) <= limits.axes or any(length < 0 for length in told.shape):
        raise Refused(f"it has {len(told.shape)} axes")
    if max(1, *told.shape) * size > limits.dataset_nbytes or prod(told.shape) * size > limits.dataset_nbytes:
        raise Refused(f"its shape {told.shape} has more than {limits.dataset_nbytes >> 40} TiB of samples")
    if len(told.fill) != size:
        raise Refused("its fill value is not one element")


def _require_cost(told: Description, axis: int, limits: Limits) -> None:
    """Raise Refused where a small file would make reading large: one sample, or the chunks that hold it.

    ``axis`` is that along which the samples lie.
    """
    across, size = _without(told.shape, axis), told.dtype.itemsize
    if len(told.shape) == 2 and across[0] > limits.columns:
        raise Refused(f"it has {across[0]} channels, more than {limits.columns}; samples go down, channels across")
    if prod(across) > limits.row_items:
        raise Refused(f"one of its samples has {prod(across)} numbers, more than {limits.row_items}")
    if prod(across) * size > limits.row_nbytes:
        raise Refused(f"one of its samples has {prod(across) * size} bytes, more than {limits.row_nbytes >> 20} MiB")
    if told.chunk_shape is not None and len(told.chunk_shape) == len(told.shape):
        chunks_across = _without(told.chunk_shape, axis)
        lengths = (chunk * -(-length // chunk) for chunk, length in zip(chunks_across, across, strict=True) if chunk)
        nbytes = min(told.chunk_shape[axis], max(told.shape[axis], 1)) * prod(lengths) * size
        if nbytes > limits.chunk_row_nbytes:
            most = limits.chunk_row_nbytes >> 20
            raise Refused(
                f"the chunks of one of its samples have {nbytes} bytes, more than {most} MiB; make them smaller"
            )


def _without(lengths: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return lengths[:axis] + lengths[axis + 1 :]


def _require_values(told: Description, values: NDArray[np.generic], limits: Limits) -> None:
    if values.dtype != told.dtype or values.shape != told.shape or values.nbytes > limits.inline_nbytes:
        raise Refused("its samples do not have its type and shape, or are too many to copy")


def _require_chunks(
    told: Description, chunk_shape: tuple[int, ...], rows: NDArray[np.void], file_nbytes: int, limits: Limits
) -> None:
    """Check sizes before places: they bound what reading it will take."""
    if len(chunk_shape) != len(told.shape) or any(length < 1 for length in chunk_shape):
        raise Refused(f"its chunks of the shape {chunk_shape} do not fit its shape")
    if len(told.filters) > limits.filters or any(len(step.values) > FILTER_VALUES for step in told.filters):
        raise Refused("it has more filters, or more values of one, than are allowed")
    try:
        require_known(told.filters)
    except UnknownFilter as error:
        raise Refused(f"its {error}") from error
    if rows.dtype != ROW or rows.shape != (prod(grid_of(told.shape, chunk_shape)),):
        raise Refused("its chunk index has not one row for each chunk")
    written = rows[rows["byte_offset"] != MISSING]
    chunk_nbytes = prod(chunk_shape) * told.dtype.itemsize
    if len(written) and chunk_nbytes > limits.chunk_nbytes:  # one that was never written costs nothing
        raise Refused(f"its chunks of {chunk_nbytes} bytes are larger than {limits.chunk_nbytes >> 20} MiB")
    most = max(GROWS_TO_AT_MOST * chunk_nbytes + 4096, chunk_nbytes) if told.filters else chunk_nbytes
    ends = written["byte_offset"] + written["nbytes"]
    if (ends < written["byte_offset"]).any() or (ends > np.uint64(file_nbytes)).any():
        raise Refused(f"its chunk index is damaged: it has chunks beyond the end of the file ({file_nbytes} bytes)")
    if (written["nbytes"] == 0).any() or (written["nbytes"] > most).any():
        raise Refused("its chunk index is damaged: it has chunks that are stored in no, or in too many, bytes")


def require_blocks(told: Description, blocks: NDArray[np.generic]) -> None:
    """Raise Refused unless these can be the first and last values of blocks of times."""
    rows_per_block = told.chunk_shape[0] if told.chunk_shape else BLOCK_ROWS
    if told.dtype.kind not in "iuf" or len(told.shape) != 1:
        raise Refused("its times are not one number each")
    if blocks.dtype != told.dtype or blocks.shape != (-(-told.shape[0] // rows_per_block), 2):
        raise Refused("its times are not told as blocks of rows")


def require_array(array: FoundArray, told: Description, limits: Limits) -> None:
    """Raise Refused unless an array is a part of its dataset, and its numbers have one meaning."""
    require_name(array.source_path, "path", limits)
    require_name(array.name, "name", limits)
    require_name(array.units or "", "unit", limits)
    if array.is_transposed and len(told.shape) != 2:
        raise Refused(f"it has {len(told.shape)} axes, not channels × samples")
    axis = 1 if array.is_transposed else 0
    _require_cost(told, axis, limits)
    if array.first_row < 0 or array.n_samples < 0 or array.first_row + array.n_samples > told.shape[axis]:
        raise Refused("its rows are not all in its dataset")
    n_channels = told.shape[1 - axis] if len(told.shape) == 2 else 1
    if array.columns is not None:
        if len(told.shape) != 2 or not 0 <= array.columns[0] < array.columns[1] <= n_channels:
            raise Refused("its channels are not all in its dataset")
        n_channels = array.columns[1] - array.columns[0]
    if array.column is not None:
        if len(told.shape) != 2 or array.columns is not None or not 0 <= array.column < n_channels:
            raise Refused(f"it is channel {array.column} of {n_channels}")
        n_channels = 1
    if array.calibration is not None:
        _require_calibration(array.calibration, told, n_channels, limits)
    if array.channel_names is not None:
        if len(array.channel_names) != n_channels:
            raise Refused("its channels are not as many as their names")
        for name in array.channel_names:
            require_name(name, "channel's name", limits)


def _require_calibration(told: AnyCalibration, dataset: Description, n_channels: int, limits: Limits) -> None:
    if dataset.dtype.kind not in "biuf":
        raise Refused("its text has a calibration")
    if isinstance(told, Polynomial):
        _require_polynomial(told, n_channels, limits)
    elif len(told.gain) not in (1, n_channels) or not all(map(isfinite, (*told.gain, told.offset))):
        raise Refused("its calibration is not one number, or one for each channel")


def _require_polynomial(told: Polynomial, n_channels: int, limits: Limits) -> None:
    lengths = {len(row) for row in told.coefficients}
    if len(told.coefficients) not in (1, n_channels) or len(told.origin) not in (1, n_channels) or len(lengths) != 1:
        raise Refused("its polynomial is not one, or one for each channel, all of one length")
    (length,) = lengths
    if not 1 <= length <= limits.coefficients or length * len(told.coefficients) > limits.all_coefficients:
        raise Refused(f"its polynomial has {length} coefficients, not 1 to {limits.coefficients}, or too many in all")
    if not all(map(isfinite, (*told.origin, *(number for row in told.coefficients for number in row)))):
        raise Refused("its polynomial has coefficients that are not numbers")


def require_fields(fields: Mapping[str, Any]) -> None:
    """Raise Refused unless the fields of an object can be kept, and times be computed with them."""
    for name, value in fields.items():
        if isinstance(value, float | np.floating) and not isfinite(value):
            raise Refused(f"its {name} is {value}, not a number")
        if isinstance(value, datetime) and value.tzinfo is None:
            raise Refused(f"its {name} is {value}, of no time zone")
        if name.endswith("_units") and value is not None:
            try:
                (hertz if name == "sampling_rate_units" else seconds)(value)
            except ValueError as error:
                raise Refused(f"its {name}: {error}") from error
    if not abs(fields.get("index") or 0) < MAX_INDEX:
        raise Refused(f"its index is {fields['index']}, beyond {MAX_INDEX}")
    require_axis(fields.get("sampling_rate", 1.0), fields.get("t_start", 0.0))


def require_arrays(arrays: Mapping[str, str], found: Found) -> None:
    """Raise Refused unless the arrays of an object, by field, belong together; all of them are among the findings."""
    lengths = {found.arrays[path].n_samples for path in arrays.values()}
    if len(lengths) > 1:
        raise Refused(f"its {' and '.join(arrays)} have several lengths: {', '.join(map(str, sorted(lengths)))}")
    if "waveforms" in arrays and len(found.datasets[found.arrays[arrays["waveforms"]].dataset].shape) != 3:
        raise Refused("its waveforms are not spikes × channels × samples")
    if "times" in arrays:
        dataset = found.arrays[arrays["times"]].dataset
        if dataset not in found.blocks and not _may_be_checked_later(found.datasets[dataset]):
            raise Refused("its times are not told to be sorted")


def _may_be_checked_later(told: Description) -> bool:
    return len(told.shape) == 1 and told.dtype.kind in "iuf" and sorted_times.is_long(told)

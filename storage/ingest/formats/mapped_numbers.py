"""Numbers and names that a mapping file tells of channels, itself or by the path of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.calibration import AnyCalibration, Calibration, Polynomial
from storage.errors import Refused
from storage.ingest.formats import time_arrays
from storage.ingest.formats.mapping import MappedArray, Match


def values_of(match: Match, time_axis: int) -> NDArray[np.generic]:
    """Return the numbers of a dataset with one axis longer than 1, or of one channel of it."""
    data = match.dataset
    if match.part is None:
        if sum(length != 1 for length in data.shape) > 1:
            raise Refused(
                f"{match.path} has the shape {data.shape}; say which of its rows is meant, as in {match.path}[0]"
            )
        return np.ravel(np.asarray(time_arrays.values_of(data)))
    if data.ndim != 2 or match.part >= data.shape[1 - time_axis]:
        raise Refused(f"{match.path} is no part of an array of the shape {data.shape}")
    return time_arrays.values_of(data, (match.part, slice(None)) if time_axis == 1 else (slice(None), match.part))


def channel_names(array: MappedArray, file: h5py.File, words: Sequence[str]) -> list[str] | None:
    """Return the names of channels, in their order; None where none are told."""
    told = array.told.get("channel_names")
    if told is None or isinstance(told, list):
        return told
    labels = time_arrays.labels_of(array.match(file, told, words).dataset)
    return [] if labels is None else [label.decode("utf-8", "replace") for label in labels.tolist()]


def calibration(array: MappedArray, file: h5py.File, words: Sequence[str]) -> AnyCalibration | None:
    """Return how stored numbers become units; None where that is not told, or changes nothing."""
    told = array.told.get("calibration")
    if told is None:
        return None
    numbers = {key: _numbers(array, file, words, key, value) for key, value in told.items()}
    found: AnyCalibration
    if "polynomial" in numbers:
        rows = np.atleast_2d(numbers["polynomial"])
        found = Polynomial(_rows(rows), _row(numbers.get("origin", np.zeros(1))))
    else:
        gain, offset = numbers.get("gain", np.ones(1)).ravel(), numbers.get("offset", np.zeros(1)).ravel()
        if len(offset) == 1:
            found = Calibration(_row(gain), float(offset[0]))
        elif len(gain) in (1, len(offset)):
            found = Polynomial(_rows(np.stack([offset, np.broadcast_to(gain, offset.shape)], axis=1)))
        else:
            raise Refused(f"it is told {len(gain)} gains and {len(offset)} offsets")
    return None if found.is_identity else found


def lengths(calibration: AnyCalibration) -> list[int]:
    """Return for how many channels each part of a calibration is told."""
    if isinstance(calibration, Polynomial):
        return [len(calibration.coefficients), len(calibration.origin)]
    return [len(calibration.gain)]


def _numbers(array: MappedArray, file: h5py.File, words: Sequence[str], key: str, told: Any) -> NDArray[np.float64]:
    if isinstance(told, str):
        match = array.match(file, told, words)
        told = time_arrays.values_of(match.dataset)
        told = told if match.part is None else np.atleast_2d(told)[match.part]
    numbers = np.atleast_1d(np.asarray(told, np.float64))
    if numbers.ndim > 2 or not numbers.size or not np.isfinite(numbers).all():
        raise Refused(f"the {key} of its calibration has the shape {numbers.shape}, or values that are not numbers")
    return numbers


def _row(numbers: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(numbers.ravel().tolist())


def _rows(numbers: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, numbers.tolist()))

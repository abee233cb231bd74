"""Stored numbers as quantities in their unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Told = dict[str, float | list[float] | list[list[float]]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Quantity = stored number · ``gain`` + ``offset``."""

    gain: tuple[float, ...]
    """One for all channels, or one per channel."""
    offset: float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether quantities are the stored numbers."""
        return self.offset == 0 and all(gain == 1 for gain in self.gain)

    @property
    def is_linear(self) -> bool:
        """Whether means and extrema of stored numbers can be calibrated, rather than every sample."""
        return True

    def gains(self, columns: Sequence[int] | None) -> NDArray[np.float64]:
        """Return the gain of each answered channel, or the one gain of all: shape (n,) or (1,)."""
        return _of_columns(np.asarray(self.gain), columns)

    def falls(self, columns: Sequence[int] | None) -> NDArray[np.bool_]:
        """Return for each answered channel, or for all at once, whether larger numbers are smaller quantities."""
        return self.gains(columns) < 0

    def apply(self, numbers: NDArray[Any], columns: Sequence[int] | None) -> NDArray[np.float64]:
        """Return quantities in float64, of the shape of ``numbers``."""
        gains = self.gains(columns)
        quantities: NDArray[np.float64] = numbers * (gains if len(gains) > 1 else gains[0])
        if self.offset:
            quantities += self.offset
        return quantities

    def told(self, columns: Sequence[int] | None) -> Told:
        """Return what whoever reads the stored numbers of these channels has to know."""
        gains = self.gains(columns).tolist()
        return {"gain": gains if len(gains) > 1 else gains[0], "offset": self.offset}

    def as_json(self) -> dict[str, Any]:
        """Return the calibration as a JSON column has it."""
        return {"gain": list(self.gain), "offset": self.offset}


@dataclass(frozen=True, slots=True)
class Polynomial:
    """Quantity = Σ ``coefficients[k]`` · (stored number − ``origin``)ᵏ."""

    coefficients: tuple[tuple[float, ...], ...]
    """One row for all channels or one per channel, all of one length: in ascending power, at least the constant."""
    origin: tuple[float, ...] = (0.0,)
    """One for all channels, or one per channel."""

    @property
    def is_identity(self) -> bool:
        """Whether quantities are the stored numbers."""
        return not any(self.origin) and all(_trimmed(row) == (0.0, 1.0) for row in self.coefficients)

    @property
    def is_linear(self) -> bool:
        """Whether means and extrema of stored numbers can be calibrated, rather than every sample."""
        return all(len(_trimmed(row)) <= 2 for row in self.coefficients)

    def falls(self, columns: Sequence[int] | None) -> NDArray[np.bool_]:
        """Return for each answered channel, or for all at once, whether larger numbers are smaller quantities.

        It means nothing where the polynomial is not linear.
        """
        falls = np.array([row[1] < 0 if len(row) > 1 else False for row in self.coefficients])
        return _of_columns(falls, columns)

    def apply(self, numbers: NDArray[Any], columns: Sequence[int] | None) -> NDArray[np.float64]:
        """Return quantities in float64, of the shape of ``numbers``.

        To the bit what ``numpy.polynomial.polynomial.polyval`` makes of a channel in float64, from which its
        ``origin`` was taken away; but two arrays are enough for it, whatever the degree.
        """
        coefficients = _of_columns(np.asarray(self.coefficients, np.float64), columns).T
        with np.errstate(over="ignore", invalid="ignore"):
            distances = np.subtract(numbers, _of_columns(np.asarray(self.origin), columns), dtype=np.float64)
            quantities: NDArray[np.float64] = distances * 0
            quantities += coefficients[-1]
            for coefficient in coefficients[-2::-1]:
                quantities *= distances
                quantities += coefficient
        return quantities

    def told(self, columns: Sequence[int] | None) -> Told:
        """Return what whoever reads the stored numbers of these channels has to know."""
        rows = _of_columns(np.asarray(self.coefficients, np.float64), columns).tolist()
        origin = _of_columns(np.asarray(self.origin, np.float64), columns).tolist()
        return {
            "polynomial": rows if len(rows) > 1 else rows[0],
            "polynomial_origin": origin if len(origin) > 1 else origin[0],
        }

    def as_json(self) -> dict[str, Any]:
        """Return the calibration as a JSON column has it."""
        return {"coefficients": [list(row) for row in self.coefficients], "origin": list(self.origin)}


AnyCalibration = Calibration | Polynomial
"""What readers need not tell apart."""


def from_json(stored: Mapping[str, Any] | None) -> AnyCalibration | None:
    """Return the calibration that ``as_json`` told."""
    if stored is None:
        return None
    if "coefficients" in stored:
        return Polynomial(tuple(map(tuple, stored["coefficients"])), tuple(stored["origin"]))
    return Calibration(tuple(stored["gain"]), stored["offset"])


def quantity_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of calibrated samples: float32 for integers of up to 16 bits, else float64."""
    return np.dtype("<f4") if stored.kind in "biu" and stored.itemsize <= 2 else np.dtype("<f8")


def mean_dtype(answered: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of means of samples that would be answered in ``answered``."""
    small = answered.itemsize <= (4 if answered.kind == "f" else 2)
    return np.dtype("<f4") if small else np.dtype("<f8")


def _of_columns(every: NDArray[Any], columns: Sequence[int] | None) -> NDArray[Any]:
    """Return the entries of these channels; one entry is that of all of them."""
    return every if columns is None or len(every) == 1 else every[list(columns)]


def _trimmed(row: tuple[float, ...]) -> tuple[float, ...]:
    """Return coefficients without the powers that do nothing."""
    length = len(row)
    while length > 1 and row[length - 1] == 0:
        length -= 1
    return row[:length]

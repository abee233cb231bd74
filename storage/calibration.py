"""Stored numbers as quantities in their unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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

    def gains(self, columns: Sequence[int] | None) -> NDArray[np.float64]:
        """Return the gain of each answered channel, or the one gain of all: shape (n,) or (1,)."""
        gain = np.asarray(self.gain)
        return gain if columns is None or len(gain) == 1 else gain[list(columns)]

    def apply(self, numbers: NDArray[Any], columns: Sequence[int] | None) -> NDArray[np.float64]:
        """Return quantities in float64, of the shape of ``numbers``."""
        gains = self.gains(columns)
        quantities: NDArray[np.float64] = numbers * (gains if len(gains) > 1 else gains[0])
        if self.offset:
            quantities += self.offset
        return quantities


def quantity_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of calibrated samples: float32 for integers of up to 16 bits, else float64."""
    return np.dtype("<f4") if stored.kind in "biu" and stored.itemsize <= 2 else np.dtype("<f8")


def mean_dtype(answered: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of means of samples that would be answered in ``answered``."""
    small = answered.itemsize <= (4 if answered.kind == "f" else 2)
    return np.dtype("<f4") if small else np.dtype("<f8")

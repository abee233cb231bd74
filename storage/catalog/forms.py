"""What the array fields of objects may be: dimensions, numbers or texts, and which unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """What one field takes."""

    n_axes: tuple[int, ...]
    holds: Literal["numbers", "texts"] = "numbers"
    unit: Literal["time", "signal"] | None = "signal"
    is_sorted: bool = False
    """Whether its values are found by searching them."""
    may_have_gaps: bool = True
    """Whether NaN may stand where nothing was measured."""
    may_be_negative: bool = True


SIGNAL = ArrayForm((1,))
SIGNALS = ArrayForm((2,))
UNEVEN_SIGNAL = ArrayForm((1, 2))
WAVEFORM = ArrayForm((2,))
WAVEFORMS = ArrayForm((3,))
TIMES = ArrayForm((1,), unit="time", is_sorted=True, may_have_gaps=False)
DURATIONS = ArrayForm((1,), unit="time", may_have_gaps=False, may_be_negative=False)
LABELS = ArrayForm((1,), holds="texts", unit=None)

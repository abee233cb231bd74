"""Units of time and sampling intervals as files spell them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.units import SECONDS

SPELLED = {
    **{unit: unit for unit in SECONDS},
    **dict.fromkeys(("1/hz", "sec", "second", "seconds"), "s"),
    **dict.fromkeys(("1/khz", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("usec", "microsecond", "microseconds"), "us"),
}
"""Units that the service counts in, by their lower-case spellings."""

OTHERS = {
    "ns": Fraction(1, 10**9),
    "1/ghz": Fraction(1, 10**9),
    "nanosecond": Fraction(1, 10**9),
    "nanoseconds": Fraction(1, 10**9),
    "min": Fraction(60),
    "minute": Fraction(60),
    "minutes": Fraction(60),
    "h": Fraction(3600),
    "hour": Fraction(3600),
    "hours": Fraction(3600),
}
"""Seconds in units that it does not count in."""

DIGITS = 12
"""After the point of a rate, at most."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How the times of a file are told."""

    unit: str
    """Which the service counts in."""
    factor: Fraction = Fraction(1)
    """What a time of the file is multiplied by to be in ``unit``."""

    def time(self, told: float) -> float:
        """Return one time in ``unit``."""
        return told if self.factor == 1 else float(Fraction(told) * self.factor)

    def times(self, told: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return times in ``unit``."""
        return told if self.factor == 1 else told.astype(np.float64) * float(self.factor)

    def rate_hz(self, interval: float) -> float:
        """Return the sampling rate of an interval: of all rates that round to it, the one with the fewest digits."""
        if not isfinite(interval) or interval <= 0:
            raise Refused(f"its sampling interval is {interval}, not a positive number")
        per_unit = next(
            (rate for rate in (round(1 / interval, n_digits) for n_digits in range(DIGITS)) if _fits(rate, interval)),
            1 / interval,
        )
        rate = float(Fraction(repr(per_unit)) / (SECONDS[self.unit] * self.factor)) if isfinite(per_unit) else per_unit
        if not isfinite(rate) or rate <= 0:
            raise Refused(f"its sampling interval is {interval}, of which there is no sampling rate")
        return rate


def clock(unit: str | None) -> Clock | None:
    """Return how times in a unit are told; None where that is no unit of time."""
    spelled = (unit or "").strip()
    if spelled == "1/mHz":  # not the megahertz that their spelling in small letters would be
        return None
    word = spelled.lower().replace(" ", "")
    if word == "1/mhz":
        return Clock("us")
    if word in SPELLED:
        return Clock("us" if SECONDS[SPELLED[word]] == SECONDS["us"] else SPELLED[word])
    return Clock("s", OTHERS[word]) if word in OTHERS else None


def _fits(rate: float, interval: float) -> bool:
    return rate > 0 and 1 / rate == interval

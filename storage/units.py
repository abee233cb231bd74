"""Units of time and rate, exactly; every other unit is only checked and passed on."""

from __future__ import annotations

from fractions import Fraction

SECONDS = {"s": Fraction(1), "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "mcs": Fraction(1, 10**6)}
"""Seconds in one of each time unit, by its lower-case spelling."""

HERTZ = {"hz": Fraction(1), "khz": Fraction(10**3), "mhz": Fraction(10**6), "1/s": Fraction(1)}
"""Hertz in one of each rate unit, by its lower-case spelling."""


def seconds(unit: str) -> Fraction:
    """Return how many seconds one ``unit`` is, in any letter case."""
    return _known(unit, SECONDS, "time")


def hertz(unit: str) -> Fraction:
    """Return how many hertz one ``unit`` is, in any letter case."""
    return _known(unit, HERTZ, "rate")


def decimal(value: float) -> Fraction:
    """Return a stored float as the decimal of its shortest representation: 0.1 is one tenth."""
    return Fraction(repr(float(value)))


def _known(unit: str, table: dict[str, Fraction], kind: str) -> Fraction:
    try:
        return table[unit.strip().lower()]
    except KeyError:
        raise ValueError(f"{unit[:40]!r} is not a {kind} unit; known are {', '.join(table)}") from None

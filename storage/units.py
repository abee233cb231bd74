"""Units of time and rate, exactly; every other unit is only checked and passed on."""

from __future__ import annotations

from fractions import Fraction

SECONDS = {"s": Fraction(1), "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "mcs": Fraction(1, 10**6)}
"""Seconds in one of each time unit, by its lower-case spelling."""

HERTZ = {"hz": Fraction(1), "khz": Fraction(10**3), "mhz": Fraction(10**6), "1/s": Fraction(1)}
"""Hertz in one of each rate unit, by its lower-case spelling."""

VOLTS = ("v", "mv", "uv", "mcv")
"""What signals are mostly told in, by its lower-case spelling."""


def seconds(unit: str) -> Fraction:
    """Return how many seconds one ``unit`` is, in any letter case."""
    return _known(unit, SECONDS, "time")


def hertz(unit: str) -> Fraction:
    """Return how many hertz one ``unit`` is, in any letter case."""
    return _known(unit, HERTZ, "rate")


def decimal(value: float) -> Fraction:
    """Return a stored float as the decimal of its shortest representation: 0.1 is one tenth."""
    return Fraction(repr(float(value)))


def require_unit(text: str) -> str:
    """Return a unit of a signal as it is spelled: of volts in any letter case, or whatever the units library knows."""
    if text.strip().lower() not in VOLTS:
        import pint  # takes 0.3 s, and only registering asks

        try:
            pint.UnitRegistry().parse_units(text)
        except (pint.PintError, ValueError, TypeError, SyntaxError, AttributeError) as error:
            raise ValueError(f"{text[:40]!r} is not a unit; try V, mV, uV, nA or pA") from error
    return text


def _known(unit: str, table: dict[str, Fraction], kind: str) -> Fraction:
    try:
        return table[unit.strip().lower()]
    except KeyError:
        raise ValueError(f"{unit[:40]!r} is not a {kind} unit; known are {', '.join(table)}") from None

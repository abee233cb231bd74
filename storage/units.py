"""Units of time and rate, exactly; every other unit is only checked and passed on."""

from __future__ import annotations

import re
import threading
from fractions import Fraction
from functools import cache, lru_cache
from math import isfinite
from typing import Any

from storage.errors import FileDamaged

MICROSECONDS = ("us", "mcs", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s")
SECONDS = {"s": Fraction(1), "ms": Fraction(1, 10**3), **dict.fromkeys(MICROSECONDS, Fraction(1, 10**6))}
"""Seconds in one of each time unit, by its lower-case spelling."""

HERTZ = {"hz": Fraction(1), "khz": Fraction(10**3), "mhz": Fraction(10**6), "1/s": Fraction(1)}
"""Hertz in one of each rate unit, by its lower-case spelling."""

KNOWN_AS = {"v": "volt", "mv": "millivolt", "uv": "microvolt", "mcv": "microvolt"}
"""What the units library calls those of volts, which it would not take in any letter case."""

MAX_CHARACTERS = 40
FACTOR = r"[^\W\d_]+(?:_[^\W\d_]+)*(?:(?:\^|\*\*)?-?[0-9]{1,2})?"
FORM = re.compile(rf"(?:1\s*/\s*)?(?:%|{FACTOR}(?:(?:\s*[*/·]\s*|\s+){FACTOR})*)")
"""Names with small exponents, multiplied and divided."""

_asking = threading.Lock()


def seconds(unit: str) -> Fraction:
    """Return how many seconds one ``unit`` is, in any letter case."""
    return _known(unit, SECONDS, "time")


def hertz(unit: str) -> Fraction:
    """Return how many hertz one ``unit`` is, in any letter case."""
    return _known(unit, HERTZ, "rate")


def decimal(value: float) -> Fraction:
    """Return a stored float as the decimal of its shortest representation: 0.1 is one tenth.

    Raises
    ------
    FileDamaged
        If it is infinite or no number, as no file is registered now.
    """
    if not isfinite(value):
        raise FileDamaged(f"the catalog says {value} where times need a number; registering its file again may mend it")
    return Fraction(repr(float(value)))


@lru_cache(maxsize=256)
def require_unit(text: str) -> str:
    """Return a unit of a signal as it is spelled: of volts in any letter case, or whatever the units library knows."""
    if text.lower() in KNOWN_AS:
        return text
    # The form comes first: the library would work out m**9**9**9.
    if len(text) > MAX_CHARACTERS or not FORM.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a unit; try V, mV, uV, nA or pA")
    import pint  # takes 0.3 s, and only registering and creating ask

    try:
        with _asking:
            _registry().parse_units(text)
    except (pint.PintError, ValueError, TypeError, SyntaxError, AttributeError) as error:
        raise ValueError(f"{text[:40]!r} is not a unit; try V, mV, uV, nA or pA") from error
    return text


def is_same(unit: str, other: str) -> bool:
    """Whether two spellings mean one unit: of times and volts in any letter case, else as the units library has it."""
    if unit == other:
        return True
    one, two = unit.lower(), other.lower()
    if one in SECONDS and two in SECONDS:
        return SECONDS[one] == SECONDS[two]
    if one in KNOWN_AS and two in KNOWN_AS:
        return KNOWN_AS[one] == KNOWN_AS[two]
    try:
        known = [require_unit(KNOWN_AS.get(one, text)) for one, text in ((one, unit), (two, other))]
        with _asking:
            return bool(_registry().parse_units(known[0]) == _registry().parse_units(known[1]))
    except ValueError:
        return False


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def _known(unit: str, table: dict[str, Fraction], kind: str) -> Fraction:
    try:
        return table[unit.lower()]
    except KeyError:
        raise ValueError(f"{unit[:40]!r} is not a {kind} unit; known are {', '.join(table)}") from None

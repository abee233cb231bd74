"""Numbers from outside: each has a form and a bound before it is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from math import isfinite

MAX_CHARACTERS = 40
MAX_MAGNITUDE = 10**12
MAX_CHANNELS = 100_000

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
CHANNELS = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})?")
QUANTITY = re.compile(rf"\s*(?P<number>(?>{NUMBER.pattern}))\s*(?P<unit>\S+)\s*")
EXACT_FLOAT = 2**53


def number(text: str) -> Fraction:
    """Return a number of a query string, exactly.

    Raises
    ------
    ValueError
        Unless it is ASCII ``[+-]?digits[.digits][e±dd]``, of at most 40 characters, and of a magnitude up
        to 10¹². The form comes first: building a number from ``1e7000000`` would take seconds.
    """
    if len(text) > MAX_CHARACTERS or not NUMBER.fullmatch(text):
        raise ValueError(
            f"{_short(text)} is not a number such as 50, -1.5 or 2e-3 (at most {MAX_CHARACTERS} characters)"
        )
    value = Fraction(text)
    if abs(value) > MAX_MAGNITUDE:
        raise ValueError(f"{text} is out of bounds: at most 1e12 either way")
    return value


def whole_number(text: str, *, at_least: int) -> int:
    """Return a whole number of a query string; raises ValueError below ``at_least``."""
    value = number(text)
    if value.denominator != 1 or value < at_least:
        raise ValueError(f"{text} is not a whole number from {at_least} on")
    return int(value)


def channels(text: str) -> tuple[int, ...]:
    """Return channel numbers in the order written; ``0,3,5-7`` includes 7.

    Raises
    ------
    ValueError
        If it is no such list, names one twice, or more than 100,000.
    """
    numbers: list[int] = []
    for part in text.split(","):
        if not CHANNELS.fullmatch(part):
            raise ValueError(f"{_short(text)} is not a list of channels such as 0,3,5-7")
        first, _, last = part.partition("-")
        run = range(int(first), int(last or first) + 1)
        if not run:
            raise ValueError(f"{part} runs backward")
        if len(numbers) + len(run) > MAX_CHANNELS:
            raise ValueError(f"{_short(text)} names more than {MAX_CHANNELS} channels")
        numbers += run
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{_short(text)} names a channel twice")
    return tuple(numbers)


def written_channels(numbers: Sequence[int]) -> str:
    """Return channels as ``channels`` reads them: three or more in a row as ``5-7``."""
    runs: list[list[int]] = []
    for one in numbers:
        if runs and one == runs[-1][-1] + 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    parts = (f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
    return ",".join(parts)


def quantity(text: str) -> tuple[float, str]:
    """Return a number and its unit, such as ``20000 Hz``; raises ValueError."""
    match = QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{_short(text)} is not a number and a unit such as '20000 Hz'")
    return float(number(match["number"])), match["unit"]


def plain(value: float | None) -> int | float | None:
    """Return a number as documents tell it: integral ones without a point, what is no number as null."""
    if value is None or not isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) <= EXACT_FLOAT else value


def _short(text: str) -> str:
    return repr(text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…")

"""Arrays that are sent as lists: nested evenly, of numbers or of texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.numbers import EXACT_FLOAT
from storage.catalog.forms import ArrayForm

MAX_VALUES = 100_000
MAX_TEXT_NBYTES = 1000
"""Of one label; all take as much as the longest."""
INT64 = -(2**63), 2**63 - 1
MAX_AXES = 3


def array_of(values: list[Any], form: ArrayForm) -> NDArray[np.generic]:
    """Return the array that a list means: int64 where all are integers, else float64; or UTF-8 of one width.

    Raises
    ------
    ValueError
        Saying what about it the field cannot hold.
    """
    shape, flat = _flat(values)
    if len(shape) not in form.n_axes:
        wanted = " or ".join(map(str, form.n_axes))
        raise ValueError(f"has {len(shape)} dimension(s), but this field takes {wanted}")
    found = _texts(flat) if form.holds == "texts" else _numbers(flat, form)
    return found.reshape(shape)


def _flat(values: list[Any]) -> tuple[tuple[int, ...], Sequence[Any]]:
    """Return the shape of nested lists, and all their values in order."""
    shape: list[int] = []
    level: Sequence[Any] = values
    inner: list[Any] = [values]
    while True:
        length = len(inner[0])
        if any(len(one) != length for one in inner):
            raise ValueError("has rows of different lengths")
        shape.append(length)
        if np.prod(shape, dtype=object) > MAX_VALUES:
            raise ValueError(f"has more than {MAX_VALUES:,} values; upload a file to /datafiles/ instead")
        level = list(chain.from_iterable(inner))
        n_lists = sum(isinstance(one, list) for one in level)
        if n_lists == 0:
            break
        if n_lists < len(level):
            raise ValueError("has lists beside values")
        if len(shape) == MAX_AXES:
            raise ValueError(f"has more than {MAX_AXES} dimensions")
        inner = list(level)
    if len(shape) > 1 and not level:
        raise ValueError("has empty rows")
    return tuple(shape), level


def _numbers(flat: Sequence[Any], form: ArrayForm) -> NDArray[np.generic]:
    kinds = {type(one) for one in flat}
    other = kinds - {int, float, type(None)}
    if other:
        odd = next(one for one in flat if type(one) in other)
        raise ValueError(f"has {str(odd)[:40]!r} among its numbers")
    if type(None) in kinds and not form.may_have_gaps:
        raise ValueError("has null among its values, which must all be numbers")
    found = _integers(flat) if kinds == {int} else _floats(flat)
    if not form.may_be_negative and (found < 0).any():
        raise ValueError(f"has negative values, the first at {int(np.argmax(found < 0))}")
    return found


def _integers(flat: Sequence[int]) -> NDArray[Any]:
    if min(flat) < INT64[0] or max(flat) > INT64[1]:
        raise ValueError("has integers of more than 64 bits")
    return np.array(flat, "<i8")


def _floats(flat: Sequence[Any]) -> NDArray[Any]:
    if any(type(one) is int and abs(one) > EXACT_FLOAT for one in flat):
        raise ValueError("has integers beyond 2**53 beside fractions or null; as float64 they would be others")
    return np.array([np.nan if one is None else one for one in flat], "<f8")


def _texts(flat: Sequence[Any]) -> NDArray[np.generic]:
    if not all(type(one) is str for one in flat):
        raise ValueError("has values that are no texts")
    if any("\0" in one for one in flat):
        raise ValueError("has a text with NUL")
    encoded = [one.encode() for one in flat]
    width = max(map(len, encoded), default=0)
    if width > MAX_TEXT_NBYTES:
        raise ValueError(f"has a text of {width} bytes; {MAX_TEXT_NBYTES} are allowed")
    return np.array(encoded, f"S{max(1, width)}")

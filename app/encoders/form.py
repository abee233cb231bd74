"""What every format is given and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from storage.hdf5.dataset import Samples

Attribute = str | int | float | list[str] | list[int] | list[float]


@dataclass(frozen=True, slots=True)
class Form:
    """An answer before its values are read: all that the length of its body depends on."""

    guid: str
    """40 hex digits: the array's global id."""
    shape: tuple[int, ...]
    """At least one axis, samples first."""
    dtype: np.dtype[Any]
    """Little-endian: bool, integers, floats, or bytes of one width that hold UTF-8."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """What else is told of the array, by the names of the contract."""

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a response."""

    media_type: str
    nbytes: int | None
    """Exact length, or None where only the values tell."""
    content: Iterator[bytes]


Encoder = Callable[[Form, Iterator[Samples]], Body]
"""Takes the form and the values, in windows along the first axis; reads none of them before its content is iterated."""

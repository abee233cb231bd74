"""What every format is given and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from storage.hdf5.chunk import Samples

PIECE_VALUES = 65_536
"""Values that are made into text at a time."""

Attribute = str | int | float | list[str] | list[int] | list[float] | list[list[float]]


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
"""Takes the form and the values, in windows along the first axis; reads none before its content is iterated."""


def checked(form: Form, windows: Iterator[Samples]) -> Iterator[Samples]:
    """Yield the windows, of which together there must be just what the form says.

    A body is begun before its values are known to come; one that is not right to its end must not look whole.

    Parameters
    ----------
    form : Form
    windows : iterator of ndarray
        Each of the form's dtype and of its shape but for the first axis.

    Raises
    ------
    RuntimeError
        Before a window that does not fit, before the last rows if more follow, after them if some are missing.
    """
    n_rows = 0
    for window in windows:
        n_rows += len(window)
        if window.dtype != form.dtype or window.shape[1:] != form.shape[1:] or n_rows > form.shape[0]:
            raise RuntimeError(
                f"a window of {window.dtype} {window.shape}, up to row {n_rows}, in an answer of "
                f"{form.dtype} {form.shape}"
            )
        # With the last values a body is whole to whoever counts its bytes: send them when all has gone well.
        if n_rows == form.shape[0] and any(len(extra) for extra in windows):
            raise RuntimeError(f"more rows came than the {n_rows} of an answer")
        yield window
    if n_rows < form.shape[0]:
        raise RuntimeError(f"{n_rows} rows came for an answer of {form.shape[0]}")


def pieces(form: Form, windows: Iterator[Samples]) -> Iterator[Samples]:
    """Yield the checked windows in pieces, as text is several times as long as its values.

    A piece is C-contiguous and has at least one row.
    """
    max_rows = max(1, PIECE_VALUES // max(1, prod(form.shape[1:])))
    for window in checked(form, windows):
        for start in range(0, len(window), max_rows):
            yield np.ascontiguousarray(window[start : start + max_rows])


def texts(strings: Samples) -> Any:
    """Return strings without their padding as lists of str, nested as the array; what is no UTF-8 is replaced."""
    return np.char.decode(strings.astype(np.bytes_, copy=False), "utf-8", "replace").tolist()

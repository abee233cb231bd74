"""Text and numbers in files, in whichever of HDF5's ways they are stored."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.found import storable

MAX_TEXT = 4000
"""Characters of one annotation; what is longer is cut, and says so."""


def text(value: Any) -> str | None:
    """Return text as it is stored in any of HDF5's ways."""
    if isinstance(value, h5py.Dataset):
        value = value[()]
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return storable(value) if isinstance(value, str) else None


def number(value: Any, name: str) -> float:
    """Return one finite number."""
    found = np.asarray(value)
    if found.size != 1 or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise Refused(f"its {name} is {found.tolist()!r}, not a number")
    return float(found.ravel()[0])


def plain(value: Any) -> Any:
    """Return a scalar as JSON has it; None for what JSON cannot say."""
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if isinstance(value, bytes | str):
        found = text(value) or ""
        return found if len(found) <= MAX_TEXT else found[:MAX_TEXT] + " … (cut)"
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return None

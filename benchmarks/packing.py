"""Chunks packed as HDF5's shuffle and deflate pack them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(samples: NDArray[Any]) -> bytes:
    """Return the stored bytes of one chunk."""
    planes = np.ascontiguousarray(samples).view(np.uint8).reshape(-1, samples.itemsize).T
    return zlib.compress(np.ascontiguousarray(planes).tobytes(), 4)

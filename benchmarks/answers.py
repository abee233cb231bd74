"""Samples in the bodies that contestants answer."""

from __future__ import annotations

import io

import h5py
import numpy as np

from benchmarks.service import Samples


def hdf5_samples(body: bytes) -> Samples:
    """Return the one array of an HDF5 file."""
    with h5py.File(io.BytesIO(body)) as file:
        (dataset,) = file.values()
        found: Samples = dataset[()]
        return found


def npy_samples(body: bytes) -> Samples:
    """Return the array of an npy file."""
    found: Samples = np.load(io.BytesIO(body))
    return found

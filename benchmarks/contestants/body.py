"""The answer that the contestants over S3 give: HDF5 with one dataset, as this service does unless asked otherwise."""

from __future__ import annotations

import io
from typing import Any

import h5py
from flask import Response


def hdf5(samples: Any) -> Response:
    """Return samples as an HDF5 file."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["samples"] = samples
    return Response(memory.getvalue(), mimetype="application/x-hdf5")

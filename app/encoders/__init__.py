"""Arrays as bodies of responses, one module per format."""

from __future__ import annotations

from app.encoders import csv, hdf5, json, npy
from app.encoders.form import Encoder

ENCODERS: dict[str, Encoder] = {
    "hdf5": hdf5.encode,
    "json": json.encode,
    "npy": npy.encode,
    "csv": csv.encode,
}
"""By the name that ``format=`` asks for; the first is the default."""

MEDIA_TYPES: dict[str, str] = {
    hdf5.MEDIA_TYPE: "hdf5",
    json.MEDIA_TYPE: "json",
    npy.MEDIA_TYPE: "npy",
    csv.MEDIA_TYPE: "csv",
}
"""By the media type that an ``Accept`` header names: the format it asks for."""

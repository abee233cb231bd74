"""How the stored numbers of an NWB series become quantities."""

from __future__ import annotations

import h5py
import numpy as np

from storage.calibration import Calibration
from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_tree


def of_series(group: h5py.Group, data: h5py.Dataset) -> Calibration | None:
    """Return ``data · conversion · channel_conversion + offset``, None where that changes nothing."""
    conversion = attributes.number(data.attrs.get("conversion", 1.0), "conversion")
    offset = attributes.number(data.attrs.get("offset", 0.0), "offset")
    gains = np.array([conversion])
    if nwb_tree.has(group, "channel_conversion"):
        per_channel = nwb_tree.dataset_in(group, "channel_conversion")
        if per_channel is None or per_channel.dtype.kind not in "iuf":
            raise Refused("its channel_conversion is not one number per channel")
        n_channels = data.shape[1] if data.ndim == 2 else 1
        if per_channel.shape != (n_channels,):
            raise Refused(f"its channel_conversion has the shape {per_channel.shape} for {n_channels} channels")
        gains = conversion * per_channel[()].astype(np.float64)
    if not np.isfinite(gains).all():
        raise Refused("its channel_conversion has values that are not numbers")
    calibration = Calibration(tuple(gains.tolist()), offset)
    return None if calibration.is_identity else calibration

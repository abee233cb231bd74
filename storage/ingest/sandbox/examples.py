"""Small recordings, parsed before the walls are up so that what is imported at first use is there."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

META = """typeThis=nidq
nSavedChans=2
snsMnMaXaDw=0,0,1,1
snsSaveChanSubset=0:1
niSampRate=1000.5
niAiRangeMax=5
fileCreateTime=2020-01-01T00:00:00
fileSizeBytes=8
~snsChanMap=(0,0,1,1,1)(XA0;0:0)(XD0;1:1)
"""
OEBIN: dict[str, Any] = {
    "GUI version": "0.6.7",
    "continuous": [{"folder_name": "a/", "sample_rate": 1000, "channels": [{"channel_name": "CH1", "bit_volts": 0.1}]}],
    "events": [{"folder_name": f"a/{name}/", "sample_rate": 1000} for name in ("TTL", "TEXT")],
}


def flat() -> list[dict[str, bytes]]:
    """Return recordings of flat binary files: content by name, the main file first."""
    numbers = _npy(np.array([5, 6, 8, 9]))
    events = {
        "events/a/TTL/sample_numbers.npy": numbers,
        "events/a/TTL/states.npy": _npy(np.array([1, -1, 2, -2], np.int16)),
        "events/a/TEXT/sample_numbers.npy": numbers,
        "events/a/TEXT/text.npy": _npy(np.array(["a", "ä", "", "b"])),
    }
    clock = {"continuous/a/sample_numbers.npy": numbers, "continuous/a/timestamps.npy": _npy(np.arange(4.0))}
    return [
        {"warm-up.meta": META.encode(), "warm-up.bin": bytes(8)},
        {"structure.oebin": json.dumps(OEBIN).encode(), "continuous/a/continuous.dat": bytes(8), **clock, **events},
    ]


def _npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()

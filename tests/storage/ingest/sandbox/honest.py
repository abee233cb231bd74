"""What an honest process finds in a file, and how the parent takes what any process says."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from storage.calibration import Calibration, Polynomial
from storage.hdf5.chunk_index import MISSING
from storage.hdf5.file import Description
from storage.hdf5.filters import Filter
from storage.hdf5.packed_index import ROW
from storage.ingest.found import Found, FoundArray, FoundObject, Refusal
from storage.ingest.sandbox import findings
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.messages import Channel
from storage.ingest.sandbox.verified import Findings

FILE_NBYTES = 10_000


def honest():
    """Findings of each kind: chunked, contiguous, copied; a signal, times, labels."""
    rows = np.array([(2000, 100, 0), (MISSING, 0, 0), (2100, 50, 1)], ROW)
    signal = Description(
        np.dtype(">i2"), (25, 2), b"\0\1", chunk_shape=(10, 2), filters=(Filter(2, (2,)), Filter(1, (4,))), chunks=rows
    )
    labels = np.array([b"one", b"two"])
    found = Found(refusals=[Refusal("/other", "it is a picture")])
    found.datasets = {
        "/signal": signal,
        "/times": Description(np.dtype("<f8"), (25,), bytes(8), byte_offset=5000),
        "/labels": Description(labels.dtype, (2,), bytes(3), values=labels),
        "/moments": Description(np.dtype("<f8"), (2,), bytes(8), values=np.array([0.5, 1.5])),
        "/waveforms": Description(np.dtype("<f4"), (2, 1, 3), bytes(4), byte_offset=100),
        "/mean": Description(np.dtype("<f4"), (2, 3), bytes(4), byte_offset=200),
    }
    found.datasets["/turned"] = Description(np.dtype("<i2"), (2, 25), bytes(2), byte_offset=7000)
    turned = FoundArray("/turned", "/turned", "turned", 25, channel_names=["left", "right"], is_transposed=True)
    found.blocks = {"/times": np.array([[0.0, 1.0]]), "/moments": np.array([[0.5, 1.5]])}
    calibration = Calibration((1.0, 0.5), 0.25)
    found.arrays = {
        "/signal": FoundArray("/signal", "/signal", "signal", 25, 0, "mV", calibration, ["left", "right"]),
        "/times": FoundArray("/times", "/times", "times", 25, units="s"),
        "/labels": FoundArray("/labels", "/labels", "labels", 2),
        "/moments": FoundArray("/moments", "/moments", "moments", 2, units="s"),
        "/curved": FoundArray(
            "/curved", "/signal", "curved", 25, calibration=Polynomial(((1.0, 2.0, 3.0),), (5.0, 6.0))
        ),
        "/waveforms": FoundArray("/waveforms", "/waveforms", "waveforms", 2, units="V"),
        "/mean": FoundArray("/mean", "/mean", "mean", 2, units="V"),
    }
    found.arrays["/turned"] = replace(turned, calibration=calibration)
    moment = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    annotations = {"a": "ä\nb", "n": 2**63, "x": [1.5, None, {"deep": True}]}
    t_start = {"t_start": 0.0, "t_start_units": "s"}
    found.objects = [
        FoundObject("block", "/", {"name": "b", "filedatetime": moment, "annotations": annotations}),
        FoundObject("segment", "/", {"name": "s", "filedatetime": None, "annotations": {}}, {"block": "/"}),
        FoundObject(
            "analogsignalarray",
            "/signal",
            {"name": "a", **t_start, "sampling_rate": 20.0, "sampling_rate_units": "kHz", "annotations": {}},
            {"segment": "/"},
            {"signal": "/signal"},
        ),
        FoundObject(
            "irsaanalogsignal",
            "/irregular",
            {"name": "i", **t_start, "annotations": {}},
            {"segment": "/"},
            {"signal": "/signal", "times": "/times"},
        ),
        FoundObject(
            "eventarray", "/e", {"annotations": {}}, {"segment": "/"}, {"labels": "/labels", "times": "/moments"}
        ),
        FoundObject(
            "analogsignalarray",
            "/curved",
            {"name": None, **t_start, "sampling_rate": 20.0, "sampling_rate_units": "kHz", "annotations": {}},
            {"segment": "/"},
            {"signal": "/curved"},
        ),
        FoundObject(
            "analogsignalarray",
            "/turned",
            {"name": None, **t_start, "sampling_rate": 20.0, "sampling_rate_units": "kHz", "annotations": {}},
            {"segment": "/"},
            {"signal": "/turned"},
        ),
        FoundObject("recordingchannel", "/c[0]", {"name": "c", "index": 0, "annotations": {}}),
        FoundObject(
            "unit",
            "/u",
            {"name": "u", "annotations": {"quality": "good", "waveform_mean": {"sampling_rate": 3.0}}},
            {"recordingchannel": ("/c[0]",)},
            noted={"waveform_mean": "/mean"},
        ),
        FoundObject(
            "spiketrain",
            "/u",
            {**t_start, "t_stop": 2.0, "t_stop_units": "s", "annotations": {}},
            {"segment": "/", "unit": "/u"},
            {"times": "/moments", "waveforms": "/waveforms"},
        ),
    ]
    return found


def messages(found):
    """What a process sends of findings, as it arrives."""
    here, there = socket.socketpair()
    with here, there:
        findings.send(Channel(here, max_message_nbytes=0, max_nbytes=0), found)
        channel = Channel(there, max_message_nbytes=1 << 20, max_nbytes=1 << 20)
        while "end" not in (message := channel.receive())[0]:
            yield message


def taken(told, limits=None):
    """Return what the parent makes of messages."""
    believed = Findings(FILE_NBYTES, limits or Limits())
    for message, parts in told:
        (kind,) = message.keys() - {"parts"}
        believed.take(kind, message[kind], parts)
    return believed.found


def as_values(found):
    """Findings as values that can be compared."""
    datasets = {
        path: (told.dtype.str, told.shape, told.fill, told.byte_offset, told.chunk_shape, told.filters,
               None if told.chunks is None else told.chunks.tolist(),
               None if told.values is None else told.values.tolist())
        for path, told in found.datasets.items()
    }  # fmt: skip
    blocks = {path: (blocks.dtype.str, blocks.tolist()) for path, blocks in found.blocks.items()}
    return datasets, blocks, found.arrays, found.objects, found.refusals

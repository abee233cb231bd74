"""What is sent to create one object of each type, with its arrays inline."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

TIMES = [0.1, 0.2, 0.2, 0.5, 0.9]
LABELS = ["start", "tone", "löcher", "", "stop"]
REGULAR = {"t_start": {"data": 10, "units": "ms"}, "sampling_rate": {"data": 1.5, "units": "KHz"}}
WINDOW = {"t_start": {"data": 0, "units": "s"}, "t_stop": {"data": 3000.5, "units": "ms"}}


def array(data: Any, units: str | None) -> dict[str, Any]:
    """Return an array field."""
    return {"data": data, "units": units}


BODIES: dict[str, dict[str, Any]] = {
    "block": {
        "name": "a block",
        "filedatetime": "2012-07-26 17:16:07",
        "index": 3,
        "annotations": {"species": "mouse", "n": 1, "is_old": True, "nested": [{"ü": None}, 1.5, 2**63]},
    },
    "segment": {"name": "a segment", "filedatetime": None, "index": None, "safety_level": 2},
    "recordingchannelgroup": {"name": "a group"},
    "recordingchannel": {"name": "a channel", "index": -1},
    "unit": {"name": "a unit"},
    "analogsignal": {"name": "a signal", **REGULAR, "signal": array([1, 2, 2**62], "mV")},
    "analogsignalarray": {**REGULAR, "signal": array([[1.5, None], [3, 4]], "uV")},
    "irsaanalogsignal": {
        "name": "uneven",
        "t_start": {"data": 0.1, "units": "s"},
        "signal": array([[1], [2], [3], [4], [5]], "pA"),
        "times": array(TIMES, "s"),
    },
    "spiketrain": {
        "name": None,
        **WINDOW,
        "times": array(TIMES, "S"),
        "waveforms": array([[[1, 2, 3], [4, 5, 6]]] * 5, "mV"),
    },
    "spike": {
        "time": {"data": 0.5, "units": "s"},
        "sampling_rate": {"data": 20000, "units": "Hz"},
        "left_sweep": {"data": None, "units": None},
        "waveform": array([[1.5, 2], [3, 4]], "mV"),
    },
    "eventarray": {"labels": array(LABELS, None), "times": array([1, 2, 2, 5, 9], "ms")},
    "event": {"label": "tone", "time": {"data": -1.25, "units": "us"}},
    "epocharray": {
        "labels": array(LABELS, None),
        "times": array(TIMES, "s"),
        "durations": array([0, 1, 2, 3, 4], "ms"),
    },
    "epoch": {"label": "tone", "time": {"data": 1, "units": "s"}, "duration": {"data": 0, "units": "ms"}},
}
PARENTS = {
    "segment": ["block"],
    "recordingchannelgroup": ["block"],
    "recordingchannel": ["recordingchannelgroup"],
    "analogsignal": ["segment", "recordingchannel"],
    "analogsignalarray": ["segment", "recordingchannelgroup"],
    "irsaanalogsignal": ["segment", "recordingchannel"],
    "spiketrain": ["segment", "unit"],
    "spike": ["segment", "unit"],
    "eventarray": ["segment"],
    "event": ["segment", "eventarray"],
    "epocharray": ["segment"],
    "epoch": ["segment", "epocharray"],
}
ARRAYS = ("signal", "times", "waveforms", "waveform", "labels", "durations")


def created(client: FlaskClient, type_name: str, **fields: Any) -> dict[str, Any]:
    """Create an object of a type; return its fields."""
    answer = client.post(f"/electrophysiology/{type_name}/", json={**BODIES[type_name], **fields})
    assert answer.status_code == 201, answer.text
    (selected,) = answer.json["selected"]
    found: dict[str, Any] = selected["fields"]
    return found


def faults(client: FlaskClient, address: str, body: Any, status: int = 400) -> dict[str, Any]:
    """Return what is wrong with a body, by field."""
    answer = client.post(address, json=body)
    assert answer.status_code == status, answer.text
    details: dict[str, Any] = answer.json["details"]
    assert all(name in answer.json["message"] for name in details)
    return details


def wrong(client: FlaskClient, type_name: str, **fields: Any) -> dict[str, Any]:
    """Return what is wrong with a body that differs from a right one in these fields, by field."""
    return faults(client, f"/electrophysiology/{type_name}/", {**BODIES[type_name], **fields})

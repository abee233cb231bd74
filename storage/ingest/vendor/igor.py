"""Igor binary waves (``.ibw``), read by igor2 as neo does; a wave is one signal."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from storage.errors import Refused
from storage.ingest.vendor.files import RecordingFiles
from storage.ingest.vendor.telling import Columns, Recording, Run
from storage.units import seconds


def read(files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of one wave: its rows are samples, its columns channels."""
    from igor2 import binarywave

    # It is taken into memory as a whole: igor2 does that too, and asks for as many bytes as a header says.
    content = io.BytesIO(files.read(primary, 0, files.nbytes[primary]))
    wave = binarywave.load(content)["wave"]
    header, samples = wave["wave_header"], np.asarray(wave["wData"])
    if samples.dtype.kind not in "iuf" or not 1 <= samples.ndim <= 2:
        raise Refused(f"it is a wave of the type {samples.dtype} with {samples.ndim} axes, not a signal")
    time_units = _text(
        header["xUnits"] if "xUnits" in header else np.ravel(header["dimUnits"])[: _units_length(header)]
    )
    step = float(header["hsA"] if "hsA" in header else header["sfA"][0])
    start = float(header["hsB"] if "hsB" in header else header["sfB"][0])
    try:
        second = float(seconds(time_units or "s"))
    except ValueError:
        raise Refused(f"its rows are {time_units!r} apart, not a time") from None
    if not step > 0:
        raise Refused(f"its rows are {step:g} {time_units or 's'} apart")
    name = _text(header["bname"]) or recording.name
    units = _text(header["dataUnits"])
    recording.block(None, {"imported_from": "Igor", "read_by": "igor2"})  # its note may name a person
    segment = recording.segment(0, recording.name, {})
    columns = samples.reshape(len(samples), -1)
    n_channels = columns.shape[1]
    recording.expect(columns.size)
    run = Run(
        len(columns),
        start * second,
        _rate(step, second),
        columns.dtype,
        n_channels,
        lambda first, last: columns[first:last],
    )
    names = [f"{name}[{number}]" for number in range(n_channels)]
    recording.signals(segment, run, [Columns(range(n_channels), name, units or None, [1.0] * n_channels, 0.0, names)])


def _rate(step: float, second: float) -> float:
    """Return the rate in hertz, to the digits that a step of samples has."""
    return float(f"{1 / (step * second):.12g}")


def _units_length(header: Any) -> int:
    """Return how many characters the unit of the rows has."""
    shape = np.shape(header["dimUnits"])
    return shape[1] if len(shape) > 1 else 1


def _text(told: Any) -> str:
    """Return text in any of the forms that igor2 has it."""
    if isinstance(told, bytes):
        content = told
    elif isinstance(told, str):
        return told.strip("\0 ")
    else:
        content = b"".join(bytes(one) for one in np.ravel(told))
    content = content.partition(b"\0")[0]
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return content.decode("latin-1").strip()

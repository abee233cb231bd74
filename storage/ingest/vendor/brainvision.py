"""BrainVision: a header (``.vhdr``), samples (``.eeg``) and markers (``.vmrk``), read by their specification.

neo's reader has markers a sample late, changes units, leaves the resolution of floating-point samples out, and
fails where optional parts of the header are missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.vendor.files import RecordingFiles, decoded
from storage.ingest.vendor.telling import Columns, Recording, Run, grouped

MARKERS = "markers stand at their position less one sample, as positions count from 1; neo has them one sample late"
UNITS = "a channel without a unit is in µV, as the format says; other units stand as the file has them"
DATE = re.compile(r"\d{20}", re.ASCII)
NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{0,12})?([eE][+-]?\d{1,2})?", re.ASCII)
MAX_CHANNELS = 10_000
DTYPES = {"INT_16": "<i2", "INT_32": "<i4", "IEEE_FLOAT_32": "<f4", "IEEE_FLOAT_64": "<f8"}

Section = dict[str, str]


def read(files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of a recording: channels of one unit together, markers of one type together."""
    header = _sections(files, files.require(primary))
    common = header.get("common infos", {})
    samples, markers = (_beside(files, primary, common, kind) for kind in ("DataFile", "MarkerFile"))
    channels = _channels(common, header.get("channel infos", {}))
    interval_us = _number(common.get("SamplingInterval"), "sampling interval")
    if interval_us <= 0:
        raise Refused(f"its samples are {interval_us:g} µs apart")
    told = _markers(_sections(files, markers).get("marker infos", {}))
    started = next((_date(parts) for parts in told if parts[0] == "New Segment"), None)
    run = _run(files, samples, common, header.get("binary infos", {}), len(channels), 1e6 / interval_us)
    said = {"imported_from": "BrainVision", "read_by": "the specification", "corrections": [MARKERS, UNITS]}
    recording.block(started, said)
    segment = recording.segment(0, recording.name, {})
    recording.expect(run.n_samples * run.n_channels)
    every = []
    for places in grouped(units for _, units, _ in channels):
        names = [channels[place][0] for place in places]
        units = channels[places[0]][1]
        name = names[0] if len(places) == 1 else f"channels in {units}"
        every.append(Columns(places, name, units, [channels[place][2] for place in places], 0.0, names))
    recording.signals(segment, run, every)
    _tell_markers(recording, segment, told, run)


def _sections(files: RecordingFiles, name: str) -> dict[str, Section]:
    """Return the sections of a header or of markers, with their names in lower case; comments are left out."""
    with files.open(name, "rb") as file:
        lines = decoded(file.read()).splitlines()
    if not lines or "data exchange" not in lines[0].lower():
        raise Refused(f"{name!r} does not begin as a BrainVision file does")
    found: dict[str, Section] = {}
    here: Section = {}
    for line in lines[1:]:
        if line.startswith("["):
            here = found.setdefault(line.strip().strip("[]").lower(), {})
        elif "=" in line and not line.startswith(";"):
            key, _, value = line.partition("=")
            here[key.strip()] = value.strip()
    return found


def _beside(files: RecordingFiles, primary: str, common: Section, kind: str) -> str:
    """Return the name of the file that a header names, or that has its name where all were renamed together."""
    stem = primary.rpartition(".")[0]
    named = common.get(kind, "").replace("$b", stem)
    if not named:
        raise Refused(f"its header has no {kind}")
    renamed = f"{stem}.{named.rpartition('.')[2]}"
    return files.name_of(named) or files.name_of(renamed) or files.require(named)


def _channels(common: Section, told: Section) -> list[tuple[str, str, float]]:
    """Return name, unit and resolution of each channel."""
    number = common.get("NumberOfChannels", "")
    if not number.isdecimal() or not 0 < int(number) <= MAX_CHANNELS:
        raise Refused(f"its header tells of {number[:20]!r} channels")
    found = []
    for place in range(1, int(number) + 1):
        line = told.get(f"Ch{place}", told.get(f"ch{place}"))
        if line is None:
            raise Refused(f"its header does not tell of channel {place}")
        name, _, resolution, units, *_ = [*(part.strip() for part in line.split(",")), "", "", "", ""]
        gain = _number(resolution, f"resolution of channel {place}") if resolution else 1.0
        spelled = units.replace("µ", "u").replace("μ", "u") or "uV"
        found.append((name.replace("\\1", ",") or f"Ch{place}", spelled, gain))
    return found


def _run(files: RecordingFiles, name: str, common: Section, binary: Section, n_channels: int, rate: float) -> Run:
    form, layout = common.get("DataFormat", "BINARY"), common.get("DataOrientation", "MULTIPLEXED")
    kind = binary.get("BinaryFormat", "")
    if form != "BINARY" or layout not in ("MULTIPLEXED", "VECTORIZED") or kind not in DTYPES:
        raise Refused(f"its samples are stored as {form[:20]} {kind[:20]} {layout[:20]}, which is not imported")
    dtype = np.dtype(DTYPES[kind])
    if binary.get("UseBigEndianOrder", "NO").upper() == "YES":
        dtype = dtype.newbyteorder(">")
    n_samples, left = divmod(files.nbytes[name], n_channels * dtype.itemsize)
    announced = common.get("DataPoints", "")
    if left or (announced.isdecimal() and int(announced) not in (0, n_samples)):
        raise Refused(f"{name!r} has not as many samples as its header says: it was cut off, or is damaged")
    is_by_channel = layout == "VECTORIZED"
    shape = (n_channels, n_samples) if is_by_channel else (n_samples, n_channels)
    stored = files.array(name, dtype, 0, shape)

    def samples(start: int, stop: int) -> NDArray[Any]:
        if not is_by_channel:
            return np.asarray(stored[start:stop])
        row_nbytes = n_samples * dtype.itemsize
        offsets = (place * row_nbytes + start * dtype.itemsize for place in range(n_channels))
        return np.stack([np.asarray(files.array(name, dtype, offset, (stop - start,))) for offset in offsets], axis=1)

    return Run(n_samples, 0.0, rate, dtype, n_channels, samples)


def _markers(told: Section) -> list[list[str]]:
    """Return type, description, position, size, channel and, of some, date of each marker."""
    found = [line.split(",") for name, line in told.items() if re.fullmatch(r"[Mm]k\d+", name)]
    if any(len(parts) < 3 or not parts[2].strip().isdecimal() for parts in found):
        raise Refused("its markers do not all tell where they stand")
    return found


def _date(parts: Sequence[str]) -> datetime | None:
    told = parts[5].strip() if len(parts) > 5 else ""
    try:
        second = datetime.strptime(told[:14], "%Y%m%d%H%M%S") if DATE.fullmatch(told) else None
    except ValueError:
        return None
    return None if second is None else second.replace(tzinfo=UTC) + timedelta(microseconds=int(told[14:]))


def _tell_markers(recording: Recording, segment: str, markers: list[list[str]], run: Run) -> None:
    """Tell markers of one type together."""
    for kind in dict.fromkeys(parts[0] for parts in markers):
        some = [parts for parts in markers if parts[0] == kind]
        positions = np.array([int(parts[2]) for parts in some])
        if (positions < 1).any():
            raise Refused(f"a marker of the type {kind[:40]!r} stands before the first sample")
        order = np.argsort(positions, kind="stable")
        some = [some[place] for place in order]
        told = {"sizes_samples": [_count(parts, 3) for parts in some], "channels": [_count(parts, 4) for parts in some]}
        labels = [parts[1].replace("\\1", ",") for parts in some]
        recording.events(segment, kind, (positions[order] - 1) / run.sampling_rate, labels, annotations=told)


def _count(parts: Sequence[str], place: int) -> int:
    text = parts[place].strip() if len(parts) > place else ""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _number(told: str | None, what: str) -> float:
    text = (told or "").strip()
    if not NUMBER.fullmatch(text):
        raise Refused(f"its {what} is {text[:20]!r}, not a number")
    return float(text)

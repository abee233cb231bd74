"""EDF, EDF+ and BDF, read by their specification: neo's reader opens files by itself, and its gain is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.vendor.files import RecordingFiles
from storage.ingest.vendor.telling import Columns, Recording, Run, grouped

HEAD_NBYTES = 256
FIELDS = (
    ("label", 16), ("transducer", 80), ("units", 8), ("physical_minimum", 8), ("physical_maximum", 8),
    ("digital_minimum", 8), ("digital_maximum", 8), ("prefiltering", 80), ("n_samples", 8), ("reserved", 32),
)  # fmt: skip
"""What the header says of each signal, and in how many characters."""
ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
GAIN = (
    "gain is (physical maximum - minimum) / (digital maximum - minimum), as the format says; neo adds 1 to the latter"
)
MAX_SIGNALS = 4096
MAX_TIMEKEEPING_NBYTES = 64 << 20
NUMBER = re.compile(r"[+-]?\d{1,8}(\.\d{0,8})?([eE][+-]?\d{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of the header."""

    label: str
    units: str
    gain: float
    offset: float
    n_samples: int
    """In each data record."""
    byte_offset: int
    """In a data record."""
    said: dict[str, str]


@dataclass(frozen=True, slots=True)
class Header:
    """The whole header."""

    nbytes: int
    n_records: int
    duration_s: Fraction
    """Of a data record."""
    sample_nbytes: int
    record_nbytes: int
    signals: list[Signal]
    is_plus: bool
    is_continuous: bool
    started: datetime | None
    said: dict[str, str]


def read(files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of a recording: signals of one rate and unit together, annotations as events and epochs."""
    header = _header(files, primary)
    data = [one for one in header.signals if one.label not in ANNOTATIONS]
    onsets, annotations = _annotations(files, primary, header)
    kind = "BDF" if header.sample_nbytes == 3 else "EDF"
    told = {"imported_from": kind, "read_by": "the specification", "corrections": [GAIN], **header.said}
    recording.block(header.started, told)
    stretches = _stretches(header, onsets)
    recording.expect(sum(one.n_samples for one in data) * header.n_records)
    for number, (first, last) in enumerate(stretches):
        name = f"stretch {number + 1}" if len(stretches) > 1 else recording.name
        segment = recording.segment(number, name, {})
        for places in grouped((one.n_samples, one.units, one.offset) for one in data):
            group = [data[place] for place in places]
            _tell_group(files, primary, recording, segment, header, group, (first, last), onsets[first])
        starts, stops = onsets[first], onsets[last] if last < header.n_records else None
        here = [one for one in annotations if (number == 0 or one[0] >= starts) and (stops is None or one[0] < stops)]
        _tell_annotations(recording, segment, here)


def _header(files: RecordingFiles, name: str) -> Header:
    head = files.read(name, 0, HEAD_NBYTES)
    is_bdf = head[:1] == b"\xff"
    if len(head) < HEAD_NBYTES or (head[:8].strip() != b"0" and not is_bdf):
        raise Refused("it is no EDF or BDF file, or was cut off in its header")
    n_signals, n_records = _whole(head[252:256], "number of signals"), _whole(head[236:244], "number of data records")
    if not 0 < n_signals <= MAX_SIGNALS:
        raise Refused(f"it has {n_signals} signals")
    nbytes = HEAD_NBYTES * (n_signals + 1)
    if _whole(head[184:192], "length of its header") != nbytes:
        raise Refused("its header is not as long as it says: it is damaged")
    duration_s = _number(head[244:252], "duration of a data record")
    content = files.read(name, HEAD_NBYTES, nbytes - HEAD_NBYTES)
    if len(content) < nbytes - HEAD_NBYTES:
        raise Refused("it was cut off in its header")
    sample_nbytes = 3 if is_bdf else 2
    signals, end = [], 0
    for said in _fields(content, n_signals):
        signal = _signal(said, end)
        signals.append(signal)
        end += signal.n_samples * sample_nbytes
    reserved = head[192:236].decode("latin-1")
    stored = (files.nbytes[name] - nbytes) // max(end, 1)
    if end == 0 or n_records < -1 or (n_records > stored):
        raise Refused(
            f"it says that it has {n_records} data records, and holds {stored}: it was cut off, or is damaged"
        )
    if duration_s <= 0 and any(one.label not in ANNOTATIONS for one in signals):
        raise Refused("its data records have no duration, so that its samples have no times")
    said = {
        "equipment": _equipment(head[88:168].decode("latin-1")),
        "version": reserved[:5].strip() or ("BDF" if is_bdf else "EDF"),
    }
    return Header(
        nbytes,
        stored if n_records == -1 else n_records,
        duration_s,
        sample_nbytes,
        end,
        signals,
        is_plus=reserved[:4] in ("EDF+", "BDF+"),
        is_continuous=reserved[:5] not in ("EDF+D", "BDF+D"),
        started=_started(head[168:176], head[176:184]),
        said={key: text for key, text in said.items() if text},
    )


def _equipment(told: str) -> str:
    """Return what it was recorded with, of a header that otherwise names the patient's file and whoever recorded."""
    words = told.split()
    return words[4] if words[:1] == ["Startdate"] and len(words) > 4 and words[4] != "X" else ""


def _fields(content: bytes, n_signals: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{} for _ in range(n_signals)]
    offset = 0
    for field, width in FIELDS:
        for said in found:
            said[field] = content[offset : offset + width].decode("latin-1").strip("\0 ")
            offset += width
    return found


def _signal(said: dict[str, str], byte_offset: int) -> Signal:
    lowest, highest = (_whole(said[f"digital_{end}"], "digital range") for end in ("minimum", "maximum"))
    low, high = (_number(said[f"physical_{end}"], "physical range") for end in ("minimum", "maximum"))
    n_samples = _whole(said["n_samples"], "number of samples")
    if highest == lowest or n_samples < 0:
        raise Refused(f"the signal {said['label']!r} has an empty digital range, or fewer samples than none")
    gain = (high - low) / (highest - lowest)
    units = said["units"].replace("µ", "u")
    shown = {name: said[name] for name in ("transducer", "prefiltering") if said[name]}
    return Signal(said["label"], units, float(gain), float(low - gain * lowest), n_samples, byte_offset, shown)


def _stretches(header: Header, onsets: list[Fraction]) -> list[tuple[int, int]]:
    """Return runs of data records without gaps between them: first, and one after the last."""
    if header.is_continuous or header.n_records == 0:
        return [(0, header.n_records)]
    gaps = [
        n for n in range(1, header.n_records) if abs(onsets[n] - onsets[n - 1] - header.duration_s) > Fraction(1, 10**6)
    ]
    edges = [0, *gaps, header.n_records]
    return list(zip(edges, edges[1:], strict=False))


def _tell_group(
    files: RecordingFiles,
    name: str,
    recording: Recording,
    segment: str,
    header: Header,
    group: list[Signal],
    records: tuple[int, int],
    t_start: Fraction,
) -> None:
    if not group or not group[0].n_samples:
        return
    per_record, first = group[0].n_samples, records[0]

    def samples(start: int, stop: int) -> NDArray[Any]:
        begin, end = start // per_record, -(-stop // per_record)
        content = files.read(
            name, header.nbytes + (first + begin) * header.record_nbytes, (end - begin) * header.record_nbytes
        )
        if len(content) < (end - begin) * header.record_nbytes:
            raise Refused("it was cut off among its samples")
        rows = np.frombuffer(content, np.uint8).reshape(end - begin, header.record_nbytes)
        columns = [_numbers(rows, one, header.sample_nbytes) for one in group]
        return np.stack(columns, axis=1)[start - begin * per_record : stop - begin * per_record]

    run = Run(
        (records[1] - records[0]) * per_record,
        float(t_start),
        float(per_record / header.duration_s),
        np.dtype("<i2" if header.sample_nbytes == 2 else "<i4"),
        len(group),
        samples,
    )
    first_of = group[0]
    told = dict(first_of.said) if all(one.said == first_of.said for one in group) else {}
    columns = Columns(
        range(len(group)),
        first_of.label if len(group) == 1 else f"{first_of.units or 'no unit'} at {run.sampling_rate:g} Hz",
        first_of.units or None,
        [one.gain for one in group],
        first_of.offset,
        [one.label for one in group],
        told,
    )
    recording.signals(segment, run, [columns])


def _numbers(rows: NDArray[np.uint8], one: Signal, sample_nbytes: int) -> NDArray[Any]:
    content = np.ascontiguousarray(rows[:, one.byte_offset : one.byte_offset + one.n_samples * sample_nbytes])
    if sample_nbytes == 2:
        return content.reshape(-1).view("<i2")
    wide = np.zeros((content.size // 3, 4), np.uint8)
    wide[:, 1:] = content.reshape(-1, 3)  # 24 bits, of which the highest is the sign
    return wide.reshape(-1).view("<i4") >> 8


Annotation = tuple[Fraction, Fraction | None, str]
"""Onset and duration in seconds, text."""


def _annotations(files: RecordingFiles, name: str, header: Header) -> tuple[list[Fraction], list[Annotation]]:
    """Return when each data record begins, and what is annotated."""
    channels = [one for one in header.signals if one.label in ANNOTATIONS]
    regular = [number * header.duration_s for number in range(header.n_records + 1)]
    if not channels:
        return regular, []
    nbytes = sum(one.n_samples for one in channels) * header.sample_nbytes * header.n_records
    if nbytes > MAX_TIMEKEEPING_NBYTES:
        raise Refused(f"it has {nbytes} bytes of annotations, too many to take")
    found: list[Annotation] = []
    for record in range(header.n_records):
        for number, one in enumerate(channels):
            offset = header.nbytes + record * header.record_nbytes + one.byte_offset
            for onset, duration, text in _lists(files.read(name, offset, one.n_samples * header.sample_nbytes)):
                if text == "" and number == 0:  # keeps the time of the record
                    regular[record] = onset
                elif text:
                    found.append((onset, duration, text))
    if header.n_records:
        regular[-1] = regular[-2] + header.duration_s
    return regular, found


def _lists(content: bytes) -> list[Annotation]:
    """Return the annotations of one data record; the first, without text, is when the record begins."""
    found: list[Annotation] = []
    for part in content.split(b"\0"):
        if not part:
            continue
        head, *texts = part.split(b"\x14")
        onset, _, duration = head.partition(b"\x15")
        begins, lasts = _number(onset, "annotation"), _number(duration, "annotation") if duration else None
        for text in texts[:-1] if texts and not texts[-1] else texts:
            found.append((begins, lasts, text.decode("utf-8", "replace")))
    return found


def _tell_annotations(recording: Recording, segment: str, found: list[Annotation]) -> None:
    events = [one for one in found if one[1] is None]
    epochs = [one for one in found if one[1] is not None]
    if events:
        times = np.array([float(onset) for onset, _, _ in events])
        recording.events(segment, "annotations", times, [text for _, _, text in events])
    if epochs:
        times = np.array([float(onset) for onset, _, _ in epochs])
        durations = np.array([float(duration or 0) for _, duration, _ in epochs])
        recording.events(segment, "annotations", times, [text for _, _, text in epochs], durations)


def _started(date: bytes, time: bytes) -> datetime | None:
    """Return when it began; years from 85 on are of the last century, as the specification says."""
    try:
        day, month, year = (int(part) for part in date.decode("ascii").split("."))
        hour, minute, second = (int(part) for part in time.decode("ascii").split("."))
        return datetime(year + (1900 if year >= 85 else 2000), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:  # such as yy, after 2084
        return None


def _number(told: bytes | str, what: str) -> Fraction:
    text = (told.decode("latin-1") if isinstance(told, bytes) else told).strip("\0 ")
    if not NUMBER.fullmatch(text):
        raise Refused(f"its {what} is {text[:20]!r}, not a number")
    return Fraction(text)


def _whole(told: bytes | str, what: str) -> int:
    found = _number(told, what)
    if found.denominator != 1:
        raise Refused(f"its {what} is {float(found):g}, not a whole number")
    return int(found)

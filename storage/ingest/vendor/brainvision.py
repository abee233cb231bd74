"""BrainVision: a header (``.vhdr``), samples (``.eeg``) and markers (``.vmrk``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from storage.errors import Refused
from storage.ingest.vendor.files import FileSet
from storage.ingest.vendor.neo_files import path_of
from storage.ingest.vendor.telling import Recording
from storage.ingest.vendor.with_neo import Channel, Reading, tell

MARKERS = "markers stand at their position less one sample, as positions count from 1; neo has them one sample late"
UNITS = "a channel without a unit is in µV, as the format says; other units stand as the file has them"
DATE = re.compile(r"\d{20}", re.ASCII)


def read(files: FileSet, primary: str, recording: Recording) -> None:
    """Tell of a recording."""
    from neo.rawio.brainvisionrawio import BrainVisionRawIO, read_brainvsion_soup

    header = read_brainvsion_soup(path_of(primary))
    common, described = header.get("Common Infos", {}), header.get("Channel Infos", {})
    if "DataFile" not in common or not described:
        raise Refused("its header names no file of samples, or no channels")
    _require_beside(files, primary, common)
    reader = BrainVisionRawIO(filename=path_of(primary))
    reader.parse_header()
    marker_path = reader._ensure_filename(path_of(common["MarkerFile"]), "marker", "MarkerFile")
    markers = _markers(read_brainvsion_soup(marker_path).get("Marker Infos", {}))
    started = next((_date(parts) for parts in markers if parts[0] == "New Segment"), None)
    if started is not None:
        reader.raw_annotations["blocks"][0]["rec_datetime"] = started

    def channel(row: Any) -> Channel:
        number = row["id"]
        parts = described.get(f"Ch{number}", described.get(f"ch{number}", "")).split(",")
        units = (parts[3].strip() if len(parts) > 3 else "").replace("µ", "u").replace("μ", "u") or "uV"
        return Channel(str(row["name"]).replace("\\1", ","), units, float(row["gain"]), float(row["offset"]))

    reading = Reading(
        "BrainVision",
        reader,
        [MARKERS, UNITS],
        channel,
        events=lambda told, segments: _tell_markers(told, segments[0], markers, reader._sampling_rate),
    )
    tell(recording, reading)


def _require_beside(files: FileSet, primary: str, common: dict[str, str]) -> None:
    """Raise Refused where the files that a header names are missing, also by the name of the header."""
    if "MarkerFile" not in common:
        raise Refused("its header names no file of markers")
    for kind in ("DataFile", "MarkerFile"):
        ending = common[kind].rpartition(".")[2]
        if files.name_of(common[kind]) is None and files.name_of(f"{primary.rpartition('.')[0]}.{ending}") is None:
            files.require(common[kind])


def _markers(told: dict[str, str]) -> list[list[str]]:
    """Return type, description, position, size, channel and, of some, date of each marker."""
    found = [line.split(",") for name, line in told.items() if re.fullmatch(r"[Mm]k\d+", name)]
    return [parts for parts in found if len(parts) >= 3]


def _date(parts: Sequence[str]) -> datetime | None:
    told = parts[5].strip() if len(parts) > 5 else ""
    if not DATE.fullmatch(told) or told.startswith("0000"):
        return None
    try:
        second = datetime.strptime(told[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return second.replace(tzinfo=UTC) + timedelta(microseconds=int(told[14:]))


def _tell_markers(recording: Recording, segment: str, markers: list[list[str]], sampling_rate: float) -> None:
    """Tell markers of one type together."""
    for kind in dict.fromkeys(parts[0] for parts in markers):
        some = [parts for parts in markers if parts[0] == kind]
        positions = np.array([int(parts[2]) for parts in some])
        if (positions < 1).any():
            raise Refused(f"a marker of the type {kind[:40]!r} stands before the first sample")
        order = np.argsort(positions, kind="stable")
        some = [some[place] for place in order]
        told = {
            "sizes_samples": [int(parts[3]) if len(parts) > 3 and parts[3] else 0 for parts in some],
            "channels": [int(parts[4]) if len(parts) > 4 and parts[4] else 0 for parts in some],
        }
        labels = [parts[1].replace("\\1", ",") for parts in some]
        recording.events(segment, kind, (positions[order] - 1) / sampling_rate, labels, annotations=told)

"""Signals of flat binary files in Neo's words: 16 bits a sample, channels across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import numpy as np

from storage.calibration import Calibration
from storage.hdf5.file import Description
from storage.ingest.found import Found, FoundArray, FoundObject, storable
from storage.selection import require_axis

ROOT = "/"
"""``source_path`` of the Block and of the Segment that stand for the recording."""

SAMPLE = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a file."""

    name: str
    kind: str
    """What channels that are served together have in common, such as ``AP``."""
    units: str
    gain: float = 1.0
    """Units of one step."""
    annotations: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """One file of samples."""

    file: str
    name: str
    channels: Sequence[Channel]
    sampling_rate: float
    """In Hz."""
    runs: Sequence[tuple[int, int, float]]
    """First sample, the one after the last, and the time of the first in s, of each run without a gap."""
    annotations: dict[str, Any] = field(default_factory=dict)


def add_session(found: Found, name: str, annotations: dict[str, Any], recorded: Any) -> None:
    """Add the Block and the Segment of a recording; ``recorded`` is when, as it is told."""
    moment = _moment(recorded)
    if recorded is not None:
        annotations = {**annotations, "recorded": str(recorded)}
    if moment is not None and moment.tzinfo is None:
        annotations["time_zone"] = "not told, taken as UTC"
        moment = moment.replace(tzinfo=UTC)
    said = {"name": name, "filedatetime": moment}
    found.objects.append(FoundObject("block", ROOT, {**said, "annotations": annotations}))
    found.objects.append(FoundObject("segment", ROOT, {**said, "annotations": {}}, parents={"block": ROOT}))


def add_stream(found: Found, stream: Stream, n_samples: int) -> None:
    """Add the signals of one file: an array for each run of channels of one kind, and each run of samples."""
    for _, _, t_start in stream.runs:
        require_axis(stream.sampling_rate, t_start)
    shape = (n_samples, len(stream.channels))
    found.datasets[stream.file] = Description(SAMPLE, shape, bytes(SAMPLE.itemsize), byte_offset=0, file=stream.file)
    groups = [list(some) for _, some in groupby(enumerate(stream.channels), lambda one: (one[1].kind, one[1].units))]
    for some in groups:
        first, last = some[0][0], some[-1][0] + 1
        _add_channels(found, stream, first, last, is_whole=len(groups) == 1)


def _add_channels(found: Found, stream: Stream, first: int, last: int, *, is_whole: bool) -> None:
    channels = stream.channels[first:last]
    kind = channels[0].kind
    place = f"/{stream.file}" if is_whole else f"/{stream.file}[:, {first}:{last}]"
    name = f"{stream.name} {kind}".strip()
    group = {"name": name, "annotations": {"stream": stream.name, "kind": kind}}
    found.objects.append(FoundObject("recordingchannelgroup", place, group, {"block": ROOT}))
    for number, channel in enumerate(channels):
        fields = {"name": channel.name, "index": number, "annotations": channel.annotations}
        parents = {"recordingchannelgroup": place}
        found.objects.append(FoundObject("recordingchannel", f"{place}/{first + number}", fields, parents))
    gains = tuple(channel.gain for channel in channels)
    calibration = Calibration(gains[:1] if len(set(gains)) == 1 else gains)
    for number, (start, stop, t_start) in enumerate(stream.runs):
        run = place if len(stream.runs) == 1 else f"{place}[{start}:{stop}]"
        array = found.add_array(
            FoundArray(
                run,
                stream.file,
                name,
                stop - start,
                first_row=start,
                units=channels[0].units,
                calibration=None if calibration.is_identity else calibration,
                channel_names=[channel.name for channel in channels],
                columns=None if is_whole else (first, last),
            )
        )
        part = {"part": number + 1, "parts": len(stream.runs)} if len(stream.runs) > 1 else {}
        axis = {"t_start": t_start, "t_start_units": "s"}
        axis |= {"sampling_rate": stream.sampling_rate, "sampling_rate_units": "Hz"}
        fields = {"name": name, **axis, "annotations": {**stream.annotations, **part}}
        parents = {"segment": ROOT, "recordingchannelgroup": place}
        found.objects.append(FoundObject("analogsignalarray", run, fields, parents, {"signal": array}))


def _moment(said: Any) -> datetime | None:
    """Return a date as it is told; None for what is none, or cannot be told in UTC."""
    try:
        moment = datetime.fromisoformat(storable(str(said))) if said else None
        return moment if moment is None or moment.astimezone(UTC) else None
    except (ValueError, OverflowError):
        return None

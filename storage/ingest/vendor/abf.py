"""Axon Binary Format of pClamp, versions 1 and 2: a Segment per sweep, a signal per channel, each tag once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from storage.ingest.vendor.files import FileSet
from storage.ingest.vendor.neo_files import path_of
from storage.ingest.vendor.telling import Recording
from storage.ingest.vendor.with_neo import Reading, tell

ALONE = "each channel is a signal with its own unit; neo names all after the first"
ONCE = "each tag stands once, in the sweep that it was set in; neo repeats all tags in each sweep"
TAG_TIME = "tags are at lTagTime in units of fSynchTimeUnit, as the format says; neo divides by the sampling rate"
START = "sweeps begin at their sample in the file divided by channels and rate; neo divides by the rate alone"


def read(files: FileSet, primary: str, recording: Recording) -> None:
    """Tell of a recording."""
    from neo.rawio.axonrawio import AxonRawIO

    reader = AxonRawIO(filename=path_of(files.require(primary)))
    reader.parse_header()
    info: dict[str, Any] = reader._axon_info
    n_channels = len(reader.header["signal_channels"])
    in_samples = _synch_unit(info) == 0 and n_channels > 1
    corrections = [ALONE, *([ONCE, TAG_TIME] if info["listTag"] else []), *([START] if in_samples else [])]
    said = reader.raw_annotations["blocks"][0]
    said["format_version"] = f"{said['abf_version']:.4g}"  # a float32 of the file, such as 1.83
    for number, of_segment in enumerate(said["segments"]):
        of_segment["sweep_number"] = number
    reading = Reading(
        "ABF",
        reader,
        corrections,
        is_alone=True,
        events=lambda told, segments: _tell_tags(told, segments, reader, info, n_channels),
        segment_name="sweep",
        stretches=(lambda _, n_samples, t_start: [(0, n_samples, t_start / n_channels)]) if in_samples else None,
    )
    tell(recording, reading)


def _synch_unit(info: dict[str, Any]) -> float:
    """Return in how many microseconds the file counts; 0 where it counts samples of all channels."""
    return float(info["fSynchTimeUnit"] if "fSynchTimeUnit" in info else info["protocol"]["fSynchTimeUnit"])


def _tell_tags(
    recording: Recording, segments: Sequence[str], reader: Any, info: dict[str, Any], n_channels: int
) -> None:
    """Tell each tag in the sweep that had begun when it was set."""
    tags = info["listTag"]
    if not tags or not segments:
        return
    unit_us = _synch_unit(info) or 1e6 / reader._sampling_rate / max(n_channels, 1)
    times = np.array([tag["lTagTime"] for tag in tags]) * unit_us * 1e-6
    starts = np.array([reader.segment_t_start(0, number) for number in range(len(segments))])
    sweeps = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    labels = [bytes(tag["sComment"]).rstrip(b"\0 ").decode("utf-8", "replace") or "tag" for tag in tags]
    kinds = np.array([int(tag["nTagType"]) for tag in tags])
    for sweep in np.unique(sweeps):
        here = np.flatnonzero(sweeps == sweep)
        order = here[np.argsort(times[here], kind="stable")]
        told = {"tag_types": kinds[order].tolist()}
        recording.events(segments[sweep], "tags", times[order], [labels[place] for place in order], annotations=told)

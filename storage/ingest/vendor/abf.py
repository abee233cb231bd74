"""Axon Binary Format of pClamp, versions 1 and 2: a Segment per sweep, a signal per channel, each tag once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.ingest.vendor.files import RecordingFiles, decoded
from storage.ingest.vendor.neo_files import path_of
from storage.ingest.vendor.telling import Recording
from storage.ingest.vendor.with_neo import Reading, tell

ALONE = "each channel is a signal with its own unit; neo names all after the first"
ONCE = "each tag stands once, in the sweep that it was set in; neo repeats all tags in each sweep"
TAG_TIME = "tags are read where the format has them, in units of fSynchTimeUnit; neo reads those of version 1 elsewhere"
BLOCK_NBYTES = 512
TAG = np.dtype([("time", "<i4"), ("comment", "S56"), ("kind", "<i2"), ("voice", "<i2")])
START = "sweeps begin at their sample in the file divided by channels and rate; neo divides by the rate alone"


def read(files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of a recording."""
    from neo.rawio.axonrawio import AxonRawIO

    reader = AxonRawIO(filename=path_of(files.require(primary)))
    reader.parse_header()
    info: dict[str, Any] = reader._axon_info
    n_channels = len(reader.header["signal_channels"])
    tags = _tags(files, primary, info)
    in_samples = _synch_unit(info) == 0 and n_channels > 1
    corrections = [ALONE, *([ONCE, TAG_TIME] if len(tags) else []), *([START] if in_samples else [])]
    # Without a unit, times are counted in samples of all channels.
    unit_us = _synch_unit(info) or 1e6 / reader._sampling_rate / max(n_channels, 1)
    said = reader.raw_annotations["blocks"][0]
    said["format_version"] = f"{said['abf_version']:.4g}"  # a float32 of the file, such as 1.83
    for number, of_segment in enumerate(said["segments"]):
        of_segment["sweep_number"] = number
        of_sweep = {"role": "response", "sweep_number": number}  # as of an NWB file of the same experiment
        of_segment["signals"] = [{**of_signal, **of_sweep} for of_signal in of_segment["signals"]]
    reading = Reading(
        "ABF",
        reader,
        corrections,
        is_alone=True,
        events=lambda told, segments: _tell_tags(told, segments, tags, _starts(reader, in_samples), unit_us),
        segment_name=lambda number: f"sweep {number}",
        stretches=(lambda _, n_samples, t_start: [(0, n_samples, t_start / n_channels)]) if in_samples else None,
    )
    tell(recording, reading)


def _synch_unit(info: dict[str, Any]) -> float:
    """Return in how many microseconds the file counts; 0 where it counts samples of all channels."""
    return float(info["fSynchTimeUnit"] if "fSynchTimeUnit" in info else info["protocol"]["fSynchTimeUnit"])


def _starts(reader: Any, in_samples: bool) -> NDArray[np.float64]:
    """Return when each sweep begins."""
    said = np.array([reader.segment_t_start(0, number) for number in range(reader.segment_count(0))])
    return said / len(reader.header["signal_channels"]) if in_samples else said


def _tags(files: RecordingFiles, name: str, info: dict[str, Any]) -> NDArray[np.void]:
    """Return all tags of a file; raises Refused where it has not as many as it says."""
    if "sections" in info:
        section = info["sections"]["TagSection"]
        block, number = section["uBlockIndex"], section["llNumEntries"]
    else:
        block, number = info["lTagSectionPtr"], info["lNumTagEntries"]
    return np.asarray(files.array(name, TAG, int(block) * BLOCK_NBYTES, (int(number),)))


def _tell_tags(
    recording: Recording, segments: Sequence[str], tags: NDArray[np.void], starts: NDArray[np.float64], unit_us: float
) -> None:
    """Tell each tag in the sweep that had begun when it was set."""
    times = tags["time"] * (unit_us * 1e-6)
    sweeps = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    labels = [decoded(bytes(comment)).strip("\0 ") or "tag" for comment in tags["comment"]]
    for sweep in np.unique(sweeps):
        here = np.flatnonzero(sweeps == sweep)
        order = here[np.argsort(times[here], kind="stable")]
        told = {"tag_types": tags["kind"][order].tolist()}
        recording.events(segments[sweep], "tags", times[order], [labels[place] for place in order], annotations=told)

"""Open Ephys, binary: samples in ``continuous.dat``, their numbers in ``.npy``, the rest in ``structure.oebin``.

References
----------
Open Ephys GUI documentation, "Binary format".
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable
from typing import Any

from storage.errors import Refused
from storage.ingest.file_set import FileSet
from storage.ingest.formats.flat_signals import SAMPLE, Channel, Stream, add_session, add_stream
from storage.ingest.formats.npy import Npy
from storage.ingest.formats.open_ephys_events import add_events
from storage.ingest.formats.open_ephys_runs import runs_of
from storage.ingest.found import Found

MAX_CHANNELS = 65_536
UNITS = {"uv": "uV", "µv": "uV", "μv": "uV", "mv": "mV", "v": "V"}
TOLD_OF_CHANNEL = ("identifier", "description", "history", "source_processor_index", "recorded_processor_index")
TOLD_OF_STREAM = (
    "source_processor_name", "source_processor_id", "source_processor_sub_idx", "stream_name",
    "recorded_processor", "recorded_processor_id",
)  # fmt: skip
MAX_TOLD = 500


def inspect(files: FileSet, name: str) -> Found:
    """Find the signals and events of one recording; parameters and exceptions are those of ``flat.inspect``."""
    told = json.loads(files.text(files.main))
    if not isinstance(told, dict) or not isinstance(told.get("continuous", []), list):
        raise Refused("its structure.oebin tells of no recording")
    found = Found()
    version = {"gui_version": str(told["GUI version"])} if "GUI version" in told else {}
    add_session(found, name, {"format": "Open Ephys binary", **version}, None)
    _add_each(found, told, "continuous", lambda folder, one: _add_continuous(found, files, folder, one))
    _add_each(found, told, "events", lambda folder, one: add_events(found, files, f"events/{folder}", one))
    _add_each(found, told, "spikes", _refuse_spikes)
    if found.refusals and not found.arrays:
        found.objects.clear()
    return found


def _add_each(found: Found, told: dict[str, Any], kind: str, add: Callable[[str, dict[str, Any]], None]) -> None:
    """Add all streams of a kind, each by its folder; what is wrong with one leaves that out."""
    with found.refusing(f"/{kind}"):
        if not isinstance(told.get(kind, []), list):
            raise Refused(f"its structure.oebin has no list of {kind}")
        for number, one in enumerate(told.get(kind, [])):
            with found.refusing(f"/{kind}[{number}]"):
                folder = _folder(one)
                with found.refusing(f"/{kind}/{folder}"):
                    add(folder, one)


def _refuse_spikes(_: str, __: dict[str, Any]) -> None:
    raise Refused("spikes of Open Ephys are not served yet")


def _folder(told: Any) -> str:
    """Return the folder of a stream, which its text calls by a path that ends in a slash."""
    said = (told.get("folder_name") or told.get("folder") or "") if isinstance(told, dict) else ""
    folder = posixpath.normpath(str(said).replace("\\", "/")).strip("/")
    if folder in ("", ".") or folder.startswith(".."):
        raise Refused("its structure.oebin tells of a stream without a folder")
    return folder


def _add_continuous(found: Found, files: FileSet, folder: str, told: dict[str, Any]) -> None:
    samples = f"continuous/{folder}/continuous.dat"
    if samples not in files.nbytes:
        raise Refused("its continuous.dat is not there")
    channels = [_channel(number, one) for number, one in enumerate(told["channels"])]
    if not 0 < len(channels) <= MAX_CHANNELS or told.get("num_channels", len(channels)) != len(channels):
        raise Refused(f"it has {len(channels)} channels, and tells of {told.get('num_channels')}")
    rate = float(told["sample_rate"])
    n_samples, rest = divmod(files.nbytes[samples], SAMPLE.itemsize * len(channels))
    if rest:
        raise files.not_whole(f"{samples} ends within a sample of {len(channels)} channels: it is not whole")
    numbers = _numbers(files, f"continuous/{folder}")
    if numbers is not None and numbers.shape != (n_samples,):
        raise files.not_whole(
            f"{samples} has {n_samples} samples, and {posixpath.basename(numbers.name)} the numbers of "
            f"{len(numbers)}: it is not whole"
        )
    annotations = {key: told[key] for key in TOLD_OF_STREAM if isinstance(told.get(key), str | int)}
    annotations = {key: value[:MAX_TOLD] if isinstance(value, str) else value for key, value in annotations.items()}
    if numbers is None:
        runs = [(0, n_samples, 0.0)]
        annotations["t_start_source"] = "not told, taken as 0"
    else:
        starts = runs_of(numbers)
        stops = [start for start, _ in starts[1:]] + [n_samples]
        runs = [(start, stop, number / rate) for (start, number), stop in zip(starts, stops, strict=True)]
        annotations["first_sample_number"] = starts[0][1]
    synchronized = _synchronized(files, f"continuous/{folder}", n_samples)
    if synchronized is not None:
        annotations["synchronized_t_start"] = synchronized
    add_stream(found, Stream(samples, folder, channels, rate, runs, annotations), n_samples)


def _channel(number: int, told: dict[str, Any]) -> Channel:
    name = str(told.get("channel_name") or f"CH{number + 1}")
    said = str(told.get("units") or "").strip()
    if "SYNC" in name:
        kind, units = "SYNC", "dimensionless"
    else:
        # Where no unit is told, those of electrodes are in µV and those of other inputs in V.
        is_input = "ADC" in name
        kind = "ADC" if is_input else ""
        units = UNITS.get(said.lower(), said) or ("V" if is_input else "uV")
    more = {key: told[key] for key in TOLD_OF_CHANNEL if isinstance(told.get(key), str | int)}
    gain = float(told["bit_volts"])
    if not abs(gain) < float("inf"):
        raise Refused(f"the bit_volts of its channel {name} is {gain}")
    return Channel(name, kind, units, gain, {key: str(value)[:MAX_TOLD] for key, value in more.items()})


def _numbers(files: FileSet, folder: str) -> Npy | None:
    """Return the numbers of samples, which before version 0.6 were called timestamps."""
    for name in ("sample_numbers", "timestamps"):
        if f"{folder}/{name}.npy" in files.nbytes:
            numbers = Npy.of(files, f"{folder}/{name}.npy")
            if numbers.dtype.kind in "iu":
                return numbers
    return None


def _synchronized(files: FileSet, folder: str, n_samples: int) -> float | None:
    """Return the time of the first sample by the clock that all streams share, where there is one."""
    name = f"{folder}/timestamps.npy"
    if name not in files.nbytes or not n_samples:
        return None
    times = Npy.of(files, name)
    if times.dtype.kind != "f" or not len(times):
        return None
    return float(times.at([0])[0])

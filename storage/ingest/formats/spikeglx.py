"""SpikeGLX: samples in a ``.bin``, and in a ``.meta`` what they are.

References
----------
SpikeGLX, "Metadata Guides" and "Tools for Developers" (SGLXMetaToCoords, readSGLX): the meaning of each tag.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from storage.errors import Refused
from storage.ingest.file_set import FileSet
from storage.ingest.formats.flat_signals import SAMPLE, Channel, Stream, add_session, add_stream
from storage.ingest.found import Found

RATES = {"imec": "imSampRate", "nidq": "niSampRate", "obx": "obSampRate"}
COUNTS = {"imec": ("snsApLfSy", ("AP", "LF", "SY")), "nidq": ("snsMnMaXaDw", ("MN", "MA", "XA", "XD"))}
COUNTS |= {"obx": ("snsXaDwSy", ("XA", "XD", "SY"))}
ACQUIRED = {"imec": "acqApLfSy", "nidq": "acqMnMaXaDw", "obx": "acqXaDwSy"}
"""By the type of a stream: its sampling rate; how many channels of which kinds were saved; and how many there were."""

DIGITAL = ("SY", "XD")
"""Kinds of channels whose samples are words of bits."""

GAIN_IN_TABLE = (0, 1020, 1030, 1100, 1120, 1121, 1122, 1123, 1200, 1300)
"""Types of probes whose gains were chosen, channel by channel."""
GAIN_OF_TYPE = {21: 80.0, 24: 80.0, 2003: 100.0, 2004: 100.0, 2013: 100.0, 2014: 100.0, 2020: 100.0, 2021: 100.0}
"""Fixed gains of types whose files may not tell them."""
TABLE_PLACES = {"AP": 3, "LF": 4}
"""Where in an entry of the table a gain stands, after channel, bank and reference."""
MICROVOLTS = 1e6

MAX_CHANNELS = 65_536
MAX_TOLD = 200
"""Characters of an entry that is told as an annotation."""
UNTOLD = ("fileName", "fileSHA1")

NAME = re.compile(r"(?P<run>.+?)_g(?P<gate>\d+)_t(?P<trigger>\d+|cat)\.(?P<stream>.+)")
RANGE = re.compile(r"(\d{1,6})(?::(\d{1,6}))?", re.ASCII)


def inspect(files: FileSet, name: str) -> Found:
    """Find the signals of one pair of files; parameters and exceptions are those of ``flat.inspect``."""
    meta = _entries(files.text(files.main))
    samples = f"{files.main[: -len('.meta')]}.bin"
    kind = _kind(meta, name)
    channels = _channels(meta, kind)
    n_samples = _n_samples(meta, files, samples, len(channels))
    rate = _number(meta, RATES[kind])
    first = _number(meta, "firstSample", 0.0)
    if first < 0 or first != int(first):
        raise Refused(f"its firstSample is {first:g}, not the number of a sample")
    found = Found()
    parts = NAME.fullmatch(name)
    place = {} if parts is None else {key: value for key, value in parts.groupdict().items() if key != "stream"}
    told = {key: value for key, value in meta.items() if _is_told(key, value)}
    add_session(found, name, {**place, "spikeglx": told}, meta.get("fileCreateTime"))
    stream = name if parts is None else parts["stream"]
    runs = [(0, n_samples, int(first) / rate)]
    add_stream(found, Stream(samples, stream, channels, rate, runs, {"firstSample": int(first)}), n_samples)
    return found


def _entries(text: str) -> dict[str, str]:
    """Return the tags of a file; of ``~`` tables without that mark."""
    found = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign:
            found[key.strip().removeprefix("~")] = value.strip()
    if "nSavedChans" not in found:
        raise Refused("it is no .meta file of SpikeGLX: it does not tell nSavedChans")
    return found


def _is_told(key: str, value: str) -> bool:
    return len(value) <= MAX_TOLD and not value.startswith("(") and key not in UNTOLD


def _kind(meta: dict[str, str], name: str) -> str:
    """Return the type of a stream, which files from before 2018 only tell by their name."""
    told = meta.get("typeThis") or next((kind for kind in RATES if f".{kind}" in name), "imec")
    if told not in RATES:
        raise Refused(f"its typeThis is {told!r}, not one of {', '.join(RATES)}")
    return told


def _number(meta: dict[str, str], key: str, default: float | None = None) -> float:
    if key not in meta:
        if default is None:
            raise Refused(f"its .meta does not tell {key}")
        return default
    try:
        return float(meta[key])
    except ValueError:
        raise Refused(f"its {key} is {meta[key][:40]!r}, not a number") from None


def _counts(meta: dict[str, str], key: str, n_kinds: int) -> list[int]:
    numbers = [int(one) for one in meta[key].split(",")] if key in meta else []
    if len(numbers) != n_kinds or any(not 0 <= number <= MAX_CHANNELS for number in numbers):
        raise Refused(f"its {key} is {meta.get(key, 'not told')[:40]!r}, not {n_kinds} numbers of channels")
    return numbers


def _n_samples(meta: dict[str, str], files: FileSet, name: str, n_channels: int) -> int:
    """Return how many samples there are; raises what ``not_whole`` returns unless the file is as long as told."""
    nbytes = files.nbytes[name]
    row_nbytes = SAMPLE.itemsize * n_channels
    told = meta.get("fileSizeBytes")
    if told is not None and (not told.isdecimal() or int(told) != nbytes):
        raise files.not_whole(f"{name} has {nbytes} bytes, and its .meta tells of {told[:20]}: it is not whole")
    if nbytes % row_nbytes:
        raise files.not_whole(f"{name} has {nbytes} bytes, which are no whole samples of {n_channels} channels")
    return nbytes // row_nbytes


def _channels(meta: dict[str, str], kind: str) -> list[Channel]:
    """Return the saved channels, in the order of the samples."""
    key, kinds = COUNTS[kind]
    n_saved = _counts(meta, key, len(kinds))
    if sum(n_saved) != int(meta["nSavedChans"]) or not sum(n_saved):
        raise Refused(f"its {key} tells of {sum(n_saved)} channels, and its nSavedChans of {meta['nSavedChans'][:20]}")
    saved = _saved(meta, sum(n_saved))
    n_acquired = _counts(meta, ACQUIRED[kind], len(kinds)) if ACQUIRED[kind] in meta else n_saved
    places = _places(meta, n_saved[0] or n_saved[1])
    channels: list[Channel] = []
    for number, (what, n_channels) in enumerate(zip(kinds, n_saved, strict=True)):
        before = sum(n_acquired[:number])
        for place in range(n_channels):
            own = saved[len(channels)] - before
            told = {"channel": saved[len(channels)]}
            if what in DIGITAL:
                channels.append(Channel(f"{what}{own}", what, "dimensionless", annotations=told))
                continue
            gain, more = _gain(meta, kind, what, own)
            where = places[place] if kind == "imec" and place < len(places) else {}
            units, scale = ("uV", MICROVOLTS) if kind == "imec" else ("V", 1.0)
            # Of NI devices the analog kinds differ by their gain only; they are one signal.
            group = "analog" if kind == "nidq" else what
            channels.append(Channel(f"{what}{own}", group, units, gain * scale, {**told, **more, **where}))
    names = _names(meta)
    if len(names) != len(channels):
        return channels
    return [
        Channel(name, one.kind, one.units, one.gain, one.annotations) for name, one in zip(names, channels, strict=True)
    ]


def _saved(meta: dict[str, str], n_channels: int) -> Sequence[int]:
    """Return the numbers that the saved channels had among all."""
    said = meta.get("snsSaveChanSubset", "all").strip()
    if said in ("all", ""):
        return range(n_channels)
    numbers: list[int] = []
    for part in said.split(","):
        match = RANGE.fullmatch(part.strip())
        if match is None or len(numbers) > MAX_CHANNELS:
            raise Refused(f"its snsSaveChanSubset has {part[:40]!r}, not numbers of channels")
        numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
    if len(numbers) != n_channels:
        raise Refused(f"its snsSaveChanSubset tells of {len(numbers)} channels, and its nSavedChans of {n_channels}")
    return numbers


def _table(meta: dict[str, str], key: str) -> list[str]:
    """Return the entries of a table, the head first."""
    said = meta.get(key, "")
    return said[1:-1].split(")(") if said.startswith("(") and said.endswith(")") else []


def _names(meta: dict[str, str]) -> list[str]:
    """Return what channels are called, in the order in which they were saved."""
    return [entry.partition(";")[0] for entry in _table(meta, "snsChanMap")[1:]]


def _gain(meta: dict[str, str], kind: str, what: str, channel: int) -> tuple[float, dict[str, Any]]:
    """Return volts per step of a channel, and what it was set to."""
    if kind == "obx":
        return _number(meta, "obAiRangeMax") / _steps(meta, "obMaxInt", 32768.0), {}
    if kind == "nidq":
        gain = _positive(_number(meta, f"ni{what}Gain"), f"ni{what}Gain") if what in ("MN", "MA") else 1.0
        return _number(meta, "niAiRangeMax") / _steps(meta, "niMaxInt", 32768.0) / gain, {"gain": gain}
    probe = int(_number(meta, "imDatPrb_type", 0.0))
    more: dict[str, Any] = {}
    if probe in GAIN_IN_TABLE:
        entry = _entry(meta, channel)
        gain = float(entry[TABLE_PLACES[what]])
        more = {"bank": int(entry[1]), "reference": int(entry[2])}
    elif f"imChan0{what.lower()}Gain" in meta:
        gain = _number(meta, f"imChan0{what.lower()}Gain")
    elif probe == 1110:
        head = _table(meta, "imroTbl")[0].split(",")
        gain = float(head[TABLE_PLACES[what]])
    elif probe in GAIN_OF_TYPE:
        gain = GAIN_OF_TYPE[probe]
    else:
        raise Refused(f"the gain of its probe (imDatPrb_type {probe}) is not known")
    steps = _steps(meta, "imMaxInt", 512.0 if probe in GAIN_IN_TABLE or probe == 1110 else 8192.0)
    return _number(meta, "imAiRangeMax") / steps / _positive(gain, "gain"), {"gain": gain, **more}


def _entry(meta: dict[str, str], channel: int) -> list[str]:
    """Return what the table of a probe says of a channel."""
    entries = _table(meta, "imroTbl")[1:]
    entry = entries[channel].split() if 0 <= channel < len(entries) else []
    if len(entry) <= max(TABLE_PLACES.values()) or entry[0] != str(channel):
        raise Refused(f"its imroTbl says nothing of channel {channel}")
    return entry


def _steps(meta: dict[str, str], key: str, default: float) -> float:
    return _positive(_number(meta, key, default), key)


def _positive(number: float, what: str) -> float:
    if not 0 < number < float("inf"):
        raise Refused(f"its {what} is {number:g}")
    return number


def _places(meta: dict[str, str], n_channels: int) -> list[dict[str, Any]]:
    """Return where on its probe each channel is: shank, x and z in µm; or its shank, column and row."""
    for key, names in (
        ("snsGeomMap", ("shank", "x", "z", "used")),
        ("snsShankMap", ("shank", "column", "row", "used")),
    ):
        entries = [entry.split(":") for entry in _table(meta, key)[1:]]
        if len(entries) == n_channels and all(len(entry) == len(names) for entry in entries):
            return [_place(dict(zip(names, map(float, entry), strict=True))) for entry in entries]
    return []


def _place(told: dict[str, float]) -> dict[str, Any]:
    units = {"units": "um"} if "x" in told else {}
    whole = {name: int(value) if name not in ("x", "z") else value for name, value in told.items()}
    return {**whole, "used": bool(told["used"]), **units}

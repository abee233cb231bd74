"""How a recording of another format is told, part by part: objects, and the samples of arrays as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from storage.calibration import Calibration
from storage.errors import Refused
from storage.ingest.found import FoundObject
from storage.selection import require_axis

ROOT = "/"
WINDOW_NBYTES = 4 << 20
"""Samples that are read and sent at once."""


@dataclass(frozen=True, slots=True)
class NewArray:
    """An array whose rows are about to be told."""

    source_path: str
    """Also the path of its dataset in the file that is written."""
    name: str
    dtype: np.dtype[Any]
    """Little-endian."""
    shape: tuple[int, ...]
    units: str | None = None
    calibration: Calibration | None = None
    channel_names: Sequence[str] | None = None


class Target(Protocol):
    """Takes what is told: parents before children, an array and all its rows before the object that has it."""

    def add_array(self, array: NewArray) -> None:
        """Take the form of an array."""

    def add_rows(self, source_path: str, rows: NDArray[Any]) -> None:
        """Take the next rows of an array."""

    def add_object(self, one: FoundObject) -> None:
        """Take an object."""

    def refuse(self, path: str, reason: str) -> None:
        """Take why a part is left out."""

    def tell(self, done: float) -> None:
        """Take how much of all samples is read, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Some channels of a run of samples that make one signal."""

    places: Sequence[int]
    """Which of the channels that are read together."""
    name: str
    units: str | None
    gain: Sequence[float]
    """One per channel."""
    offset: float = 0.0
    channel_names: Sequence[str] = ()
    annotations: dict[str, Any] = field(default_factory=dict)

    @property
    def calibration(self) -> Calibration | None:
        """How stored numbers become units; None where they are that already."""
        gain = tuple(map(float, self.gain))
        found = Calibration(gain[:1] if len(set(gain)) == 1 else gain, float(self.offset))
        return None if found.is_identity else found


@dataclass(frozen=True, slots=True)
class Run:
    """Samples of several channels at one rate, which are read together."""

    n_samples: int
    t_start: float
    """In seconds."""
    sampling_rate: float
    """In hertz."""
    dtype: np.dtype[Any]
    n_channels: int
    read: Callable[[int, int], NDArray[Any]]
    """Returns samples start to stop: shape (stop - start, n_channels)."""


class Recording:
    """Tells a target of one recording: a Block, its Segments and what is in them.

    Parameters
    ----------
    target : Target
    name : str
        What the Block is called.
    """

    def __init__(self, target: Target, name: str) -> None:
        self.target, self.name = target, name
        self._n_done, self._n_samples = 0, 0
        self._numbers: dict[str, int] = {}

    def expect(self, n_samples: int) -> None:
        """Note how many samples, of all channels, there will be."""
        self._n_samples += n_samples

    def block(self, started: datetime | None, annotations: dict[str, Any]) -> None:
        """Tell of the Block."""
        fields = {"name": self.name, "filedatetime": started, "annotations": plain(annotations)}
        self.target.add_object(FoundObject("block", ROOT, fields))

    def segment(self, index: int, name: str, annotations: dict[str, Any], started: datetime | None = None) -> str:
        """Tell of a Segment; return its path."""
        path = f"/segment_{index}"
        fields = {"name": name, "index": index, "filedatetime": started, "annotations": plain(annotations)}
        self.target.add_object(FoundObject("segment", path, fields, {"block": ROOT}))
        return path

    def signals(self, segment: str, run: Run, every: Sequence[Columns]) -> None:
        """Tell of signals of one run: their samples are read once."""
        try:
            require_axis(run.sampling_rate, run.t_start)
        except Refused as error:
            self.target.refuse(f"{segment} {', '.join(one.name for one in every)}", str(error))
            return
        dtype = run.dtype.newbyteorder("<")
        paths = [self._path(segment, "signal") for _ in every]
        for path, one in zip(paths, every, strict=True):
            across = () if len(one.places) == 1 else (len(one.places),)
            names = list(one.channel_names) if across else None
            shape = (run.n_samples, *across)
            self.target.add_array(NewArray(path, one.name, dtype, shape, one.units, one.calibration, names))
        places = [one.places[0] if len(one.places) == 1 else list(one.places) for one in every]
        rows_at_once = max(1, WINDOW_NBYTES // max(run.n_channels * dtype.itemsize, 1))
        for start in range(0, run.n_samples, rows_at_once):
            stop = min(start + rows_at_once, run.n_samples)
            rows = run.read(start, stop)
            if rows.shape != (stop - start, run.n_channels):
                raise Refused(f"{rows.shape[0]} samples are where {stop - start} should be: it is damaged")
            for path, place in zip(paths, places, strict=True):
                self.target.add_rows(path, np.ascontiguousarray(rows[:, place], dtype))
            self._n_done += rows.size
            self.target.tell(min(1.0, self._n_done / max(self._n_samples, 1)))
        for path, one in zip(paths, every, strict=True):
            self._signal(segment, path, run, one)

    def _signal(self, segment: str, path: str, run: Run, one: Columns) -> None:
        several = len(one.places) > 1
        names = {"channel_names": list(one.channel_names)} if several else {}
        fields = {
            "name": one.name,
            "t_start": float(run.t_start),
            "t_start_units": "s",
            "sampling_rate": float(run.sampling_rate),
            "sampling_rate_units": "Hz",
            "annotations": plain({**names, **one.annotations}),
        }
        type_name = "analogsignalarray" if several else "analogsignal"
        self.target.add_object(FoundObject(type_name, path, fields, {"segment": segment}, {"signal": path}))

    def events(
        self,
        segment: str,
        name: str,
        times: NDArray[Any],
        labels: Sequence[str],
        durations: NDArray[Any] | None = None,
        annotations: dict[str, Any] | None = None,
    ) -> None:
        """Tell of labelled moments or, with durations, of labelled stretches; times are in seconds, in any order.

        Those without a time are left out, and those that end before they begin.
        """
        path = self._path(segment, "events" if durations is None else "epochs")
        is_backward = np.zeros(len(times), bool) if durations is None else np.asarray(durations) < 0
        kept = self._kept(path, np.isfinite(times) & ~is_backward, "have no time, or end before they begin")
        order = kept[np.argsort(times[kept], kind="stable")]
        texts = np.array([str(labels[place]).encode("utf-8", "backslashreplace") for place in order], "S")
        arrays = {"times": np.asarray(times, "<f8")[order], "labels": texts if len(order) else np.empty(0, "S1")}
        if durations is not None:
            arrays["durations"] = np.asarray(durations, "<f8")[order]
        type_name = "eventarray" if durations is None else "epocharray"
        self._whole(type_name, path, {"annotations": plain({"name": name, **(annotations or {})})}, segment, arrays)

    def spikes(
        self,
        segment: str,
        unit: str,
        name: str,
        times: NDArray[Any],
        span: tuple[float, float],
        waveforms: tuple[NDArray[Any], Calibration | None, str] | None = None,
        annotations: dict[str, Any] | None = None,
    ) -> None:
        """Tell of one unit's spikes, in seconds; waveforms with their calibration and unit."""
        path = self._path(segment, "spikes")
        kept = self._kept(path, np.isfinite(times), "have no time")
        order = kept[np.argsort(times[kept], kind="stable")]
        times = np.asarray(times, "<f8")[order]
        bounds = (span[0], *times[:1], *times[-1:], span[1])
        fields = {
            "name": name,
            "t_start": float(min(bounds)),
            "t_start_units": "s",
            "t_stop": float(max(bounds)),
            "t_stop_units": "s",
            "annotations": plain(annotations or {}),
        }
        linked = {"times": self._array(f"{path}/times", "times", times, "s")}
        if waveforms is not None:
            samples, calibration, units = waveforms
            samples = np.ascontiguousarray(samples[order], samples.dtype.newbyteorder("<"))
            linked["waveforms"] = self._array(f"{path}/waveforms", "waveforms", samples, units, calibration)
        self.target.add_object(FoundObject("spiketrain", path, fields, {"segment": segment, "unit": unit}, linked))

    def unit(self, number: int, name: str, annotations: dict[str, Any]) -> str:
        """Tell of a unit; return its path."""
        path = f"/unit_{number}"
        self.target.add_object(FoundObject("unit", path, {"name": name, "annotations": plain(annotations)}))
        return path

    def _whole(
        self, type_name: str, path: str, fields: dict[str, Any], segment: str, arrays: dict[str, NDArray[Any]]
    ) -> None:
        units = {"times": "s", "durations": "s"}
        linked = {name: self._array(f"{path}/{name}", name, values, units.get(name)) for name, values in arrays.items()}
        self.target.add_object(FoundObject(type_name, path, fields, {"segment": segment}, linked))

    def _array(
        self, path: str, name: str, values: NDArray[Any], units: str | None, calibration: Calibration | None = None
    ) -> str:
        self.target.add_array(NewArray(path, name, values.dtype, values.shape, units, calibration))
        rows_at_once = max(1, WINDOW_NBYTES * len(values) // max(values.nbytes, 1))
        for start in range(0, len(values), rows_at_once):
            self.target.add_rows(path, values[start : start + rows_at_once])
        return path

    def _kept(self, path: str, is_sound: NDArray[np.bool_], otherwise: str) -> NDArray[np.intp]:
        """Return which of some moments can be served, and tell how many cannot."""
        kept = np.flatnonzero(is_sound)
        if len(kept) < len(is_sound):
            self.target.refuse(path, f"{len(is_sound) - len(kept)} of its {len(is_sound)} moments {otherwise}")
        return kept

    def _path(self, segment: str, kind: str) -> str:
        number = self._numbers[f"{segment}/{kind}"] = self._numbers.get(f"{segment}/{kind}", -1) + 1
        return f"{segment}/{kind}_{number}"


def grouped(keys: Iterable[Any]) -> list[list[int]]:
    """Return the places of equal keys together, in the order in which each first stands."""
    groups: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return list(groups.values())


MAX_VALUES = 1000
"""Of a list in annotations; longer ones are data rather than what is said of them."""


def plain(told: dict[str, Any]) -> dict[str, Any]:
    """Return annotations as JSON has them, without what it has no form for."""
    found = {str(name): _plain(value) for name, value in told.items()}
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, bytes):
        value = value.rstrip(b"\0 ").decode("latin-1")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value] if len(value) <= MAX_VALUES else None
    return value if isinstance(value, str | bool | int | float) else None

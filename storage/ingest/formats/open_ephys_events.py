"""Events of Open Ephys: when, and which, in ``.npy`` files; copied, because a label is made of several of these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.file_set import FileSet
from storage.ingest.formats.flat_signals import ROOT
from storage.ingest.formats.npy import Npy
from storage.ingest.found import Found, FoundObject
from storage.times import BLOCK_ROWS

MAX_LABEL_NBYTES = 500


def add_events(found: Found, files: FileSet, folder: str, told: dict[str, Any]) -> None:
    """Add one channel of events as an eventarray, in the order of time.

    Parameters
    ----------
    found : Found
    files : FileSet
    folder : str
        In which its files are.
    told : dict
        What ``structure.oebin`` says of it.

    Raises
    ------
    Refused
    """
    source, times = _times(files, folder, told)
    labels = _labels(files, folder, len(times))
    if len(labels) != len(times):
        raise Refused(f"it has {len(labels)} labels for {len(times)} events")
    if not np.isfinite(times).all():
        raise Refused("its events have times that are not numbers")
    order = np.argsort(times, kind="stable")
    arrays = {}
    made: dict[str, tuple[NDArray[Any], str | None]] = {"times": (times[order], "s"), "labels": (labels[order], None)}
    for field, (values, units) in made.items():
        path = found.make(f"/{folder}#{field}", values, file=source)
        arrays[field] = found.whole(path, f"{folder} {field}", units)
    found.blocks[f"/{folder}#times"] = _blocks(times[order])
    name = str(told.get("channel_name") or folder.rpartition("/")[2])
    annotations = {"name": name, "stream": folder.removeprefix("events/")}
    if isinstance(told.get("description"), str):
        annotations["description"] = told["description"]
    found.objects.append(
        FoundObject("eventarray", f"/{folder}", {"annotations": annotations}, {"segment": ROOT}, arrays)
    )


def _times(files: FileSet, folder: str, told: dict[str, Any]) -> tuple[str, NDArray[np.float64]]:
    """Return times in s, by the clock of the stream, and which file tells them."""
    for name in ("sample_numbers", "timestamps"):
        if f"{folder}/{name}.npy" not in files.nbytes:
            continue
        values = Npy.of(files, f"{folder}/{name}.npy")
        if len(values.shape) != 1 or values.dtype.kind not in "iuf":
            raise Refused(f"its {name}.npy has the type {values.dtype} and the shape {values.shape}")
        if values.dtype.kind == "f":
            return values.name, values.whole().astype(np.float64)
        rate = float(told["sample_rate"])
        if not 0 < rate < float("inf"):
            raise Refused(f"its sample_rate is {rate}")
        return values.name, values.whole() / rate
    raise Refused("it has neither sample_numbers.npy nor timestamps.npy")


def _labels(files: FileSet, folder: str, n_events: int) -> NDArray[np.bytes_]:
    """Return what each event is: a text, or a line that went on or off, or a number."""
    if f"{folder}/text.npy" in files.nbytes:
        texts = Npy.of(files, f"{folder}/text.npy").whole().ravel()
        if texts.dtype.kind == "U":
            texts = np.char.encode(texts, "utf-8")
        if texts.dtype.kind != "S":
            raise Refused(f"its text.npy has the type {texts.dtype}")
        return texts.astype(f"S{min(max(texts.dtype.itemsize, 1), MAX_LABEL_NBYTES)}")
    for name in ("states", "channel_states"):
        if f"{folder}/{name}.npy" in files.nbytes:
            states = Npy.of(files, f"{folder}/{name}.npy").whole().ravel().tolist()
            return _bytes([f"{abs(int(state))} {'on' if state > 0 else 'off'}" for state in states])
    if f"{folder}/channels.npy" in files.nbytes:
        return _bytes([str(one) for one in Npy.of(files, f"{folder}/channels.npy").whole().ravel().tolist()])
    return _bytes([""] * n_events)


def _bytes(texts: list[str]) -> NDArray[np.bytes_]:
    width = max((len(text) for text in texts), default=1) or 1
    return np.array([text.encode() for text in texts], f"S{width}")


def _blocks(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first and the last of each block of sorted times."""
    starts = np.arange(0, len(times), BLOCK_ROWS)
    stops = np.minimum(starts + BLOCK_ROWS, len(times)) - 1
    return np.stack([times[starts], times[stops]], axis=1) if len(times) else np.empty((0, 2))

"""The process that parses a recording of another format: it is told names and lengths, and asks for byte ranges."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.hdf5.file import Description
from storage.ingest.found import FoundArray, FoundObject
from storage.ingest.sandbox import child, findings, server
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.messages import Channel, Closed
from storage.ingest.vendor import readers
from storage.ingest.vendor.files import RecordingFiles
from storage.ingest.vendor.telling import NewArray, Recording
from storage.ranges import ByteRange

STEP = 0.01
"""By which progress is told."""


def main(descriptor: int) -> None:
    """Serve as the sandbox's server does, with processes that import."""
    warm_up()
    server.main(descriptor, partial(child.run_with, work=work))


def warm_up() -> None:
    """Import every reader, and what is imported at first use, before any wall is up."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    readers.load()
    datetime.strptime("2000", "%Y")
    for kind in readers.READERS:
        with suppress(Exception):  # that of an empty file, whichever it is
            files = RecordingFiles.of({"empty": lambda _: []}, {"empty": 0})
            readers.read(kind, files, "empty", Recording(_Deaf(), "empty"))


def work(channel: Channel, task: dict[str, Any], _: bytes, limits: Limits) -> None:
    """Parse the files, and send what is in them as it is read, or why they are refused."""
    fetch = {one["name"]: partial(_ask, channel, number) for number, one in enumerate(task["files"])}
    files = RecordingFiles.of(fetch, {one["name"]: one["nbytes"] for one in task["files"]})
    recording = Recording(Telling(channel, limits), task["name"])
    try:
        readers.read(task["kind"], files, task["primary"], recording)
        channel.send({"end": True})
    except Closed:
        raise
    except Refused as error:
        channel.send({"refused": findings.cleaned(str(error), limits.reason_length)})
    except MemoryError:
        channel.send({"refused": "parsing it needs more memory than is allowed"})
    except Exception as error:  # what readers raise for damaged files is anything
        said = f"it is damaged, or no {task['kind']} file that is known here ({type(error).__name__}: {error})"
        channel.send({"refused": findings.cleaned(said, limits.reason_length)})


def _ask(channel: Channel, number: int, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
    """Fetch byte ranges of one file from the parent."""
    contents: list[bytes | memoryview] = []
    for start in range(0, len(ranges), child.REQUEST_RANGES):
        some = ranges[start : start + child.REQUEST_RANGES]
        channel.send({"read": [number, [[part.byte_offset, part.nbytes] for part in some]]})
        contents += channel.receive()[1]
    return contents


class Telling:
    """Sends to the parent what a recording is told as.

    Parameters
    ----------
    channel : Channel
    limits : Limits
    """

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self._channel, self._limits = channel, limits
        self._told = 0.0
        self._kept: set[tuple[str, str]] = set()
        self._missing: dict[str, int] = {}
        self._n_arrays = self._n_refused = 0

    def add_array(self, array: NewArray) -> None:
        """Send the form of an array; raises Refused where there are too many of them."""
        self._n_arrays += 1
        if array.shape[0]:
            self._missing[array.source_path] = array.shape[0]
        if self._n_arrays > self._limits.items or len(self._missing) > self._limits.open_arrays:
            raise Refused(
                f"it has more than {self._limits.items} arrays, or {self._limits.open_arrays} beside each other"
            )
        told = Description(array.dtype, array.shape, bytes(array.dtype.itemsize))
        found = FoundArray(
            array.source_path,
            array.source_path,
            findings.cleaned(array.name, self._limits.label_length),
            n_samples=array.shape[0],
            units=array.units or None,
            calibration=array.calibration,
            channel_names=array.channel_names,
        )
        findings.send_array(self._channel, found, told, self._limits)

    def add_rows(self, source_path: str, rows: NDArray[Any]) -> None:
        """Send the next rows of an array."""
        if not len(rows):
            return
        findings.send_samples(self._channel, source_path, rows)
        self._missing[source_path] -= len(rows)
        if not self._missing[source_path]:
            del self._missing[source_path]

    def add_object(self, one: FoundObject) -> None:
        """Send an object, unless the parent would not take it, or what that object belongs to."""
        if not one.parent_keys() <= self._kept:
            return
        if len(self._kept) >= self._limits.items:
            raise Refused(f"it has more than {self._limits.items} objects")
        try:
            findings.send_object(self._channel, one, self._limits)
        except Refused as error:
            self.refuse(one.source_path, str(error))
        else:
            self._kept.add((one.type_name, one.source_path))

    def refuse(self, path: str, reason: str) -> None:
        """Send why a part is left out, of as many parts as the parent takes."""
        self._n_refused += 1
        if self._n_refused > self._limits.refusals:
            return
        if self._n_refused == self._limits.refusals:
            path, reason = "/", "there is more that cannot be served"
        said = [findings.cleaned(text, self._limits.label_length) for text in (path, reason)]
        self._channel.send({"refusal": said})

    def tell(self, done: float) -> None:
        """Send how far it is, now and then."""
        if done >= self._told + STEP:
            self._told = done
            self._channel.send({"progress": ["/", int(done * 1000), 1000]})


class _Deaf:
    """Takes everything, and does nothing with it."""

    def add_array(self, array: NewArray) -> None: ...

    def add_rows(self, source_path: str, rows: NDArray[Any]) -> None: ...

    def add_object(self, one: FoundObject) -> None: ...

    def refuse(self, path: str, reason: str) -> None: ...

    def tell(self, done: float) -> None: ...


np.set_printoptions(threshold=20)
"""Errors that show arrays stay short."""

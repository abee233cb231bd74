"""The process that parses one file: it has a socket to its parent, and nothing else."""

from __future__ import annotations

import codecs
import io
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, cast

import h5py
import numpy as np

from storage.errors import NotOneArray, Refused, StillWritten
from storage.hdf5.remote_file import RemoteFile
from storage.ingest.file_set import FileSet
from storage.ingest.formats import flat
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.found import Found
from storage.ingest.inspect import check, check_order, inspect, told_end
from storage.ingest.sandbox import examples, findings, walls
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.messages import Channel, Closed
from storage.ranges import ByteRange

TRUSTED = sys.maxsize
"""The parent may send as much as it likes."""

REQUEST_NBYTES = 32 << 20
REQUEST_RANGES = 1024
"""Of one request; the parent takes somewhat more."""

Work = Callable[[Channel, dict[str, Any], bytes, Limits], None]


def run(descriptor: int) -> None:
    """Do the one task that the parent sends, behind all walls; does not return."""
    run_with(descriptor, work)


def run_with(descriptor: int, work: Work) -> None:
    """Raise the walls, tell the parent which of them are up, and begin if it says so."""
    walls.descriptors(keep=descriptor)
    channel = Channel(socket.socket(fileno=walls.SOCKET), max_message_nbytes=TRUSTED, max_nbytes=TRUSTED)
    try:
        task, parts = channel.receive()
        limits = Limits(**task["limits"])
        state = walls.raise_all(limits.memory_nbytes, limits.cpu_s_for(task["nbytes"]), only=task["walls"])
        channel.send({"walls": state})
        if channel.receive()[0]["begin"]:
            work(channel, task, bytes(parts[0]), limits)
    except Closed:  # the parent has had enough
        pass
    os._exit(0)


def work(channel: Channel, task: dict[str, Any], beginning: bytes, limits: Limits) -> None:
    """Parse the file, and send what was found in it, or why it is refused."""
    content = RemoteFile(Asking(channel, beginning), task["nbytes"])
    try:
        if task["do"] == "inspect several":
            findings.send(channel, _found_in_several(channel, task, beginning, limits))
            return
        found = _found(cast(BinaryIO, content), task, Telling(channel))
        content.raise_failure()
        end = told_end(cast(BinaryIO, content))
        fit = findings.fit(found, task["nbytes"] if end is None else min(end, task["nbytes"]), limits)
        if task["do"] == "check" and fit.refusals:
            raise Refused(fit.refusals[-1].reason)
        findings.send(channel, fit)
    except StillWritten as error:
        channel.send({"growing": findings.cleaned(str(error), limits.reason_length)})
    except NotOneArray as error:
        channel.send({"importable": [error.format, findings.cleaned(str(error), limits.reason_length)]})
    except Refused as error:
        channel.send({"refused": findings.cleaned(str(error), limits.reason_length)})
    except MemoryError:
        channel.send({"refused": "parsing it needs more memory than is allowed"})
    except Closed:
        raise
    except Exception as error:  # what libhdf5 raises for damaged files is anything
        said = f"it cannot be read: it is damaged, or not as its format says ({type(error).__name__}: {error})"
        channel.send({"refused": findings.cleaned(said, limits.reason_length)})


def _found(content: BinaryIO, task: dict[str, Any], progress: Telling) -> Found:
    if task["do"] == "check":
        return check(content, progress)
    if task["do"] == "order":
        return check_order(content, task["dataset"], task["runs"], progress)
    told: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in task["options"].items()
    }
    return inspect(content, task["name"], PlainOptions(**told), progress)


def _found_in_several(channel: Channel, task: dict[str, Any], beginning: bytes, limits: Limits) -> Found:
    """Return what was found in a recording of several files, made fit to be sent."""
    asks = [Asking(channel, b"" if number else beginning, number) for number in range(len(task["files"]))]
    files = FileSet(
        task["files"][0][0],
        {name: nbytes for name, nbytes, _ in task["files"]},
        {name: ask for (name, _, is_read), ask in zip(task["files"], asks, strict=True) if is_read},
        task["is_left_alone"],
    )
    found = flat.inspect(files, task["name"])
    return findings.fit(found, task["nbytes"], limits, files.nbytes)


class Asking:
    """Fetches byte ranges of one file from the parent.

    Parameters
    ----------
    channel : Channel
    beginning : bytes
        Of the file, which came with the task.
    number : int
        Which file of the recording.
    """

    def __init__(self, channel: Channel, beginning: bytes, number: int = 0) -> None:
        self._channel, self._beginning, self._number = channel, beginning, number

    def __call__(self, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        """Return the bytes of each range."""
        contents: list[bytes | memoryview] = []
        for batch in _batches(ranges):
            if all(part.end <= len(self._beginning) for part in batch):
                contents += _cut(self._beginning, batch)
                continue
            ranges_asked = [[part.byte_offset, part.nbytes] for part in batch]
            self._channel.send({"read": [self._number, ranges_asked]})
            contents += self._channel.receive()[1]
        return contents


def _batches(ranges: Sequence[ByteRange]) -> Iterator[list[ByteRange]]:
    batch: list[ByteRange] = []
    nbytes = 0
    for part in ranges:
        if batch and (nbytes + part.nbytes > REQUEST_NBYTES or len(batch) == REQUEST_RANGES):
            yield batch
            batch, nbytes = [], 0
        batch.append(part)
        nbytes += part.nbytes
    if batch:
        yield batch


class Telling:
    """Tells the parent how far an index is."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __call__(self, path: str, n_indexed: int, n_chunks: int) -> None:
        """Send one message."""
        self._channel.send({"progress": [findings.cleaned(path, 200), n_indexed, n_chunks]})


def warm_up() -> None:
    """Parse small files, so that what is imported at first use is there before the walls are."""
    for encoding in ("ascii", "latin-1", "utf-8", "unicode_escape"):
        codecs.lookup(encoding)
    for contents in examples.flat():
        asks = {name: partial(_cut, content) for name, content in contents.items()}
        files = FileSet(next(iter(contents)), {name: len(content) for name, content in contents.items()}, asks)
        findings.fit(flat.inspect(files, "warm-up_g0_t0.nidq"), 1, Limits(), files.nbytes)
    for marks in ({}, {"nwb_version": "2", "neurodata_type": np.bytes_(b"NWBFile")}):
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            file.attrs.update(marks)
            signal = file.create_dataset("signal", data=np.arange(9.0), chunks=(4,), compression="gzip", shuffle=True)
            signal.attrs.update(units="mV", other=np.bytes_(b"mV"), words=np.array(["a", "b"], h5py.string_dtype()))
            signal.attrs["table"] = signal.ref
        whole = memory.getvalue()
        for content in (whole, whole[: len(whole) // 2]):
            file_of_it = cast(BinaryIO, RemoteFile(partial(_cut, content), len(content)))
            with suppress(Refused):
                findings.fit(inspect(file_of_it, "warm-up", PlainOptions((1.0, "Hz"))), len(content), Limits())


def _cut(content: bytes, ranges: Sequence[ByteRange]) -> list[bytes]:
    return [content[part.byte_offset : part.end] for part in ranges]

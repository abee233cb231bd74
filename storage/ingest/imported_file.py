"""The HDF5 file that a recording of another format becomes: chunked by time, compressed, written as samples come."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod
from types import TracebackType
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.hdf5.file import Description, describe
from storage.ingest.found import Found

CHUNK_NBYTES = 1 << 20
MAX_WAITING_NBYTES = 128 << 20
"""Samples of all arrays that wait for their chunk to be full; beyond that they are written as they are."""
GZIP_LEVEL = 4
PATH = re.compile(r"(/[a-z]{1,20}(_[0-9]{1,9})?){1,4}", re.ASCII)
"""What its datasets are called; ``/segment_0/signal_0``."""


class Misfit(ValueError):
    """Samples that are not those of the array that was told of; the text follows "of"."""


@dataclass(slots=True)
class _Open:
    """One dataset while its samples come."""

    dataset: h5py.Dataset
    chunk_rows: int
    n_written: int = 0
    waiting: list[NDArray[Any]] = field(default_factory=list)
    n_waiting: int = 0
    blocks: list[NDArray[Any]] | None = None
    """First and last value of each block of rows; None where it cannot be times."""
    last: NDArray[Any] | None = None


class ImportedFile:
    """A new file; it is whole when it is left without an error.

    Parameters
    ----------
    content : file object
        Empty, binary, to be read and written; it is not closed.
    max_nbytes : int
        Of all samples.
    """

    def __init__(self, content: IO[bytes], max_nbytes: int) -> None:
        self._content, self._left_nbytes = content, max_nbytes
        self._file: h5py.File | None = None
        self._open: dict[str, _Open] = {}
        self._blocks: dict[str, NDArray[np.generic]] = {}
        self._waiting_nbytes = 0

    def __enter__(self) -> ImportedFile:
        """Begin it."""
        # Without a cache, which would be one for each array: chunks are written when they are full.
        self._file = h5py.File(self._content, "w", libver=("earliest", "v110"), rdcc_nbytes=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._open.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def n_open(self) -> int:
        """How many arrays miss some of their samples."""
        return len(self._open)

    def is_whole(self, path: str) -> bool:
        """Whether all samples of an array have come."""
        return path in self._blocks or path not in self._open

    def create(self, path: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Begin an array; raises Misfit where it cannot be one."""
        if self._file is None or not PATH.fullmatch(path):
            raise Misfit(f"an array in a place where none is: {path[:40]!r}")
        self._left_nbytes -= prod(shape) * dtype.itemsize
        if self._left_nbytes < 0:
            raise Misfit("more samples than files of this length can hold")
        chunks = chunk_shape(dtype, shape)
        how: dict[str, Any] = {"compression": "gzip", "compression_opts": GZIP_LEVEL, "shuffle": True}
        kind = h5py.string_dtype("utf-8", dtype.itemsize) if dtype.kind == "S" else dtype
        try:
            dataset = self._file.create_dataset(
                path, shape, kind, chunks=chunks, track_times=False, **(how if chunks else {})
            )
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            raise Misfit(f"an array that cannot be stored: {error}") from error
        is_time_like = len(shape) == 1 and dtype.kind in "iuf"
        one = _Open(dataset, chunks[0] if chunks else 1, blocks=[] if is_time_like else None)
        self._open[path] = one
        if not shape[0]:
            self._end(path, one)

    def append(self, path: str, content: memoryview) -> None:
        """Take the next samples of an array, as bytes; raises Misfit."""
        one = self._open.get(path)
        if one is None:
            raise Misfit("samples of an array that has all of them, or is none")
        shape, dtype = one.dataset.shape, np.dtype(one.dataset.dtype.str)
        row_nbytes = prod(shape[1:]) * dtype.itemsize
        if not row_nbytes or not len(content) or len(content) % row_nbytes:
            raise Misfit("samples that are not whole")
        rows = np.frombuffer(content, dtype).reshape(-1, *shape[1:])
        if one.n_written + one.n_waiting + len(rows) > shape[0]:
            raise Misfit("more samples than were announced")
        one.waiting.append(rows)
        one.n_waiting += len(rows)
        self._waiting_nbytes += rows.nbytes
        is_last = one.n_written + one.n_waiting == shape[0]
        if is_last or one.n_waiting >= one.chunk_rows:
            self._write(one, one.n_waiting if is_last else one.n_waiting // one.chunk_rows * one.chunk_rows)
        if is_last:
            self._end(path, one)
        if self._waiting_nbytes > MAX_WAITING_NBYTES:
            for other in self._open.values():
                self._write(other, other.n_waiting)

    def describe(self, annotations: dict[str, dict[str, Any]]) -> Found:
        """Return what reading the arrays takes, and say in the file what they are.

        Parameters
        ----------
        annotations : dict
            Attributes of the datasets, by path.
        """
        found = Found()
        assert self._file is not None
        for path, attributes in annotations.items():
            self._file[path].attrs.update(attributes)
        self._file.close()
        with h5py.File(self._content, "r") as file:
            self._file = None
            for path in annotations:
                found.datasets[path] = described(file[path])
        found.blocks = {path: blocks for path, blocks in self._blocks.items() if path in annotations}
        return found

    def blocks_of(self, path: str) -> NDArray[np.generic] | None:
        """Return first and last value of each block of rows of sorted times; None where it has none such."""
        return self._blocks.get(path)

    def _write(self, one: _Open, n_rows: int) -> None:
        if not n_rows:
            return
        rows = one.waiting[0] if len(one.waiting) == 1 else np.concatenate(one.waiting)
        now, later = rows[:n_rows], rows[n_rows:]
        typed = now.astype(one.dataset.dtype) if now.dtype.kind == "S" else now  # which says that it is UTF-8
        one.dataset[one.n_written : one.n_written + n_rows] = typed
        one.waiting, one.n_waiting = ([later] if len(later) else []), len(later)
        one.n_written += n_rows
        self._waiting_nbytes -= now.nbytes
        _note_blocks(one, now)

    def _end(self, path: str, one: _Open) -> None:
        del self._open[path]
        if one.blocks is not None:
            dtype = np.dtype(one.dataset.dtype.str)
            self._blocks[path] = np.concatenate(one.blocks) if one.blocks else np.empty((0, 2), dtype)


def chunk_shape(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return chunks of about 1 MB that hold all channels of a run of samples; None for what is empty."""
    if not prod(shape):
        return None
    row_nbytes = prod(shape[1:]) * dtype.itemsize
    return (max(1, min(shape[0], CHUNK_NBYTES // row_nbytes)), *shape[1:])


def described(dataset: h5py.Dataset) -> Description:
    """Describe a dataset of a file that this process has written itself."""
    return describe(dataset)


def _note_blocks(one: _Open, rows: NDArray[Any]) -> None:
    """Note the first and last value of each chunk of rows as long as they are finite and sorted."""
    if one.blocks is None:
        return
    joined = rows if one.last is None else np.concatenate([one.last, rows])
    if (joined[1:] < joined[:-1]).any() or not np.isfinite(rows).all():
        one.blocks = None
        return
    one.last = rows[-1:]
    if (one.n_written - len(rows)) % one.chunk_rows:  # it was written in parts of chunks
        one.blocks = None
        return
    starts = np.arange(0, len(rows), one.chunk_rows)
    ends = np.minimum(starts + one.chunk_rows, len(rows)) - 1
    one.blocks.append(np.stack([rows[starts], rows[ends]], axis=1))

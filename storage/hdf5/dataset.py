"""Samples of a stored dataset by byte ranges: which chunks, where they lie, decoded and put in place."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.cache import Cache
from storage.errors import FileDamaged
from storage.hdf5.chunk import Chunk, Place, Samples, decoded
from storage.hdf5.chunk_index import MISSING, ChunkIndex, IndexSource, grid_of
from storage.hdf5.filters import DamagedChunk, Filter
from storage.hdf5.sidecar import MENDED_BY
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange, coalesce, split
from storage.side_by_side import SideBySide
from storage.stores.backend import Content, file_name
from storage.timings import Timings

MAX_OFFSET = 1 << 63
MISSING_OFFSET = int(MISSING)


@dataclass(frozen=True, slots=True)
class Contiguous:
    """All samples in one run, in C order."""

    byte_offset: int | None
    """None where nothing was ever written: all samples are the fill value."""


@dataclass(frozen=True, slots=True)
class Chunked:
    """Samples in chunks of one shape, each stored through the filters."""

    chunk_shape: tuple[int, ...]
    filters: tuple[Filter, ...]
    index: ChunkIndex


@dataclass(frozen=True, slots=True)
class Dataset:
    """An array in a stored file, as far as reading it needs."""

    file: str
    """Key or URL of the stored file."""
    pin: str | None
    """What the store must say of the file's version; None for files that never change."""
    dtype: np.dtype[Any]
    """As stored, of either byte order."""
    shape: tuple[int, ...]
    """At least one axis."""
    layout: Contiguous | Chunked
    fill: bytes
    """One element, as stored."""

    @property
    def row_nbytes(self) -> int:
        """Bytes of one row, decoded, all columns."""
        return prod(self.shape[1:]) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Plan:
    """What a read will ask of the store."""

    n_chunks: int
    """Chunks that hold the samples; 0 for a contiguous dataset."""
    ranges: list[ByteRange]
    """One request each."""


@dataclass(frozen=True, slots=True)
class DatasetReader:
    """Reads datasets; shared by all threads of a process."""

    store: ObjectStore
    indices: IndexSource
    chunk_cache: Cache[Chunk]
    decoders: SideBySide
    ahead: Executor
    """Threads that read what will be needed soon."""

    def read_runs(
        self,
        dataset: Dataset,
        runs: Sequence[tuple[int, int]],
        columns: Sequence[int] | None,
        *,
        keep: bool,
        timings: Timings,
    ) -> list[Samples]:
        """Return the rows of each run, fetched together.

        Parameters
        ----------
        dataset : Dataset
        runs : sequence of (start, stop)
            Row numbers, ``stop`` excluded, within the dataset.
        columns : sequence of int or None
            Columns of a two-dimensional dataset in the order wanted; None is all.
        keep : bool
            Whether decoded chunks stay in the cache.

        Returns
        -------
        list of ndarray
            Little-endian, shape (stop - start, …) each; may be read-only.
        """
        layout = dataset.layout
        if isinstance(layout, Contiguous):
            return self._read_contiguous(dataset, layout.byte_offset, runs, columns, timings)
        return self._read_chunked(dataset, layout, runs, columns, keep, timings)

    def plan(
        self, dataset: Dataset, runs: Sequence[tuple[int, int]], columns: Sequence[int] | None, timings: Timings
    ) -> Plan:
        """Say what ``read_runs`` would ask of the store, were nothing cached; fetches index rows only."""
        layout = dataset.layout
        if isinstance(layout, Contiguous):
            empty = layout.byte_offset is None or not dataset.row_nbytes
            parts = {_span(dataset, layout.byte_offset or 0, *run) for run in runs if run[1] > run[0] and not empty}
            return Plan(0, _together(parts))
        ids = _touched(dataset, layout, runs, columns)
        rows = self._rows(layout, ids, timings)
        return Plan(len(ids), _together({part for part in _ranges(dataset, rows) if part is not None}))

    def fetch_index_ahead(self, dataset: Dataset) -> None:
        """Begin to fetch a chunk index that will be needed, if it is kept whole; whoever then needs it waits for it."""
        layout = dataset.layout
        if isinstance(layout, Chunked) and layout.index.is_kept_whole:
            no_ids = np.empty(0, np.int64)
            self.ahead.submit(layout.index.rows, no_ids, self.indices)

    def _rows(self, layout: Chunked, ids: NDArray[np.int64], timings: Timings) -> NDArray[np.void]:
        with timings.of("index"):
            return layout.index.rows(ids, self.indices)

    def _read_contiguous(
        self,
        dataset: Dataset,
        byte_offset: int | None,
        runs: Sequence[tuple[int, int]],
        columns: Sequence[int] | None,
        timings: Timings,
    ) -> list[Samples]:
        if byte_offset is None or not dataset.row_nbytes:
            return [_filled(dataset, stop - start, columns) for start, stop in runs]
        spans = {run: _span(dataset, byte_offset, *run) for run in runs if run[1] > run[0]}
        with timings.of("fetch"):
            raw = self._fetch_raw(dataset, set(spans.values()))
        with timings.of("decode"):
            return [
                _contiguous_rows(dataset, raw[spans[run]], columns) if run in spans else _filled(dataset, 0, columns)
                for run in runs
            ]

    def _fetch_raw(self, dataset: Dataset, wanted: Collection[ByteRange]) -> dict[ByteRange, Content]:
        """Fetch byte ranges of the file: near ones together, a long one by itself in pieces side by side."""
        if len(wanted) == 1:
            (whole,) = wanted
            contents = self.store.get_ranges(dataset.file, split(whole), pin=dataset.pin)
            return {whole: contents[0] if len(contents) == 1 else b"".join(contents)}
        groups = coalesce(wanted)
        contents = self.store.get_ranges(dataset.file, [span for span, _ in groups], pin=dataset.pin)
        return {
            part: memoryview(content)[part.byte_offset - span.byte_offset :][: part.nbytes]
            for (span, parts), content in zip(groups, contents, strict=True)
            for part in parts
        }

    def _read_chunked(
        self,
        dataset: Dataset,
        layout: Chunked,
        runs: Sequence[tuple[int, int]],
        columns: Sequence[int] | None,
        keep: bool,
        timings: Timings,
    ) -> list[Samples]:
        ids = _touched(dataset, layout, runs, columns)
        rows = self._rows(layout, ids, timings)
        chunks = self._chunks(dataset, layout, rows, keep, timings)
        with timings.of("decode"):
            by_id = dict(zip(ids.tolist(), chunks, strict=True))
            return [_assemble(dataset, layout, run, columns, by_id) for run in runs]

    def _chunks(
        self, dataset: Dataset, layout: Chunked, rows: NDArray[np.void], keep: bool, timings: Timings
    ) -> list[Chunk | None]:
        """Return each chunk decoded, None where it was never written."""
        # Also by how the bytes are read: a hostile file may have two datasets lie in the same place.
        form = dataset.file, dataset.pin, dataset.dtype, layout.chunk_shape, layout.filters
        keys = [(form, offset) for offset in rows["byte_offset"].tolist()]
        stored = {
            key: (part, mask)
            for key, part, mask in zip(keys, _ranges(dataset, rows), rows["filter_mask"].tolist(), strict=True)
            if part is not None
        }

        def fetch(missing: list[Hashable]) -> dict[Hashable, Chunk]:
            wanted = {key: stored[key] for key in missing}  # type: ignore[index]
            return self._fetch(dataset, layout, wanted, timings)

        found = self.chunk_cache.get_many(stored, fetch, keep=keep)
        return [found.get(key) for key in keys]

    def _fetch(
        self,
        dataset: Dataset,
        layout: Chunked,
        wanted: dict[Hashable, tuple[ByteRange, int]],
        timings: Timings,
    ) -> dict[Hashable, Chunk]:
        """Fetch and decode chunks that nobody has."""
        with timings.of("fetch"):
            raw = self._fetch_raw(dataset, {part for part, _ in wanted.values()})
        with timings.of("decode"):
            decoded = self.decoders.map(
                lambda part_and_mask: _decode(dataset, layout, raw[part_and_mask[0]], part_and_mask[1]),
                list(wanted.values()),
            )
            return dict(zip(wanted, decoded, strict=True))


def _decode(dataset: Dataset, layout: Chunked, raw: Content, filter_mask: int) -> Chunk:
    """Return one chunk in its full shape."""
    try:
        return decoded(raw, layout.filters, filter_mask=filter_mask, dtype=dataset.dtype, shape=layout.chunk_shape)
    except DamagedChunk as error:
        raise FileDamaged(f"a chunk of {file_name(dataset.file)} is damaged: {error}") from error


def _together(wanted: Collection[ByteRange]) -> list[ByteRange]:
    """Return the ranges that are fetched for those wanted."""
    return split(*wanted) if len(wanted) == 1 else [span for span, _ in coalesce(wanted)]


def _little(samples: Samples) -> Samples:
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False)


def _ranges(dataset: Dataset, rows: NDArray[np.void]) -> Iterator[ByteRange | None]:
    """Yield where each chunk lies, None where it was never written; raises FileDamaged where none of a file can lie."""
    for offset, nbytes in zip(rows["byte_offset"].tolist(), rows["nbytes"].tolist(), strict=True):
        if offset == MISSING_OFFSET:
            yield None
        elif offset >= MAX_OFFSET or not nbytes:
            raise FileDamaged(f"the index of {file_name(dataset.file)} is damaged; {MENDED_BY}")
        else:
            yield ByteRange(offset, nbytes)


def _span(dataset: Dataset, byte_offset: int, start: int, stop: int) -> ByteRange:
    return ByteRange(byte_offset + start * dataset.row_nbytes, (stop - start) * dataset.row_nbytes)


def _contiguous_rows(dataset: Dataset, raw: Content, columns: Sequence[int] | None) -> Samples:
    """Return the bytes of a run as its rows."""
    samples = np.frombuffer(raw, dataset.dtype).reshape(-1, *dataset.shape[1:])
    return _little(samples if columns is None else samples[:, list(columns)])


def _filled(dataset: Dataset, n_rows: int, columns: Sequence[int] | None) -> Samples:
    """Return rows that were never written."""
    shape = (n_rows, *(dataset.shape[1:] if columns is None else (len(columns),)))
    fill = _little(np.frombuffer(dataset.fill, dataset.dtype))
    return np.broadcast_to(fill.reshape((1,) * len(shape)), shape)


def _touched(
    dataset: Dataset, layout: Chunked, runs: Sequence[tuple[int, int]], columns: Sequence[int] | None
) -> NDArray[np.int64]:
    """Return the numbers of all chunks that hold samples of the runs, sorted."""
    grid = grid_of(dataset.shape, layout.chunk_shape)
    per_row = prod(grid[1:])
    length = layout.chunk_shape[0]
    spans = [np.arange(start // length, (stop - 1) // length + 1) for start, stop in runs if stop > start]
    if not spans or not per_row:
        return np.empty(0, np.int64)
    chunk_rows = spans[0] if len(spans) == 1 else np.unique(np.concatenate(spans))
    if per_row == 1:
        return chunk_rows
    across = np.arange(per_row) if columns is None else np.unique(np.asarray(columns) // layout.chunk_shape[1])
    return (chunk_rows[:, None] * per_row + across[None, :]).ravel()


def _assemble(
    dataset: Dataset,
    layout: Chunked,
    run: tuple[int, int],
    columns: Sequence[int] | None,
    chunks: dict[int, Chunk | None],
) -> Samples:
    """Put the parts of decoded chunks that a run needs in place."""
    start, stop = run
    length = layout.chunk_shape[0]
    if len(dataset.shape) == 1 and start // length == (stop - 1) // length:
        chunk = chunks.get(start // length)
        if chunk is not None:
            first = start // length * length
            return chunk.samples((slice(start - first, stop - first),))
    samples = _filled(dataset, stop - start, columns)
    grid = grid_of(dataset.shape, layout.chunk_shape)
    touched = {number: chunks[number] for number in _touched(dataset, layout, [run], columns).tolist()}
    written = {number: chunk for number, chunk in touched.items() if chunk is not None}
    if not written:
        return samples  # one element in memory, whatever the length
    samples = np.empty(samples.shape, samples.dtype) if len(written) == len(touched) else samples.copy("C")
    for number, chunk in written.items():
        place = np.unravel_index(number, grid)
        corner = [int(index) * size for index, size in zip(place, layout.chunk_shape, strict=True)]
        low, high = max(start, corner[0]), min(stop, corner[0] + length)
        target: Place = (slice(low - start, high - start),)
        source: Place = (slice(low - corner[0], high - corner[0]),)
        if columns is None:
            for offset, size, whole in zip(corner[1:], layout.chunk_shape[1:], dataset.shape[1:], strict=True):
                target += (slice(offset, min(offset + size, whole)),)
                source += (slice(0, min(size, whole - offset)),)
        else:
            wanted = np.asarray(columns)
            here = np.flatnonzero((wanted >= corner[1]) & (wanted < corner[1] + layout.chunk_shape[1]))
            target += (here,)
            source += (wanted[here] - corner[1],)
        chunk.copy(source, samples, target)
    return samples

"""Samples of a stored dataset by byte ranges: which chunks, where they lie, decoded and put in place."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage import range_reads
from storage.cache import Cache
from storage.errors import FileDamaged
from storage.hdf5.chunk import Chunk, Samples, decoded
from storage.hdf5.chunk_index import MISSING, IndexSource
from storage.hdf5.filters import DamagedChunk
from storage.hdf5.layout import Chunked, Contiguous, Dataset
from storage.hdf5.placing import filled, rows_of_chunks, rows_of_spans, spans, touched
from storage.hdf5.sidecar import MENDED_BY
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from storage.side_by_side import SideBySide
from storage.stores.backend import Content, file_name
from storage.timings import Timings

MAX_OFFSET = 1 << 63
MISSING_OFFSET = int(MISSING)


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
            Numbers of samples, ``stop`` excluded, within the dataset.
        columns : sequence of int or None
            Channels of a two-dimensional dataset in the order wanted; None is all.
        keep : bool
            Whether decoded chunks stay in the cache.

        Returns
        -------
        list of ndarray
            Little-endian, shape (stop - start, …) each; may be read-only, and of either order in memory.
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
            if layout.byte_offset is None:
                return Plan(0, [])
            return Plan(
                0,
                range_reads.requests(
                    {part for run in runs for part in spans(dataset, layout.byte_offset, run, columns)}
                ),
            )
        ids = touched(dataset, layout, runs, columns)
        rows = self._rows(layout, ids, timings)
        return Plan(len(ids), range_reads.requests({part for part in _ranges(dataset, rows) if part is not None}))

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
            return [filled(dataset, stop - start, columns) for start, stop in runs]
        parts = [spans(dataset, byte_offset, run, columns) for run in runs]
        with timings.of("fetch"):
            raw = range_reads.fetch(
                self.store, dataset.file, {part for of_run in parts for part in of_run}, pin=dataset.pin
            )
        with timings.of("decode"):
            return [
                rows_of_spans(dataset, [raw[part] for part in of_run], columns)
                if of_run
                else filled(dataset, 0, columns)
                for of_run in parts
            ]

    def _read_chunked(
        self,
        dataset: Dataset,
        layout: Chunked,
        runs: Sequence[tuple[int, int]],
        columns: Sequence[int] | None,
        keep: bool,
        timings: Timings,
    ) -> list[Samples]:
        ids = touched(dataset, layout, runs, columns)
        rows = self._rows(layout, ids, timings)
        chunks = self._chunks(dataset, layout, rows, keep, timings)
        with timings.of("decode"):
            by_id = dict(zip(ids.tolist(), chunks, strict=True))
            return [rows_of_chunks(dataset, layout, run, columns, by_id) for run in runs]

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
            raw = range_reads.fetch(self.store, dataset.file, {part for part, _ in wanted.values()}, pin=dataset.pin)
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


def _ranges(dataset: Dataset, rows: NDArray[np.void]) -> Iterator[ByteRange | None]:
    """Yield where each chunk lies, None where it was never written; raises FileDamaged where none of a file can lie."""
    for offset, nbytes in zip(rows["byte_offset"].tolist(), rows["nbytes"].tolist(), strict=True):
        if offset == MISSING_OFFSET:
            yield None
        elif offset >= MAX_OFFSET or not nbytes:
            raise FileDamaged(f"the index of {file_name(dataset.file)} is damaged; {MENDED_BY}")
        else:
            yield ByteRange(offset, nbytes)

"""Where each chunk of a dataset lies in its file: built once with libhdf5, read by byte ranges ever after."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import prod

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.cache import Cache
from storage.errors import Refused
from storage.hdf5 import packed_index, sidecar
from storage.hdf5.packed_index import ROW, WHOLE_ROWS
from storage.objectstore import ObjectStore
from storage.progress import Progress, untold
from storage.ranges import ByteRange, coalesce

MISSING = np.uint64(2**64 - 1)
MAX_CHUNKS = 50_000_000
MAX_CHUNK_NBYTES = 2**32 - 1

PAGE_ROWS = 4096
"""Rows of a long index that are fetched and kept together: 64 kB."""

PLACED_TOGETHER = 16384
"""Chunks that are put into their rows at once while an index is built."""


@dataclass(frozen=True, slots=True)
class IndexSource:
    """Where rows come from: memory, else the catalog, else the sidecar."""

    store: ObjectStore
    cache: Cache[NDArray[np.void]]
    short_index: Callable[[str], bytes | None]
    """Gives what the catalog keeps of the index in a sidecar, by its key, as ``packed_index`` packs it."""


@dataclass(frozen=True, slots=True)
class ChunkIndex:
    """A stored index: one row per chunk of the grid, in C order."""

    name: str
    """Key of the sidecar that holds the rows."""
    byte_offset: int
    n_rows: int

    @property
    def is_kept_whole(self) -> bool:
        """Whether all rows are fetched for any of them."""
        return self.n_rows <= WHOLE_ROWS

    def rows(self, ids: NDArray[np.int64], source: IndexSource) -> NDArray[np.void]:
        """Return the rows of these chunks, in the order asked: dtype ROW, shape of ``ids``."""
        if self.is_kept_whole:
            return source.cache.get((self.name, "whole"), lambda: self._whole(source))[ids]
        wanted = np.unique(ids // PAGE_ROWS)

        def fetch(missing: list[Hashable]) -> dict[Hashable, NDArray[np.void]]:
            return self._fetch([(key, int(key[1])) for key in missing if isinstance(key, tuple)], source.store)

        pages = source.cache.get_many([(self.name, int(page)) for page in wanted], fetch)
        if len(wanted) == 1:
            return pages[self.name, int(wanted[0])][ids - int(wanted[0]) * PAGE_ROWS]
        rows = np.empty(ids.shape, ROW)
        page_of = ids // PAGE_ROWS
        for page in wanted.tolist():
            here = page_of == page
            rows[here] = pages[self.name, page][ids[here] - page * PAGE_ROWS]
        return rows

    def _whole(self, source: IndexSource) -> NDArray[np.void]:
        """Return all rows, from the catalog if it keeps them."""
        packed = source.short_index(self.name)
        if packed is not None:
            return packed_index.unpack(packed, self.n_rows)
        (content,) = sidecar.fetch(source.store, self.name, [self._run(0, self.n_rows)]) if self.n_rows else (b"",)
        return np.frombuffer(content, ROW)

    def _fetch(self, missing: list[tuple[Hashable, int]], store: ObjectStore) -> dict[Hashable, NDArray[np.void]]:
        """Fetch pages that nobody has."""
        places = {self._page(page): key for key, page in missing}
        groups = coalesce(places)
        pages = {}
        contents = sidecar.fetch(store, self.name, [span for span, _ in groups])
        for (span, parts), content in zip(groups, contents, strict=True):
            for part in parts:
                start = part.byte_offset - span.byte_offset
                # A copy, so that the cache does not hold the whole answer for one of its pages.
                pages[places[part]] = np.frombuffer(content[start : start + part.nbytes], ROW)
        return pages

    def _page(self, page: int) -> ByteRange:
        first = page * PAGE_ROWS
        return self._run(first, min(PAGE_ROWS, self.n_rows - first))

    def _run(self, first: int, n_rows: int) -> ByteRange:
        return ByteRange(self.byte_offset + first * ROW.itemsize, n_rows * ROW.itemsize)


def grid_of(shape: tuple[int, ...], chunk_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many chunks a dataset has along each axis."""
    return tuple(-(-length // chunk) for length, chunk in zip(shape, chunk_shape, strict=True))


def build(dataset: h5py.Dataset, progress: Progress = untold) -> NDArray[np.void]:
    """Return the rows of a chunked dataset: dtype ROW, one per chunk of the grid, in C order.

    Raises
    ------
    Refused
        If there are more or larger chunks than an index can hold, or chunks where the dataset has none.
    """
    chunk_shape = dataset.chunks
    grid = grid_of(dataset.shape, chunk_shape)
    if prod(grid) > MAX_CHUNKS:
        raise Refused(f"it has {prod(grid)} chunks, more than {MAX_CHUNKS}")
    if prod(chunk_shape) * dataset.dtype.itemsize > MAX_CHUNK_NBYTES:
        raise Refused(f"its chunks of shape {chunk_shape} are larger than 4 GiB")
    rows = np.empty(prod(grid), ROW)
    rows["byte_offset"], rows["nbytes"], rows["filter_mask"] = MISSING, 0, 0
    found: list[h5py.h5d.StoreInfo] = []
    n_placed = 0
    progress(0, len(rows))

    def place() -> None:
        nonlocal n_placed
        n_placed += len(found)
        if n_placed > len(rows):  # as when a node of the index leads back to one above it
            raise Refused(f"its chunk index is damaged: it has more than the {len(rows)} chunks of its shape")
        _place(found, rows, grid, chunk_shape)
        found.clear()
        progress(n_placed, len(rows))

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        found.append(chunk)
        if len(found) == PLACED_TOGETHER:
            place()

    dataset.id.chunk_iter(note)
    place()
    progress(len(rows), len(rows))
    return rows


def _place(
    found: list[h5py.h5d.StoreInfo],
    rows: NDArray[np.void],
    grid: tuple[int, ...],
    chunk_shape: tuple[int, ...],
) -> None:
    """Put chunks into the rows where they belong."""
    if not found:
        return
    offsets, filter_masks, byte_offsets, nbytes = zip(*found, strict=True)
    places = np.array(offsets, np.uint64) // np.array(chunk_shape, np.uint64)
    if (places >= np.array(grid, np.uint64)).any():
        raise Refused("its chunk index is damaged: it has chunks beyond its shape")
    ids = np.ravel_multi_index(tuple(places.T.astype(np.intp)), grid)
    rows["byte_offset"][ids], rows["nbytes"][ids], rows["filter_mask"][ids] = byte_offsets, nbytes, filter_masks

"""Files of many small chunks, quickly made, and how they are read over a network."""

from __future__ import annotations

import io
from itertools import product
from math import prod
from pathlib import Path
from tempfile import NamedTemporaryFile

import h5py
import numpy as np

from storage.hdf5.chunk_index import grid_of

NBYTES = 40


def write(shape, chunks, *, written=None, nbytes=NBYTES, userblock=0, **creation):
    """Return a file whose chunks hold nothing in earnest: ``written`` are the numbers of those that are there."""
    libver, dcpl = creation.pop("libver", "earliest"), creation.pop("dcpl", None)
    with NamedTemporaryFile() as place, h5py.File(place.name, "w", libver=libver, userblock_size=userblock) as file:
        dataset = file.create_dataset("signal", shape, "<i2", chunks=chunks, dcpl=dcpl, **creation)
        grid = grid_of(shape, chunks)
        whole = prod(chunks) * 2
        lengths = np.random.default_rng(1).integers(nbytes * 3 // 4, nbytes * 5 // 4, prod(grid)).tolist()
        for number, cell in enumerate(product(*map(range, grid))):
            if written is None or number in written:
                corner = tuple(index * length for index, length in zip(cell, chunks, strict=True))
                stored = bytes(lengths[number]) if dataset.compression else bytes(whole)
                dataset.id.write_direct_chunk(corner, stored, filter_mask=number % 2 if dataset.compression else 0)
        file.close()
        return Path(place.name).read_bytes()


class Remote:
    """Ranges of a file in memory, and what was asked for."""

    def __init__(self, content):
        self.content, self.calls = content, []

    def fetch(self, ranges):
        self.calls.append(list(ranges))
        assert all(part.end <= len(self.content) for part in ranges)
        return [self.content[part.byte_offset : part.end] for part in ranges]

    def times_asked(self, *, first_call=0):
        """How often each byte was asked for."""
        asked = np.zeros(len(self.content), np.uint16)
        for call in self.calls[first_call:]:
            for part in call:
                asked[part.byte_offset : part.end] += 1
        return asked

    @property
    def rounds(self):
        return len(self.calls)

    @property
    def nbytes(self):
        return sum(part.nbytes for call in self.calls for part in call)


def chunk_infos(file, name="signal"):
    """All chunks of a dataset as libhdf5 lists them, read from any kind of file."""
    infos = []
    with h5py.File(file, "r") as opened:
        opened[name].id.chunk_iter(infos.append)
    return infos


def rows_of(content, name="signal"):
    """The chunk index as libhdf5 tells it, one chunk at a time, of a file in memory."""
    with h5py.File(io.BytesIO(content), "r") as file:
        dataset = file[name]
        grid = grid_of(dataset.shape, dataset.chunks)
        rows = dict.fromkeys(range(prod(grid)), (2**64 - 1, 0, 0))
        infos = []
        dataset.id.chunk_iter(infos.append)
        for info in infos:
            place = [offset // length for offset, length in zip(info.chunk_offset, dataset.chunks, strict=True)]
            rows[int(np.ravel_multi_index(place, grid))] = (info.byte_offset, info.size, info.filter_mask)
    return list(rows.values())

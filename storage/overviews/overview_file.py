"""The HDF5 file of an overview while it is made: contiguous datasets, whose bytes are written in any order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.overviews.entries import Entries
from storage.overviews.form import BLOCK_CHANNELS, TILE_ENTRIES, VERSION, OverviewForm

DATASET = "{}_{}"
"""What the dataset of a statistic and a size is called."""


class OverviewFile:
    """A new file.

    Parameters
    ----------
    content : file object
        Empty, binary, unbuffered, to be read and written; it is not closed.
    form : OverviewForm
    """

    def __init__(self, content: IO[bytes], form: OverviewForm) -> None:
        self.form = form
        self.offsets: dict[tuple[str, int], int] = {}
        self.has_missing = False
        """Whether any sample so far is NaN."""
        self._content = content
        with h5py.File(content, "w", libver=("earliest", "v108")) as file:
            file.attrs["ephystore_overview"] = VERSION
            # Those of NaN last: where there is none, they are cut off again.
            for statistic in form.statistics():
                for size in form.sizes:
                    self.offsets[statistic, size] = self._allocated(file, statistic, size)

    def _allocated(self, file: h5py.File, statistic: str, size: int) -> int:
        """Make a dataset whose bytes are written later, past libhdf5; return where it begins."""
        dtype, n_values = self.form.record(statistic, size)
        n_entries, n_channels = self.form.n_entries(size), self.form.n_channels
        shape = (n_entries * n_channels,) if n_channels > BLOCK_CHANNELS else (n_entries, n_channels)
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        creation.set_obj_track_times(False)
        space = h5py.h5s.create_simple((*shape, n_values) if n_values > 1 else shape)
        name = DATASET.format(statistic, size).encode()
        made = h5py.h5d.create(file.id, name, h5py.h5t.py_create(dtype), space, creation)
        file[name].attrs.update(
            samples_per_entry=size, channels_per_block=min(n_channels, BLOCK_CHANNELS), entries_per_tile=TILE_ENTRIES
        )
        return int(made.get_offset())

    def write(self, size: int, first: int, entries: Entries, first_channel: int = 0) -> None:
        """Write what is told of some entries of some channels; both begin, and the channels end, where blocks do."""
        for statistic, values in entries.told():
            self.has_missing |= statistic == "missing"
            dtype, _ = self.form.record(statistic, size)
            for low in range(0, values.shape[1], BLOCK_CHANNELS):
                rows = np.ascontiguousarray(values[:, low : low + BLOCK_CHANNELS], dtype)
                block = first_channel + low, first_channel + low + rows.shape[1]
                for start, stop, record in self.form.runs(size, block, first, first + len(rows)):
                    self._put(self._place(statistic, size, record), rows[start - first : stop - first])

    def read(self, size: int, first: int, stop: int, block: tuple[int, int]) -> Entries:
        """Return what was written of some entries of a block of channels."""
        parts: dict[str, NDArray[Any]] = {}
        for statistic in self.form.statistics():
            if statistic == "missing" and not self.has_missing:
                continue
            dtype, n_values = self.form.record(statistic, size)
            width = block[1] - block[0]
            content = b"".join(
                self._get(self._place(statistic, size, record), (end - start) * width * n_values * dtype.itemsize)
                for start, end, record in self.form.runs(size, block, first, stop)
            )
            shape = (stop - first, width, n_values) if n_values > 1 else (stop - first, width)
            parts[statistic] = np.frombuffer(content, dtype).reshape(shape)
        missing = parts.get("missing")
        return Entries(parts["extrema"], parts.get("sums"), None if missing is None else missing.astype(np.int64))

    def pieces(self, nbytes: int) -> Iterator[bytes]:
        """Yield all bytes of the file, which is ended then."""
        os.lseek(self._content.fileno(), 0, os.SEEK_SET)
        while piece := os.read(self._content.fileno(), nbytes):
            yield piece

    def end(self) -> int:
        """End the file, without what was never written; return its length."""
        if not self.has_missing and ("missing", self.form.finest) in self.offsets:
            with h5py.File(self._content, "r+") as file:
                for size in self.form.sizes:
                    del file[DATASET.format("missing", size)]
                    del self.offsets["missing", size]
        return os.fstat(self._content.fileno()).st_size

    def _place(self, statistic: str, size: int, record: int) -> int:
        return self.offsets[statistic, size] + record * self.form.record_nbytes(statistic, size)

    def _put(self, place: int, block: NDArray[Any]) -> None:
        content = block.reshape(-1).view(np.uint8).data
        while content:
            n_written = os.pwrite(self._content.fileno(), content, place)
            content, place = content[n_written:], place + n_written

    def _get(self, place: int, nbytes: int) -> bytes:
        parts = []
        while nbytes:
            part = os.pread(self._content.fileno(), nbytes, place)
            part = part or bytes(nbytes)  # beyond what was written so far: no NaN
            parts.append(part)
            nbytes, place = nbytes - len(part), place + len(part)
        return b"".join(parts)

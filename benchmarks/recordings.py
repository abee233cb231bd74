"""The recordings that are measured: made once from a seed, below ``.bench``, never committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.packing import pack

RATE = 30_000
CHUNK = 65_536
DATASET = "signal"
SLICE_SAMPLES = 3_001
"""100 ms at 30 kHz, both ends included."""
SEED = 20260901
STEPS = 1024
"""Of a unit, as a converter of 18 bits takes them."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One HDF5 file with one array in the root."""

    name: str
    n_samples: int
    write: Callable[[Path, Recording], None]

    def places(self, seed: int, count: int) -> list[int]:
        """Return the first samples of some slices, always the same for one seed; all lie at whole tenths of a ms."""
        rng = np.random.default_rng([SEED, seed])
        return [3 * int(third) for third in rng.integers(0, (self.n_samples - SLICE_SAMPLES) // 3, count)]

    def made(self, folder: Path) -> Path:
        """Return its file, after making it where it is missing."""
        path = folder / f"{self.name}.h5"
        if not path.exists():
            print(f"Making {path.name} (once) ...", flush=True)
            unfinished = path.with_suffix(".unfinished")
            self.write(unfinished, self)
            unfinished.rename(path)
        return path

    def samples(self, folder: Path, start: int, stop: int) -> NDArray[Any]:
        """Return what h5py reads from the local file."""
        with h5py.File(folder / f"{self.name}.h5") as file:
            found: NDArray[Any] = file[DATASET][start:stop]
            return found


def noisy(start: int, count: int) -> NDArray[np.float32]:
    """Return noise on a slow wave, of which about 60 % remain when compressed."""
    rng = np.random.default_rng([SEED, start])
    wave = np.sin(np.arange(start, start + count) / 3000)
    values = wave * 200 + rng.normal(size=count) * 20
    rounded: NDArray[np.float32] = (np.round(values * STEPS) / STEPS).astype(np.float32)
    return rounded


def write_compressed(path: Path, recording: Recording) -> None:
    """Write chunks as usual: gzip and shuffle."""
    n_chunks = -(-recording.n_samples // CHUNK)
    with h5py.File(path, "w") as file:
        packing = {"chunks": (CHUNK,), "compression": "gzip", "shuffle": True}
        dataset = file.create_dataset(DATASET, (recording.n_samples,), np.float32, **packing)
        for number in range(n_chunks):
            start = number * CHUNK
            dataset[start : start + CHUNK] = noisy(start, min(CHUNK, recording.n_samples - start))
            if number % 160 == 0:
                print(f"  {100 * number // n_chunks} %", flush=True)


def write_contiguous(path: Path, recording: Recording) -> None:
    """Write values at the measured places only; the rest of the file is a hole, and reads as zeros."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((recording.n_samples,))
        h5py.h5d.create(file.id, DATASET.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=creation)
        for start in (place for seed in range(CONTIGUOUS_SEEDS) for place in recording.places(seed, CONTIGUOUS_PLACES)):
            file[DATASET][start : start + SLICE_SAMPLES] = noisy(start, SLICE_SAMPLES)


def writer_of_small_chunks(chunk: int, different: int) -> Callable[[Path, Recording], None]:
    """Return a writer of many chunks, of which only so many differ: packing a million would take an hour."""

    def write(path: Path, recording: Recording) -> None:
        with h5py.File(path, "w") as file:  # the default version of the format: a B-tree among the chunks
            packing = {"chunks": (chunk,), "compression": "gzip", "shuffle": True}
            dataset = file.create_dataset(DATASET, (recording.n_samples,), np.float32, **packing)
            packed: Sequence[bytes] = [pack(noisy(number * chunk, chunk)) for number in range(different)]
            n_chunks = recording.n_samples // chunk
            for number in range(n_chunks):
                dataset.id.write_direct_chunk((number * chunk,), packed[number * 7 % different])
                if number % 100_000 == 0:
                    print(f"  {100 * number // n_chunks} %", flush=True)

    return write


PROBE_CHANNELS, PROBE_CHUNK = 384, (40_960, 64)


def write_probe(path: Path, recording: Recording) -> None:
    """Write 384 channels of int16, as probes have them; of the chunks a few differ."""
    rng = np.random.default_rng(SEED)
    packed = [pack(rng.normal(0, 30, PROBE_CHUNK).astype("<i2")) for _ in range(5)]
    with h5py.File(path, "w") as file:
        packing = {"chunks": PROBE_CHUNK, "compression": "gzip", "shuffle": True}
        dataset = file.create_dataset(DATASET, (recording.n_samples, PROBE_CHANNELS), "<i2", **packing)
        number = 0
        for start in range(0, recording.n_samples, PROBE_CHUNK[0]):
            for channel in range(0, PROBE_CHANNELS, PROBE_CHUNK[1]):
                dataset.id.write_direct_chunk((start, channel), packed[number % len(packed)])
                number += 1


CONTIGUOUS_SEEDS, CONTIGUOUS_PLACES = 20, 50

HOUR = Recording("hour", 3600 * RATE, write_compressed)
TEN_MINUTES = Recording("ten_minutes", 600 * RATE, write_contiguous)
TEN_HOURS = Recording("ten_hours", 36_000 * RATE, write_contiguous)
HUNDRED_HOURS = Recording("hundred_hours", 360_000 * RATE, write_contiguous)
PROBE = Recording("probe", 120 * RATE, write_probe)
MANY_CHUNKS = Recording("many_chunks", 105_000 * 4096, writer_of_small_chunks(4096, 97))
MOST_CHUNKS = Recording("most_chunks", 1_300_000 * 1024, writer_of_small_chunks(1024, 997))

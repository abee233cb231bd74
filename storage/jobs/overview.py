"""The making of an overview: one job for each array, which goes on where one before it was stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.answer import StoredArray, chunk_nbytes
from storage.cache import Cache
from storage.calibration import AnyCalibration
from storage.catalog import leftovers, overviews, queue, short_indices
from storage.catalog.arrays import stored_array
from storage.catalog.base import ACTIVE, now
from storage.catalog.files import OVERVIEW_READY, READABLE, Datafile
from storage.catalog.jobs import Job
from storage.catalog.models import TYPES
from storage.catalog.uses import links
from storage.errors import FileChanged, FileDamaged, NotStored, StoreFull
from storage.hdf5 import sidecar
from storage.hdf5.chunk_index import IndexSource
from storage.hdf5.dataset import DatasetReader
from storage.jobs.again import register_again
from storage.jobs.worker import Held, Outcome
from storage.objectstore import ObjectStore
from storage.overviews import checkpoints
from storage.overviews.array_form import is_built_in
from storage.overviews.build import N_AHEAD, Building
from storage.overviews.form import OverviewForm, StoredOverview
from storage.overviews.overview_file import OverviewFile
from storage.overviews.policy import OverviewPolicy
from storage.ranges import MAX_RANGE_NBYTES, ByteRange
from storage.side_by_side import SideBySide
from storage.temporary import temporary_file

PIECE_NBYTES = 1 << 20
CHUNKS_NBYTES = 32 << 20
"""Decoded chunks that are kept because two windows need them."""
INDICES_NBYTES = 32 << 20
CHECKPOINT_NBYTES = 1 << 30
"""Decoded bytes of which what was made is stored, so that it need not be made again."""
READING = 0.9
"""Share of the progress; the rest is storing."""


def ask_for_missing(engine: Engine, policy: OverviewPolicy) -> int:
    """Queue the making of overviews that arrays shall have and nobody asked for yet; return how many."""
    n_asked = 0
    while True:
        with Session(engine.execution_options(writes=True)) as session, session.begin():
            rows = overviews.undecided(session)
            for row in rows:
                if policy.form(stored_array(row), has_sums=True) is None:
                    overviews.leave_out(row)
                else:
                    overviews.ask(session, row)
                    n_asked += 1
        if len(rows) < overviews.LOOKED_AT:
            return n_asked


def make_overview(store: ObjectStore, engine: Engine, policy: OverviewPolicy, held: Held) -> Outcome:
    """Read the array that a job is about from end to end; return what writes its overview.

    Raises
    ------
    StoreAway
        It should be tried again.
    """
    with Session(engine) as session:
        datafile = session.get(Datafile, held.job.datafile_id)
        if datafile is None or datafile.current_state != ACTIVE or datafile.state not in READABLE:
            return _says("the array was deleted, or cannot be read by now")
        array, guid = stored_array(datafile), datafile.guid
        form = policy.form(array, has_sums=not _are_times(session, datafile.id))
    if form is None:
        return _leaves_out(guid)
    making = _Making(store, engine, held, array, form, guid)
    try:
        made = making.made()
    except (FileChanged, NotStored) as error:
        register_again(engine, held.job.subject)
        return _fails(str(error))
    except (FileDamaged, StoreFull) as error:
        return _fails(str(error))
    return _writes(made, guid)


@dataclass(frozen=True, slots=True)
class Made:
    """An overview that is in the store, and to which nothing in the catalog refers yet."""

    overview: StoredOverview
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class _Making:
    """One attempt."""

    store: ObjectStore
    engine: Engine
    held: Held
    array: StoredArray
    form: OverviewForm
    guid: str

    def made(self) -> Made:
        """Make all of it that no attempt before has made, and store it."""
        with temporary_file() as content, dataset_reader(self.store, self.engine, self.array) as datasets:
            building = Building(self.array, datasets, OverviewFile(content, self.form))
            keys = self._restored(building)
            n_saved = building.n_done
            row_nbytes = max(1, self.array.n_channels * self.array.dataset.dtype.itemsize)
            for _ in building.strips():
                self.held.tell(READING * building.n_done / self.array.n_samples)
                is_far = (building.n_done - n_saved) * row_nbytes >= CHECKPOINT_NBYTES
                if is_far and building.n_done < self.array.n_samples:
                    keys = self._saved(building, n_saved, keys)
                    n_saved = building.n_done
            return self._stored(building)

    def _version(self) -> list[Any]:
        """Return what parts are of, which only the same attempt again may use."""
        form = self.form
        return [self.guid, form.n_samples, form.n_channels, form.dtype.str, form.finest, form.has_sums]

    def _restored(self, building: Building) -> list[str]:
        """Take over what an attempt before has stored; return the keys of that."""
        told = self.held.job.options
        if told.get("version") != [*self._version(), building.strip_size]:
            return []
        taken: list[str] = []
        for key in told.get("parts", ()):
            try:
                nbytes = self.store.stat(key).nbytes
                ranges = [
                    ByteRange(start, min(MAX_RANGE_NBYTES, nbytes - start))
                    for start in range(0, nbytes, MAX_RANGE_NBYTES)
                ]
                part = b"".join(self.store.get_ranges(key, ranges))
                checkpoints.restore(building, part)
            except (NotStored, FileChanged, FileDamaged):  # from here on it is made again
                break
            taken.append(key)
        return taken

    def _saved(self, building: Building, first: int, keys: list[str]) -> list[str]:
        """Store what was made since ``first``."""
        key = sidecar.new_key()
        with Session(self.engine.execution_options(writes=True)) as session, session.begin():
            leftovers.note(session, [key])
            leftovers.keep(session, keys)
        self.store.put(key, checkpoints.content(building, first))
        options = {"version": [*self._version(), building.strip_size], "parts": [*keys, key]}
        queue.note(self.engine, self.held.lease, self.held.job.id, options)
        return [*keys, key]

    def _stored(self, building: Building) -> Made:
        nbytes = building.file.end()
        key = sidecar.new_key()
        with Session(self.engine.execution_options(writes=True)) as session, session.begin():
            leftovers.note(session, [key])

        def pieces() -> Iterator[bytes]:
            n_sent = 0
            for piece in building.file.pieces(PIECE_NBYTES):
                yield piece
                n_sent += len(piece)
                self.held.tell(READING + (1 - READING) * n_sent / nbytes)

        self.store.write(key, pieces(), at_most_nbytes=nbytes)
        calibration = self.array.calibration if is_built_in(self.array) else None
        overview = StoredOverview(key, self.form, building.file.offsets, calibration)
        return Made(overview, *_extent(building, self.array))


@contextmanager
def dataset_reader(store: ObjectStore, engine: Engine, array: StoredArray) -> Iterator[DatasetReader]:
    """Make a reader for one job, with as many threads as there are processors, that keeps at least a chunk."""

    def short_index(key: str) -> bytes | None:
        with engine.connect() as connection:
            return short_indices.get(connection, key)

    n_processors = os.cpu_count() or 1
    with ThreadPoolExecutor(N_AHEAD + 1, thread_name_prefix="overview") as ahead:
        yield DatasetReader(
            store=store,
            indices=IndexSource(store, Cache(INDICES_NBYTES, lambda rows: rows.nbytes), short_index),
            chunk_cache=Cache(max(CHUNKS_NBYTES, chunk_nbytes(array)), lambda chunk: chunk.nbytes),
            decoders=SideBySide(n_processors, per_call=n_processors, name="decode"),
            ahead=ahead,
        )


def _are_times(session: Session, datafile_id: int) -> bool:
    """Whether all that has an array has it as its times."""
    uses = list(session.execute(links(lambda linked: linked == datafile_id)))
    return bool(uses) and all(TYPES[one.type_name].time_field == one.field for one in uses)


def _extent(building: Building, array: StoredArray) -> tuple[float | None, float | None]:
    """Return the smallest and the largest number of all channels, in the unit of the array; None for what is none."""
    low, high = building.extent.minimum[np.newaxis], building.extent.maximum[np.newaxis]
    calibration: AnyCalibration | None = None if is_built_in(array) else array.calibration
    ends = [low, high] if calibration is None else [calibration.apply(one, None) for one in (low, high)]
    both = np.concatenate(ends).astype(np.float64)
    told = float(np.fmin.reduce(both, axis=None)), float(np.fmax.reduce(both, axis=None))
    minimum, maximum = (one if isfinite(one) else None for one in told)
    return minimum, maximum


def _says(message: str) -> Outcome:
    def write(_session: Session, job: Job) -> None:
        job.message = message

    return write


def _fails(reason: str) -> Outcome:
    def write(session: Session, job: Job) -> None:
        job.message = reason
        if job.datafile_id is not None:
            overviews.failed(session, job.datafile_id)

    return write


def _leaves_out(guid: str) -> Outcome:
    def write(session: Session, job: Job) -> None:
        datafile = session.get_one(Datafile, job.datafile_id, with_for_update={"of": Datafile})
        if datafile.guid == guid:
            overviews.leave_out(datafile)
        job.message = "left out, as the settings say by now"

    return write


def _writes(made: Made, guid: str) -> Outcome:
    """Return what writes an overview, in the transaction that ends its job."""

    def write(session: Session, job: Job) -> None:
        datafile = session.get_one(Datafile, job.datafile_id, with_for_update={"of": Datafile})
        if datafile.current_state != ACTIVE or datafile.guid != guid:  # what was stored stays noted as leftover
            job.message = "overtaken: the array is another one by now"
            return
        leftovers.strike_out(session, [made.overview.key])
        if datafile.overview is not None:
            leftovers.doom(session, [datafile.overview])
        datafile.overview, datafile.overview_form = made.overview.key, made.overview.as_json()
        datafile.minimum, datafile.maximum, datafile.overview_state = made.minimum, made.maximum, OVERVIEW_READY
        datafile.last_modified = now()
        job.message = "made"

    return write

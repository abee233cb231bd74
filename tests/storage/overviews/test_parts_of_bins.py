"""Bins of entries where a number of them, or the job that makes them, goes to the edge."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.answer import StoredArray
from storage.catalog import leftovers
from storage.catalog.base import moment, new_guid
from storage.catalog.files import Datafile
from storage.catalog.jobs import OVERVIEW, Job
from storage.catalog.uploads import Leftover
from storage.errors import FileDamaged
from storage.hdf5.chunk_index import ChunkIndex
from storage.hdf5.layout import Chunked, Dataset
from storage.jobs.overview import ask_for_missing, make_overview
from storage.jobs.worker import Held
from storage.objectstore import ObjectStore
from storage.overviews import checkpoints, reading
from storage.overviews.array_form import form_of
from storage.overviews.build import Building
from storage.overviews.cover import Cover, Run
from storage.overviews.overview_file import OverviewFile
from storage.overviews.policy import OverviewPolicy
from tests.archive import Archive
from tests.storage.overviews.made import stored
from tests.storage.stored import reader_of


def test_sums_of_years_of_integers_do_not_overflow():
    run = Run(1 << 30, 0, 8)
    records = {"sums": np.full((8, 1), -(2**61), "<i8")}
    part = reading.part_of("mean", run, records, np.array(run.samples), ())
    assert part.total.tolist() == [-(2**64)] and part.mean().tolist() == [-(2.0**31)]


def test_ends_are_covered_by_entries_that_get_finer_in_steps():
    sizes = tuple(64 * 4**level for level in range(10))
    start, stop, grain = 12_345_677, 9_876_543_211, sizes[8]
    cover = Cover.of(start, stop, grain, sizes)
    samples = sorted(run.samples for run in cover.runs())
    assert samples[0][0] == start and samples[-1][1] == stop
    assert all(one[1] == after[0] for one, after in zip(samples, samples[1:], strict=False))
    assert len(cover.runs()) <= 9 and all(run.stop - run.first < 64 for run in (*cover.before, *cover.after))


@pytest.fixture
def asked(tmp_path):
    """An archive with one array whose overview is to be made, and the job."""
    archive = Archive(tmp_path, EPHYSTORE_OVERVIEW_FROM_MB="1")
    archive.add("rat", np.arange(2_000_000, dtype="<i2"))
    services = archive.services
    ask_for_missing(services.engine, services.settings.overviews)
    with Session(services.engine) as session:
        (job,) = session.scalars(select(Job).where(Job.kind == OVERVIEW))
        session.expunge(job)
    return archive, job


def ended(archive, job, outcome):
    with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
        own = session.get_one(Job, job.id)
        outcome(session, own)
        return own.message, session.get_one(Datafile, 1).overview


def test_an_overview_of_what_is_another_array_by_then_is_not_written(asked):
    archive, job = asked
    services = archive.services
    outcome = make_overview(services.store, services.engine, services.settings.overviews, Held(job, None))
    with Session(services.engine.execution_options(writes=True)) as session, session.begin():
        session.get_one(Datafile, 1).guid = new_guid()
    assert ended(archive, job, outcome) == ("overtaken: the array is another one by now", None)


def test_parts_that_are_stored_are_kept_while_the_rest_is_made(asked):
    archive, _ = asked
    engine = archive.services.engine.execution_options(writes=True)
    with Session(engine) as session, session.begin():
        leftovers.note(session, ["sidecars/aa/a.h5"])
        session.flush()
        session.scalars(select(Leftover)).one().remove_after = moment() + timedelta(minutes=1)
    with Session(engine) as session, session.begin():
        assert leftovers.keep(session, ["sidecars/aa/a.h5"])
        assert not leftovers.keep(session, ["sidecars/aa/a.h5", "sidecars/aa/b.h5"])
    with Session(engine) as session:
        assert session.scalars(select(Leftover)).one().remove_after > moment() + timedelta(minutes=50)


@pytest.mark.parametrize("harm", ["cut", "changed", "of other samples", "empty"])
def test_a_damaged_part_is_made_again(tmp_path, harm, monkeypatch):
    monkeypatch.setattr("storage.overviews.build.STRIP_NBYTES", 1 << 14)
    store = ObjectStore(f"file://{tmp_path}/store")
    array = stored(store, np.arange(200_000, dtype="<i2"))
    with (tmp_path / "one").open("w+b", buffering=0) as one, (tmp_path / "other").open("w+b", buffering=0) as other:
        building = Building(array, reader_of(store).datasets, OverviewFile(one, form_of(array)))
        strips = building.strips()
        for _ in range(3):
            next(strips)
        part = checkpoints.content(building, 0)
        again = Building(array, reader_of(store).datasets, OverviewFile(other, form_of(array)))
        if harm == "of other samples":
            next(again.strips())
        bad = {"cut": part[:-100], "changed": b"x" + part[1:], "of other samples": part, "empty": b""}[harm]
        n_done = again.n_done
        with pytest.raises(FileDamaged, match="a part of an overview is damaged"):
            checkpoints.restore(again, bad)
        assert again.n_done == n_done


@pytest.mark.parametrize(("chunk", "has_one"), [(16 << 20, True), ((16 << 20) + 1, False)])
def test_arrays_with_chunks_that_take_too_much_memory_have_none(chunk, has_one):
    layout = Chunked((chunk,), (), ChunkIndex("sidecars/aa/a.h5", 0, 10))
    array = StoredArray(Dataset("a", None, np.dtype("<f4"), (10 * chunk,), layout, bytes(4)), 0, 10 * chunk)
    assert (OverviewPolicy().form(array, has_sums=True) is not None) == has_one

"""Who does which job next, on both kinds of catalog."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.catalog import queue
from storage.catalog.base import moment
from storage.catalog.database import connect
from storage.catalog.files import CHECKING, READY, REFUSED, UPLOADED, Datafile, StoredFile
from storage.catalog.jobs import BULK, CANCELLED, DONE, FAILED, PAUSED, QUEUED, RUNNING, Job, add_check, add_registers
from storage.catalog.migrate import migrate
from storage.catalog.queue import Lease, Lost
from storage.errors import NotFound

MINE = Lease("mine", timedelta(seconds=60))
THEIRS = Lease("theirs", timedelta(seconds=60))
OVER = timedelta(seconds=-1)


@pytest.fixture
def engine(database_url):
    engine = connect(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def add(engine, *urls, batch="a"):
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        add_registers(session, urls, {"safety_level": 1}, batch)


def add_upload(engine, name="a.h5"):
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        file = StoredFile(name=f"datafiles/{name}", nbytes=1)
        datafile = Datafile(name=name, file=file, state=UPLOADED)
        session.add(datafile)
        session.flush()
        add_check(session, datafile_id=datafile.id, owner_id=None, name=name)
        return datafile.id


def of(job):
    """The lease that a claim of a job gave."""
    return Lease(job.worker, MINE.duration)


def jobs(engine):
    with Session(engine) as session:
        return list(session.scalars(select(Job).order_by(Job.id)))


def datafile(engine, id_):
    with Session(engine) as session:
        return session.get(Datafile, id_)


def order(engine, change, *ids):
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        return [job.id for job in change(session, queue.get(session, ids))]


def test_an_upload_is_taken_before_ten_thousand_files_that_came_before(engine):
    add(engine, *(f"s3://lab/{number}.nwb" for number in range(10_000)))
    add_upload(engine)
    assert queue.claim(engine, MINE).subject == "a.h5"
    assert queue.claim(engine, MINE).subject == "s3://lab/0.nwb"
    assert queue.claim(engine, MINE, bulk=False) is None


def test_a_job_is_one_workers_until_its_lease_ends(engine):
    add(engine, "one")
    late = queue.claim(engine, Lease("mine", OVER))
    assert late.attempts == 1
    taken = queue.claim(engine, MINE)
    assert (taken.state, taken.attempts) == (RUNNING, 2) and taken.worker.startswith("mine/") and of(late) != of(taken)
    assert queue.claim(engine, THEIRS) is None
    with pytest.raises(Lost):  # also of the same worker: what an earlier claim made does not count
        queue.finish(engine, of(late), taken.id, lambda session, job: pytest.fail("written"))
    assert queue.renew(engine, {of(late): 0.9, of(taken): 0.5}) == {of(taken)}
    assert jobs(engine)[0].progress == 0.5


def test_many_workers_at_once_take_each_job_once(engine):
    add(engine, *map(str, range(40)))
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: queue.claim(engine, Lease(f"w{number}", MINE.duration)).id, range(40)))
    assert Counter(taken) == Counter(range(1, 41))
    assert queue.claim(engine, MINE) is None


def test_what_came_of_a_job_and_its_end_are_one_transaction(engine):
    add(engine, "one")
    job = queue.claim(engine, MINE)

    def fails(session, job):
        job.message = "half"
        session.flush()
        raise OSError

    with pytest.raises(OSError):
        queue.finish(engine, of(job), job.id, fails)
    assert (jobs(engine)[0].state, jobs(engine)[0].message) == (RUNNING, None)
    queue.finish(engine, of(job), job.id, lambda session, job: setattr(job, "message", "whole"))
    (ended,) = jobs(engine)
    assert (ended.state, ended.message, ended.progress, ended.worker) == (DONE, "whole", 1.0, None)
    assert ended.date_finished is not None


def test_later_attempts_wait_longer_and_end_some_day(engine):
    add(engine, "one")
    delays = []
    for _ in range(queue.MAX_ATTEMPTS - 1):
        with engine.execution_options(writes=True).begin() as connection:
            connection.execute(update(Job).values(run_after=moment()))
        job = queue.claim(engine, MINE)
        delays.append(queue.try_later(engine, of(job), job.id, "the store is away"))
        assert queue.claim(engine, MINE) is None
    assert delays == sorted(delays) and delays[0] == queue.FIRST_DELAY and delays[-1] == queue.LONGEST_DELAY
    assert queue.next_moment(engine) > moment()
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(update(Job).values(run_after=moment()))
    job = queue.claim(engine, MINE)
    assert queue.try_later(engine, of(job), job.id, "the store is away") is None
    assert jobs(engine)[0].state == FAILED and "the store is away" in jobs(engine)[0].message


def test_a_job_that_kills_its_worker_is_given_up(engine):
    id_ = add_upload(engine)
    for _ in range(queue.MAX_ATTEMPTS):
        assert queue.claim(engine, Lease("dies", OVER)) is not None
    assert queue.claim(engine, MINE) is None
    assert jobs(engine)[0].state == FAILED
    assert datafile(engine, id_).state == REFUSED and "given up" in datafile(engine, id_).reason


def test_a_worker_that_ends_puts_its_jobs_back_untouched(engine):
    add(engine, "one", "two")
    job = queue.claim(engine, MINE)
    queue.claim(engine, THEIRS)
    queue.release(engine, [of(job)])
    assert [(job.state, job.attempts) for job in jobs(engine)] == [(QUEUED, 0), (RUNNING, 1)]


def test_cancelled_jobs_stop_and_can_be_taken_back(engine):
    id_ = add_upload(engine)
    job = queue.claim(engine, MINE)
    queue.begin_check(engine, id_)
    assert datafile(engine, id_).state == CHECKING
    assert order(engine, queue.cancel, job.id) == [job.id]
    assert jobs(engine)[0].state == CANCELLED and datafile(engine, id_).state == REFUSED
    assert queue.renew(engine, {of(job): 0.1}) == set()
    with pytest.raises(Lost):
        queue.finish(engine, of(job), job.id, lambda session, job: None)
    assert order(engine, queue.cancel, job.id) == []
    assert order(engine, queue.retry, job.id) == [job.id]
    assert datafile(engine, id_).state == UPLOADED and datafile(engine, id_).reason is None
    assert queue.claim(engine, MINE).attempts == 1


def test_a_paused_job_is_not_taken_until_it_is_retried(engine):
    add(engine, "one", "two")
    job = queue.claim(engine, MINE)
    assert order(engine, queue.pause, 1, 2) == [1, 2]
    assert [job.state for job in jobs(engine)] == [PAUSED, PAUSED]
    assert queue.claim(engine, MINE) is None and queue.renew(engine, {of(job): 0.0}) == set()
    order(engine, queue.retry, 2)
    assert queue.claim(engine, MINE).id == 2


def test_ending_a_check_never_takes_back_that_the_file_is_ready(engine):
    id_ = add_upload(engine)
    job = queue.claim(engine, MINE)
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(update(Datafile).values(state=READY))
    queue.fail(engine, of(job), job.id, "a late failure")
    assert datafile(engine, id_).state == READY


def test_orders_name_what_is_not_there_and_change_nothing(engine):
    add(engine, "one")
    with pytest.raises(NotFound, match="job 7, 8"):
        order(engine, queue.cancel, 1, 7, 8)
    assert jobs(engine)[0].state == QUEUED


def test_jobs_are_listed_newest_first_and_counted(engine):
    add(engine, *map(str, range(5)))
    queue.claim(engine, MINE)
    with Session(engine) as session:
        found, total = queue.listing(session, [], limit=2)
        assert ([job.subject for job in found], total) == (["4", "3"], 5)
        assert queue.listing(session, [RUNNING], limit=9)[1] == 1


def test_a_batch_tells_what_nobody_will_take_soon(engine):
    add(engine, "one", "two", "three")
    add(engine, "other", batch="b")
    one, two = queue.claim(engine, MINE, batch="a"), queue.claim(engine, MINE, batch="a")
    queue.finish(engine, of(one), one.id, lambda session, job: None)
    queue.try_later(engine, of(two), two.id, "the store is away")
    with Session(engine) as session:
        assert [job.subject for job in queue.ended(session, "a", set())] == ["one", "two"]
        assert [job.subject for job in queue.ended(session, "a", {1})] == ["two"]
        assert [job.priority for job in queue.batch(session, "b")] == [BULK]

"""What workers make of jobs, whatever becomes of the jobs, the store and themselves."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.catalog import queue
from storage.catalog.database import connect
from storage.catalog.jobs import CANCELLED, CHECK, DONE, FAILED, QUEUED, REGISTER, RUNNING, URGENT, Job, add_registers
from storage.catalog.migrate import migrate
from storage.errors import StoreAway
from storage.jobs.worker import Worker

SOON = timedelta(seconds=0.6)


@pytest.fixture
def engine(database_url):
    engine = connect(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def add(engine, *subjects):
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        add_registers(session, subjects, {}, "batch")


def add_urgent(engine):
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        session.add(Job(kind=CHECK, subject="upload", priority=URGENT))


def states(engine):
    with Session(engine) as session:
        return dict(session.execute(select(Job.subject, Job.state).order_by(Job.id)).all())


def wait_for(claim, seconds=10):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def noted(_session, job):
    job.message = f"did {job.subject}"


def test_jobs_are_done_until_there_is_none(engine):
    add(engine, "one", "two")
    with Worker(engine, {REGISTER: lambda held: noted}, lease=SOON, bulk_places=1) as worker:
        assert worker.drain() == 2
        assert worker.drain() == 0
    assert states(engine) == {"one": DONE, "two": DONE}


def test_an_upload_does_not_wait_for_files_of_a_register_that_take_long(engine):
    add(engine, *map(str, range(5)))
    release, done = threading.Event(), threading.Event()

    def slow(held):
        release.wait(10)
        return noted

    def urgent(held):
        done.set()
        return noted

    with Worker(engine, {REGISTER: slow, CHECK: urgent}, lease=SOON, bulk_places=1) as worker:
        threads = [threading.Thread(target=worker.drain) for _ in range(2)]
        threads[0].start()
        wait_for(lambda: RUNNING in states(engine).values())
        add_urgent(engine)
        threads[1].start()
        assert done.wait(5)
        threads[1].join(5)
        assert list(states(engine).values()).count(RUNNING) == 1, "the second thread takes none of many"
        release.set()
        threads[0].join(10)
    assert set(states(engine).values()) == {DONE}


def test_a_lease_is_renewed_for_as_long_as_a_job_takes(engine):
    add(engine, "long")
    told = []

    def long(held):
        for step in range(20):
            held.tell(step / 20)
            time.sleep(0.1)
            told.append(queue.claim(engine, queue.Lease("other", SOON)))
        return noted

    with Worker(engine, {REGISTER: long}, lease=SOON, bulk_places=1) as worker:
        worker.drain()
    assert states(engine) == {"long": DONE} and told == [None] * 20


def test_a_store_that_is_away_is_tried_again_later(engine):
    add(engine, "one")
    delays, answers = [], [StoreAway("the store of one does not answer"), None]

    def step(held):
        error = answers.pop(0)
        if error:
            raise error
        return noted

    with Worker(engine, {REGISTER: step}, lease=SOON, bulk_places=1, later=delays.append) as worker:
        assert worker.drain() == 1
        assert states(engine) == {"one": QUEUED} and delays == [queue.FIRST_DELAY]
        with engine.execution_options(writes=True).begin() as connection:
            connection.execute(update(Job).values(run_after=Job.date_created))
        assert worker.drain() == 1
    assert states(engine) == {"one": DONE}


def test_a_defect_fails_the_job_without_telling_its_insides(engine, caplog):
    add(engine, "one", "two")

    def step(held):
        if held.job.subject == "one":
            raise KeyError("secret")
        return noted

    with Worker(engine, {REGISTER: step}, lease=SOON, bulk_places=1) as worker:
        worker.drain()
    assert states(engine) == {"one": FAILED, "two": DONE}
    with Session(engine) as session:
        message = session.scalar(select(Job.message).where(Job.subject == "one"))
    assert "secret" not in message and "KeyError" in message and "secret" in caplog.text


def test_a_cancelled_job_stops_when_it_next_tells_how_far_it_is(engine):
    add(engine, "one", "two")
    began = threading.Event()

    def endless(held):
        if held.job.subject == "two":
            return noted
        while True:
            began.set()
            held.tell(0.5)
            time.sleep(0.01)

    with Worker(engine, {REGISTER: endless}, lease=SOON, bulk_places=1) as worker:
        thread = threading.Thread(target=worker.drain)
        thread.start()
        assert began.wait(5)
        with Session(engine.execution_options(writes=True)) as session, session.begin():
            queue.cancel(session, queue.get(session, [1]))
        thread.join(10)
        assert not thread.is_alive()
    assert states(engine) == {"one": CANCELLED, "two": DONE}


def test_a_worker_that_ends_leaves_its_jobs_to_others(engine):
    add(engine, "one")
    began, lost = threading.Event(), []

    def endless(held):
        while True:
            began.set()
            try:
                held.tell(0.5)
            except queue.Lost as error:
                lost.append(error)
                raise
            time.sleep(0.01)

    with Worker(engine, {REGISTER: endless}, lease=SOON, bulk_places=1) as worker:
        thread = threading.Thread(target=worker.drain)
        thread.start()
        assert began.wait(5)
    assert states(engine) == {"one": QUEUED}
    with Worker(engine, {REGISTER: lambda held: noted}, lease=SOON, bulk_places=1) as other:
        other.drain()
    thread.join(10)
    assert states(engine) == {"one": DONE} and lost


def test_a_job_that_is_paused_and_retried_while_it_runs_counts_once(engine):
    add(engine, "one")
    began, go_on, attempts = threading.Event(), threading.Event(), []

    def step(held):
        attempts.append(held.job.attempts)
        number = len(attempts)
        if number == 1:
            began.set()
            go_on.wait(10)

        def write(_session, job):
            job.message = f"by attempt {number}"

        return write

    with Worker(engine, {REGISTER: step}, lease=timedelta(seconds=60), bulk_places=2) as worker:
        first = threading.Thread(target=worker.do_next)
        first.start()
        assert began.wait(5)
        with Session(engine.execution_options(writes=True)) as session, session.begin():
            queue.pause(session, queue.get(session, [1]))
        with Session(engine.execution_options(writes=True)) as session, session.begin():
            queue.retry(session, queue.get(session, [1]))
        assert worker.do_next() is not None
        go_on.set()
        first.join(10)
    with Session(engine) as session:
        (job,) = session.scalars(select(Job))
    assert (job.state, job.message, len(attempts)) == (DONE, "by attempt 2", 2)

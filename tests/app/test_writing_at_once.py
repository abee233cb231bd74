"""Two transactions at once on PostgreSQL, which locks rows one by one: the second knows what the first wrote."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from storage.catalog.base import ACTIVE, ARCHIVED
from storage.catalog.files import Datafile
from storage.catalog.models import AnalogSignal, Segment
from tests.archive import Archive
from tests.bodies import BODIES, created
from tests.people import logged_in


def linking(client, link, **more):
    """Create a signal of a stored array."""
    return client.post(
        "/electrophysiology/analogsignal/", json={**BODIES["analogsignal"], "signal": {"data": link, **more}}
    )


@pytest.fixture
def archive(tmp_path, postgresql):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=postgresql.new_database())


@pytest.fixture
def anne(archive):
    return logged_in(archive, "anne")


@pytest.fixture
def bob(archive):
    return logged_in(archive, "bob")


def waits(engine) -> bool:
    """Tell whether some transaction waits for another one."""
    with engine.connect() as connection:
        asked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(connection.scalar(asked))


@contextmanager
def first(archive, act):
    """Act in a transaction that is committed once whoever acts in the block waits for it, or has ended.

    Yields a function that sends a request; the answer is in its list afterwards.
    """
    answers, threads = [], []

    def send(request):
        threads.append(threading.Thread(target=lambda: answers.append(request())))
        threads[-1].start()
        return answers

    with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
        act(session)
        session.flush()
        yield send
        deadline = time.monotonic() + 20
        while threads[0].is_alive() and not waits(archive.services.engine):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    threads[0].join(20)
    assert len(answers) == 1


def test_a_parent_that_is_being_archived_gets_no_child(archive, anne):
    segment = created(anne, "segment")["id"]
    body = {**BODIES["event"], "segment": segment}
    with first(archive, lambda s: s.execute(update(Segment).values(current_state=ARCHIVED))) as send:
        answers = send(lambda: anne.post("/electrophysiology/event/", json=body))
    assert answers[0].status_code == 400 and list(answers[0].json["details"]) == ["segment"]


def test_an_array_that_is_being_archived_is_not_linked(archive, anne):
    link = created(anne, "analogsignal")["signal"]["data"]
    with first(archive, lambda s: s.execute(update(Datafile).values(current_state=ARCHIVED))) as send:
        answers = send(lambda: linking(anne, link))
    assert answers[0].status_code == 400 and list(answers[0].json["details"]) == ["signal"]


@pytest.mark.parametrize("is_new", [True, False])
def test_of_two_units_that_are_said_at_once_the_second_is_compared_with_the_first(archive, anne, is_new):
    fields = created(anne, "analogsignal")
    link = fields["signal"]["data"]
    assert linking(anne, link).status_code == 201, "another object has it too, so no unit is corrected"
    with archive.services.transaction() as session:
        session.execute(update(Datafile).values(units=None))

    def say():
        if is_new:
            return linking(anne, link, units="uV")
        address = f"/electrophysiology/analogsignal/{fields['id']}/"
        return anne.post(address, json={"signal": {"data": link, "units": "uV"}})

    with first(archive, lambda s: s.execute(update(Datafile).values(units="mV"))) as send:
        answers = send(say)
    assert answers[0].status_code == 400 and "is in mV" in answers[0].json["details"]["signal"][0]


def test_an_array_that_is_being_linked_is_not_archived(archive, anne):
    fields = created(anne, "analogsignal")
    number = int(fields["signal"]["data"].rpartition("/")[2])
    anne.delete(f"/electrophysiology/analogsignal/{fields['id']}/")

    def link(session):  # as whoever creates an object does
        session.get(Datafile, number, with_for_update={"of": Datafile})
        session.execute(update(AnalogSignal).values(current_state=ACTIVE))

    with first(archive, link) as send:
        answers = send(lambda: anne.delete(f"/datafiles/{number}/"))
    assert answers[0].status_code == 409, answers[0].text
    with archive.services.session() as session:
        assert session.get(Datafile, number).current_state != ARCHIVED


def test_whoever_links_an_array_does_not_decide_who_reads_it(archive, anne, bob):
    theirs = created(anne, "analogsignal", safety_level=2)
    link = theirs["signal"]["data"]
    mine = linking(bob, link).json["selected"][0]["fields"]
    assert anne.post(f"/electrophysiology/analogsignal/{theirs['id']}/", json={"safety_level": 3}).status_code == 200
    assert bob.post(f"/electrophysiology/analogsignal/{mine['id']}/", json={"safety_level": 1}).status_code == 200
    assert [client.get(link).status_code for client in (archive.client, bob, anne)] == [401, 403, 200]
    with archive.services.session() as session:
        assert {one.safety_level for one in session.query(Datafile)} == {3}

"""Who may read and write what: every case of owner, level and use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.base import User
from storage.catalog.database import connect
from storage.catalog.migrate import migrate
from storage.catalog.models import Block
from storage.catalog.permissions import (
    NOBODY,
    Caller,
    Forbidden,
    LoginNeeded,
    may_read,
    readable,
    require_login,
    require_read,
    require_read_all,
    require_write,
)

ANNE, BOB = Caller(1, "anne"), Caller(2, "bob")
PUBLIC, FRIENDLY, PRIVATE = 1, 2, 3


def thing(owner, level):
    return SimpleNamespace(owner_id=None if owner is None else owner.user_id, safety_level=level)


@pytest.mark.parametrize(
    ("caller", "owner", "level", "error"),
    [
        (NOBODY, ANNE, PUBLIC, None),
        (NOBODY, None, PUBLIC, None),
        (NOBODY, ANNE, FRIENDLY, LoginNeeded),
        (NOBODY, None, FRIENDLY, LoginNeeded),
        (ANNE, ANNE, FRIENDLY, None),
        (BOB, ANNE, FRIENDLY, None),
        (BOB, None, FRIENDLY, None),
        (NOBODY, ANNE, PRIVATE, LoginNeeded),
        (NOBODY, None, PRIVATE, LoginNeeded),
        (ANNE, ANNE, PRIVATE, None),
        (BOB, ANNE, PUBLIC, None),
        (BOB, ANNE, PRIVATE, Forbidden),
        (BOB, None, PRIVATE, Forbidden),
    ],
)
def test_an_object(caller, owner, level, error):
    if error is None:
        require_read(caller, thing(owner, level))
    else:
        with pytest.raises(error):
            require_read(caller, thing(owner, level))


@pytest.mark.parametrize(
    ("caller", "use", "error"),
    [
        (NOBODY, thing(ANNE, PUBLIC), None),  # its owner shows the array through an object
        (BOB, thing(ANNE, PUBLIC), None),
        (NOBODY, thing(ANNE, PRIVATE), LoginNeeded),
        (NOBODY, thing(BOB, PUBLIC), LoginNeeded),  # linking somebody else's array publishes nothing
        (NOBODY, thing(ANNE, FRIENDLY), LoginNeeded),
        (BOB, thing(ANNE, FRIENDLY), None),
        (BOB, thing(BOB, FRIENDLY), Forbidden),
        (BOB, thing(BOB, PUBLIC), Forbidden),
        (BOB, thing(BOB, PRIVATE), Forbidden),
    ],
)
def test_a_private_array_of_anne_through_an_object_that_uses_it(caller, use, error):
    array = thing(ANNE, PRIVATE)
    if error is None:
        require_read(caller, array, uses=[use])
    else:
        with pytest.raises(error):
            require_read(caller, array, uses=[use])


def test_one_private_thing_closes_the_whole_file():
    require_read_all(NOBODY, [thing(ANNE, PUBLIC), thing(BOB, PUBLIC)])
    with pytest.raises(LoginNeeded):
        require_read_all(NOBODY, [thing(ANNE, PUBLIC), thing(ANNE, PRIVATE)])


@pytest.mark.parametrize("level", [PUBLIC, FRIENDLY, PRIVATE])
@pytest.mark.parametrize(
    ("caller", "owner", "error"),
    [(NOBODY, ANNE, LoginNeeded), (NOBODY, None, LoginNeeded), (BOB, ANNE, Forbidden), (BOB, None, Forbidden)],
)
def test_only_its_owner_changes_a_thing(caller, owner, error, level):
    with pytest.raises(error):
        require_write(caller, thing(owner, level))
    require_write(ANNE, thing(ANNE, level))


def test_who_is_logged_in_has_a_number():
    assert require_login(ANNE) == 1
    with pytest.raises(LoginNeeded):
        require_login(NOBODY)


def test_lists_have_what_may_be_read_one_by_one(database_url):
    engine = connect(database_url)
    migrate(engine)
    owners = (None, ANNE, BOB)
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        session.add_all([User(id=one.user_id, username=one.username) for one in owners if one])
        session.flush()
        for owner in owners:
            for level in (PUBLIC, FRIENDLY, PRIVATE):
                session.add(Block(name="b", safety_level=level, owner_id=None if owner is None else owner.user_id))
    with Session(engine) as session:
        every = session.scalars(select(Block)).all()
        for caller in (NOBODY, ANNE, BOB):
            listed = session.scalars(select(Block).where(readable(Block, caller))).all()
            assert {one.id for one in listed} == {one.id for one in every if may_read(caller, one)}
    engine.dispose()

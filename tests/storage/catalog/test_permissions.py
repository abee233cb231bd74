"""Who may read what, as far as nobody can log in yet: every case of owner, level and use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from storage.catalog.permissions import (
    NOBODY,
    Caller,
    Forbidden,
    LoginNeeded,
    require_read,
    require_read_all,
)

ANNE, BOB = Caller(1, "anne"), Caller(2, "bob")
PUBLIC, PRIVATE = 1, 3


def thing(owner, level):
    return SimpleNamespace(owner_id=None if owner is None else owner.user_id, safety_level=level)


@pytest.mark.parametrize(
    ("caller", "owner", "level", "error"),
    [
        (NOBODY, ANNE, PUBLIC, None),
        (NOBODY, None, PUBLIC, None),
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

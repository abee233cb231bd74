"""Who may do what: the one place that decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement

from storage.catalog.base import FRIENDLY, PUBLIC
from storage.errors import StorageError


class LoginNeeded(StorageError):
    """Nobody is logged in, and somebody might be allowed."""


class Forbidden(StorageError):
    """Who is logged in may not."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; ``username`` is None for nobody."""

    user_id: int | None = None
    username: str | None = None


NOBODY = Caller()


class Thing(Protocol):
    """Whatever has an owner and a safety level: objects and datafiles, or what the catalog says of them."""

    @property
    def owner_id(self) -> int | None:
        """Whose it is."""

    @property
    def safety_level(self) -> int:
        """1 public, 2 any user, 3 private."""


def require_login(caller: Caller) -> int:
    """Return the id of who is logged in; raises LoginNeeded for nobody."""
    if caller.user_id is None:
        raise LoginNeeded("log in to do this")
    return caller.user_id


def require_write(caller: Caller, thing: Thing) -> None:
    """Raise LoginNeeded or Forbidden unless the caller may change something."""
    require_login(caller)
    if not may_write(caller, thing):
        raise Forbidden(f"{caller.username} may not change this; its owner may")


def may_read(caller: Caller, thing: Thing) -> bool:
    """Whether a caller may read one object or, for its own sake, one datafile."""
    if thing.safety_level == PUBLIC or (thing.safety_level == FRIENDLY and caller.user_id is not None):
        return True
    return may_write(caller, thing)


def may_write(caller: Caller, thing: Thing) -> bool:
    """Whether a caller may change an object or datafile."""
    return caller.user_id is not None and caller.user_id == thing.owner_id


def may_read_array(caller: Caller, datafile: Thing, uses: Iterable[Thing]) -> bool:
    """Whether a caller may read a datafile, for its own sake or through an object that uses it.

    An object lends its readers a datafile only if its owner may write that datafile: linking somebody
    else's array publishes nothing.
    """
    return may_read(caller, datafile) or any(
        may_read(caller, use) and use.owner_id == datafile.owner_id for use in uses
    )


def require_read(caller: Caller, thing: Thing, *, uses: Iterable[Thing] = ()) -> None:
    """Raise LoginNeeded or Forbidden unless the caller may read."""
    if may_read_array(caller, thing, uses):
        return
    if caller.user_id is None:
        raise LoginNeeded("this is not public; log in to read it")
    raise Forbidden(f"{caller.username} may not read this; ask its owner to share it")


def require_read_all(caller: Caller, things: Iterable[Thing]) -> None:
    """Raise LoginNeeded or Forbidden unless the caller may read every one of them."""
    for thing in things:
        require_read(caller, thing)


def readable(model: Any, caller: Caller) -> ColumnElement[bool]:
    """Return the condition that rows of a list meet: what ``may_read`` says, in SQL."""
    public: ColumnElement[bool] = model.safety_level == PUBLIC
    if caller.user_id is None:
        return public
    friendly: ColumnElement[bool] = model.safety_level == FRIENDLY
    own: ColumnElement[bool] = model.owner_id == caller.user_id
    return public | friendly | own

"""``flask user``: who may log in."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.catalog_errors import catalog_errors
from app.passwords import hashed, require_password
from app.services import services
from storage.catalog import logins
from storage.catalog.base import User

SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
SIZE = re.compile(r"(?P<number>[0-9]{1,15})\s*(?P<unit>[A-Z]{0,2})")

user = AppGroup("user", help="Who may log in.")


class Checked(click.ParamType[str]):
    """Text that a function takes, or says why not."""

    def __init__(self, name: str, require: Callable[[str], str]) -> None:
        self.name, self.require = name, require

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it will be kept."""
        try:
            return self.require(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[int | None]):
    """A number of bytes such as ``500GB``; None for ``default``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Return the bytes."""
        if value == "default":
            return None
        match = SIZE.fullmatch(str(value).strip().upper())
        if match is None or match["unit"] not in SIZES:
            self.fail(f"{value[:40]!r} is not a size such as 500GB, 0 or 'default'", param, ctx)
        nbytes = int(match["number"]) * SIZES[match["unit"]]
        if nbytes >= 2**63:
            self.fail(f"{value[:40]!r} is more than can be counted", param, ctx)
        return nbytes


USERNAME = Checked("username", logins.require_username)
PASSWORD = click.option(
    "--password",
    type=Checked("password", require_password),
    help="Others on this machine can see it; asked for, or read from standard input, where it is not given.",
)


def install(app: Flask) -> None:
    """Give an application these commands."""
    app.cli.add_command(user)


@user.command("add")
@click.argument("name", type=USERNAME)
@PASSWORD
def add(name: str, password: str | None) -> None:
    """Let somebody log in; an owner who could not until now keeps what is theirs."""
    with _writing() as session:  # looked up before a password is typed in vain
        known = logins.user_named(session, name)
    if known is not None and known.password_hash is not None:
        raise click.ClickException(f"there is a user {name} already; 'flask user password' gives another password")
    kept = hashed(password or _asked())
    with _writing() as session:
        found = logins.user_named(session, name) or User(username=name)
        found.password_hash = kept
        session.add(found)
    click.echo(f"{name} may log in.")


@user.command("password")
@click.argument("name", type=USERNAME)
@PASSWORD
def change_password(name: str, password: str | None) -> None:
    """Give somebody another password, and end their sessions."""
    with _writing() as session:
        _known(session, name)
    kept = hashed(password or _asked())
    with _writing() as session:
        found = _known(session, name)
        found.password_hash = kept
        logins.end_all(session, found)
    click.echo(f"{name} has a new password, and must log in again.")


@user.command("quota")
@click.argument("name", type=USERNAME)
@click.argument("size", type=Size())
def set_quota(name: str, size: int | None) -> None:
    """Say how much somebody may store: 500GB, or 'default' for what the settings say."""
    with _writing() as session:
        _known(session, name).quota_nbytes = size
    click.echo(f"{name} may store " + ("what the settings say." if size is None else f"{size:,} bytes."))


@user.command("list")
def list_users() -> None:
    """List everybody who owns something or may log in."""
    with catalog_errors(), services().session() as session:
        for one in session.scalars(select(User).order_by(User.username)):
            may = "may log in" if one.password_hash is not None else "owns only"
            quota = "" if one.quota_nbytes is None else f"  {one.quota_nbytes:,} bytes"
            click.echo(f"{may:>10}  {one.username}{quota}")


@contextmanager
def _writing() -> Iterator[Session]:
    with catalog_errors(), services().transaction() as session:
        yield session


def _known(session: Session, name: str) -> User:
    found = logins.user_named(session, name)
    if found is None:
        raise click.ClickException(f"there is no user {name}; 'flask user list' tells who there is")
    return found


def _asked() -> str:
    """Return a password from the terminal, unseen and typed twice, or the first line of standard input."""
    if sys.stdin.isatty():
        text: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    try:
        return require_password(text)
    except ValueError as error:
        raise click.ClickException(str(error)) from error

"""What a person at a terminal is told when the catalog cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError


@contextmanager
def catalog_errors() -> Iterator[None]:
    """Say in one sentence what is wrong with the catalog."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        told = (
            f"the catalog (EPHYSTORE_DATABASE_URL) cannot be used: {reason}; "
            "EPHYSTORE_DATA names its folder, 'flask init' makes it"
        )
        raise click.ClickException(told) from error

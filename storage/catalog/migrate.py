"""Bringing the tables of a catalog up to date."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOCK = 0x65706879
"""Any number: processes that migrate one PostgreSQL database at once wait for each other by it."""


def migrate(engine: Engine) -> None:
    """Create or update all tables, in one transaction; repeating it does nothing."""
    from alembic import command

    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        command.upgrade(configuration(connection), "head")


def is_current(connection: Connection) -> bool:
    """Whether the tables are those that this version of the service knows."""
    # Without Alembic, which would take 11 MB of each process that answers.
    if not connection.dialect.has_table(connection, "alembic_version"):
        return False
    return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == newest())


@cache
def newest() -> str:
    """Return the revision that all migrations lead to: they are numbered, and each follows the one before."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def configuration(connection: object) -> Config:
    """Return what Alembic needs to know, without a file of its own."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config

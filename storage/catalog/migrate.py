"""Bringing the tables of a catalog up to date."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOCK = 0x65706879
"""Any number: processes that migrate one PostgreSQL database at once wait for each other by it."""


def migrate(engine: Engine) -> None:
    """Create or update all tables, in one transaction; repeating it does nothing."""
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        command.upgrade(configuration(connection), "head")


def is_current(connection: Connection) -> bool:
    """Whether the tables are those that this version of the service knows."""
    return MigrationContext.configure(connection).get_current_revision() == _newest()


@cache
def _newest() -> str | None:
    return ScriptDirectory.from_config(configuration(None)).get_current_head()


def configuration(connection: object) -> Config:
    """Return what Alembic needs to know, without a file of its own."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config

"""The tables that migrations make."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from storage.catalog import models  # noqa: F401 - its tables too
from storage.catalog.base import Base
from storage.catalog.database import connect
from storage.catalog.migrate import configuration, is_current, migrate, newest


def test_migrations_make_the_tables_that_the_models_say(database_url):
    engine = connect(database_url)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_newest_revision_is_the_one_that_migrations_lead_to(database_url):
    assert newest() == ScriptDirectory.from_config(configuration(None)).get_current_head()
    engine = connect(database_url)
    with engine.connect() as connection:
        assert not is_current(connection)
    migrate(engine)
    with engine.connect() as connection:
        assert is_current(connection)
    with engine.execution_options(writes=True).begin() as connection:
        command.downgrade(configuration(connection), "-1")
    with engine.connect() as connection:
        assert not is_current(connection)
    engine.dispose()


def test_migrating_again_does_nothing(database_url):
    engine = connect(database_url)
    migrate(engine)
    before = sorted(inspect(engine).get_table_names())
    migrate(engine)
    assert sorted(inspect(engine).get_table_names()) == before
    engine.dispose()


def test_several_may_migrate_at_once(database_url):
    engines = [connect(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, engines))
    assert "analogsignal" in inspect(engines[0]).get_table_names()
    for engine in engines:
        engine.dispose()


def test_migrations_can_be_undone(database_url):
    engine = connect(database_url)
    migrate(engine)
    with engine.execution_options(writes=True).begin() as connection:
        command.downgrade(configuration(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()

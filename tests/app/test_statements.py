"""How often one request asks the catalog, counted as the database sees it."""

from __future__ import annotations

import numpy as np
import pytest
from alembic import command
from sqlalchemy import text, update

from storage.catalog.base import ARCHIVED, PRIVATE, PUBLIC
from storage.catalog.files import Datafile
from storage.catalog.migrate import configuration, migrate
from storage.catalog.models import AnalogSignal
from tests.archive import Archive, add_every_type
from tests.statements import Statements

LABEL_FIELDS = {"labels", "times", "durations"}


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def statements(archive, tmp_path):
    """Every statement since it was cleared, BEGIN and the like included."""
    seen = Statements(archive.services.engine, tmp_path)
    seen.clear()
    return seen


def links_of(archive):
    """Every datafile link of every type of object."""
    for type_name, object_id in add_every_type(archive).items():
        fields = archive.fields(f"/electrophysiology/{type_name}/{object_id}")
        for field in ("signal", "times", "waveforms", "waveform", *LABEL_FIELDS):
            if field in fields and "data" in (fields[field] or {}):
                yield fields[field]["data"]


def test_an_array_costs_one_statement(archive, statements):
    links = list(dict.fromkeys(links_of(archive)))
    assert len(links) == 8
    for link in links:
        statements.clear()
        assert archive.get(link).status_code == 200
        assert len(statements.seen) == 1, (link, statements.seen)


def test_a_slice_costs_one_statement_also_by_time_on_an_irregular_axis(archive, statements):
    links = list(links_of(archive))
    sliced = 0
    for link in links:
        statements.clear()
        answer = archive.get(f"{link}?start_time=0.2&end_time=2&format=json")
        sliced += answer.status_code == 200
        assert len(statements.seen) == 1, (link, statements.seen)
    assert sliced >= 3


def test_a_chunked_array_costs_one_more_the_first_time(archive, statements):
    link = archive.add("chunked", np.arange(4000.0), chunks=(1000,))["signal"]["data"]
    for expected in (2, 1, 1):
        statements.clear()
        assert archive.get(f"{link}?start_index=5&end_index=10").status_code == 200
        assert len(statements.seen) == expected, statements.seen


def test_what_is_archived_neither_is_answered_nor_lends_its_array(archive):
    signal = archive.add("one", np.arange(100.0))
    link, number = signal["signal"]["data"], signal["signal"]["data"].rpartition("/")[2]
    private = update(Datafile).where(Datafile.id == int(number)).values(safety_level=PRIVATE)
    with archive.services.engine.execution_options(writes=True).begin() as connection:
        connection.execute(private)
    assert archive.get(link).status_code == 200  # lent by the object, which is public
    with archive.services.engine.execution_options(writes=True).begin() as connection:
        connection.execute(update(AnalogSignal).values(current_state=ARCHIVED))
    archive.error(link, 401)
    with archive.services.engine.execution_options(writes=True).begin() as connection:
        connection.execute(update(Datafile).values(current_state=ARCHIVED, safety_level=PUBLIC))
    archive.error(link, 404)


def test_a_catalog_of_an_older_version_is_told(archive):
    link = archive.add("chunked", np.arange(4000.0), chunks=(1000,))["signal"]["data"]
    assert archive.get("/health").status_code == 200
    engine = archive.services.engine
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("DROP TABLE short_index"))
    assert archive.get(f"{link}?end_index=5").status_code == 200  # the sidecar has what the table keeps
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("CREATE TABLE short_index (sidecar VARCHAR(64), packed BYTEA)"))
        command.downgrade(configuration(connection), "0001")
    assert "flask --app wsgi init" in archive.error("/health", 503)["message"]
    archive.error(f"{link}?end_index=6", 503)
    migrate(engine)
    assert archive.get(f"{link}?end_index=7").status_code == 200  # rows that were there before are served again


def test_an_object_costs_three_statements_at_most(archive, statements):
    fields = archive.add("one", np.arange(100.0))
    statements.clear()
    archive.fields(f"/electrophysiology/analogsignal/{fields['id']}?start_time=1&duration=2")
    assert len(statements.seen) <= 3, statements.seen


def test_a_connection_that_the_database_ended_while_idle_is_made_anew(tmp_path, postgresql, monkeypatch):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=postgresql.new_database())
    link = archive.add("one", np.arange(100.0))["signal"]["data"]
    monkeypatch.setattr("storage.catalog.database.TRUSTED_S", 0.0)
    with archive.services.engine.connect() as own, archive.services.engine.connect() as other:
        number = other.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        other.close()
        assert own.exec_driver_sql(f"SELECT pg_terminate_backend({number}, 5000)").scalar_one()
    assert archive.get(link).status_code == 200

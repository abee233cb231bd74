"""How often one request asks the catalog, counted as the database sees it."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import event

from tests.archive import Archive, add_every_type

LABEL_FIELDS = {"labels", "times", "durations"}


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def statements(archive):
    """Every statement since the fixture was made, BEGIN and the like included."""
    seen = []
    event.listen(archive.services.engine, "before_cursor_execute", lambda *told: seen.append(told[2]))
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
        assert len(statements) == 1, (link, statements)


def test_a_slice_costs_one_statement_also_by_time_on_an_irregular_axis(archive, statements):
    links = list(links_of(archive))
    sliced = 0
    for link in links:
        statements.clear()
        answer = archive.get(f"{link}?start_time=0.2&end_time=2&format=json")
        sliced += answer.status_code == 200
        assert len(statements) == 1, (link, statements)
    assert sliced >= 3


def test_an_object_costs_three_statements_at_most(archive, statements):
    fields = archive.add("one", np.arange(100.0))
    statements.clear()
    archive.fields(f"/electrophysiology/analogsignal/{fields['id']}?start_time=1&duration=2")
    assert len(statements) <= 3, statements


def test_a_connection_that_the_database_ended_while_idle_is_made_anew(tmp_path, postgresql, monkeypatch):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=postgresql.new_database())
    link = archive.add("one", np.arange(100.0))["signal"]["data"]
    monkeypatch.setattr("storage.catalog.database.TRUSTED_S", 0.0)
    with archive.services.engine.connect() as own, archive.services.engine.connect() as other:
        number = other.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        other.close()
        assert own.exec_driver_sql(f"SELECT pg_terminate_backend({number}, 5000)").scalar_one()
    assert archive.get(link).status_code == 200

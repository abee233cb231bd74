"""Connections to the catalog, alike on SQLite and PostgreSQL."""

from __future__ import annotations

import math
import sqlite3
import time
from functools import partial
from typing import Any

from sqlalchemy import Dialect, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError

BUSY_TIMEOUT_S = 5

TRUSTED_S = 0.2
"""A connection that was used this long ago is taken to work still; no database restarts in less."""


def connect(url: str) -> Engine:
    """Return an engine for a catalog; made anew in each process, because connections do not survive a fork."""
    if make_url(url).get_backend_name() != "sqlite":
        engine = create_engine(url, connect_args={"connect_timeout": BUSY_TIMEOUT_S})
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", partial(_require_alive, engine.dialect))
        return engine
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def for_reading(engine: Engine) -> Engine:
    """Return an engine whose statements each stand for themselves: no BEGIN and ROLLBACK around a single SELECT."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(only_reads=True)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_s"] = time.monotonic()


def _require_alive(dialect: Dialect, connection: Any, record: Any, _proxy: Any) -> None:
    """Ask the server for a sign of life on a connection that was idle; asking each time would cost a round trip."""
    if time.monotonic() - record.info.get("used_s", math.inf) > TRUSTED_S:
        try:
            dialect.do_ping(connection)
        except Exception as error:
            raise DisconnectionError(str(error)) from error  # the pool then makes a new one


def _configure(connection: Any, _record: Any) -> None:
    """Let readers go on while one process writes, and let transactions begin where SQLAlchemy says."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """Switch a new database to write-ahead logging; SQLite itself does not wait for others who just do so."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin(connection: Any) -> None:
    """Begin; a transaction that will write takes the lock at once rather than failing half-way."""
    options = connection.get_execution_options()
    if not options.get("only_reads", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")

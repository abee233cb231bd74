"""Messages that wake the workers; what there is to do stands in the catalog, so losing one loses nothing."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import psycopg
from huey import Huey, PostgresHuey, SqliteHuey, crontab
from huey.registry import Message
from huey.serializer import Serializer
from sqlalchemy.engine import URL, make_url

log = logging.getLogger(__name__)

QUEUE = "ephystore"
TIMEOUT_S = 5
LONGEST_WAIT_S = 1.0
"""Between two looks of an idle worker at a queue in SQLite; PostgreSQL tells by itself."""


class JSONSerializer(Serializer):  # type: ignore[misc]
    """Messages as JSON: whoever can write to the queue must not be able to run code by it."""

    def _serialize(self, data: Message) -> bytes:
        """Return a message without arguments as JSON."""
        return orjson.dumps({"id": data.id, "name": data.name, "eta": data.eta, "priority": data.priority})

    def _deserialize(self, data: bytes) -> Message:
        """Return the message; raises ValueError for anything else."""
        told = orjson.loads(data)
        return Message(
            id=str(told["id"]),
            name=str(told["name"]),
            eta=None if told["eta"] is None else datetime.fromisoformat(told["eta"]),
            retries=0,
            retry_delay=0,
            priority=told["priority"],
            args=(),
            kwargs={},
        )


class Wakes:
    """The queue of messages beside a catalog.

    Parameters
    ----------
    database_url : str
        Of the catalog: a queue for SQLite lies beside its file, one for PostgreSQL in the same database.
    """

    def __init__(self, database_url: str) -> None:
        self._url = make_url(database_url)
        self._awake: Callable[[], object] = lambda: None
        self._sweep: Callable[[], object] = lambda: None

    @cached_property
    def _tasks(self) -> tuple[Huey, Any]:
        """The queue and its message; connecting makes its tables."""
        huey = _connect(self._url)
        huey.periodic_task(crontab(), name="sweep")(self._on_sweep)
        return huey, huey.task(name="wake")(self._on_wake)

    def _on_wake(self) -> None:
        self._awake()

    def _on_sweep(self) -> None:
        self._sweep()

    def send(self, number: int = 1, *, after: timedelta | None = None) -> None:
        """Wake as many threads of workers; where no message can be left, the next sweep wakes them."""
        try:
            _, wake = self._tasks
            for _ in range(number):
                if after is None:
                    wake()
                else:
                    wake.schedule(delay=after.total_seconds())
        except (sqlite3.Error, psycopg.Error) as error:
            log.warning("no worker could be woken, the next sweep does it: %s", error)

    def listen(self, awake: Callable[[], object], sweep: Callable[[], object], *, threads: int) -> None:
        """Call ``awake`` at each message and ``sweep`` every minute, in threads, until SIGINT or SIGTERM.

        At SIGINT calls that are under way are waited for, at SIGTERM not.
        """
        self._awake, self._sweep = awake, sweep
        huey, _ = self._tasks
        huey.create_consumer(workers=threads, max_delay=LONGEST_WAIT_S).run()


def queue_file(catalog: str) -> Path:
    """Return where the queue of a catalog in SQLite lies: beside it."""
    return Path(catalog).with_suffix(".queue.sqlite")


def _connect(url: URL) -> Huey:
    common: dict[str, Any] = {"results": False, "serializer": JSONSerializer()}
    if url.get_backend_name() == "sqlite":
        return SqliteHuey(QUEUE, filename=str(queue_file(url.database or "")), timeout=TIMEOUT_S, **common)
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return PostgresHuey(QUEUE, dsn=dsn, connect_timeout=TIMEOUT_S, **common)

"""What requests share in one process: the store, the catalog, the caches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TypeVar

from flask import Flask, current_app
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, sessionmaker

from app.config import Settings
from app.long_answers import LongAnswers
from storage.cache import Cache
from storage.catalog import database, short_indices
from storage.hdf5.chunk_index import IndexSource
from storage.hdf5.dataset import DatasetReader
from storage.ingest.sandbox.sandbox import sandbox
from storage.jobs.wakes import Wakes
from storage.objectstore import ObjectStore
from storage.reader import Reader
from storage.side_by_side import SideBySide, yield_to_others
from storage.writing.services import Writing

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")

EXTENSION = "ephystore"
OBJECTS_AT_ONCE = 16
"""Irregular objects of a list whose times are searched side by side."""
LARGE_CHUNKS_AT_ONCE = 2
"""Answers at once that read arrays whose chunks are large."""
READING_AHEAD = 16
"""Threads that read the next parts of long answers; whoever finds none free reads by itself."""


class Services:
    """Made with the application, connected at first use: connections do not survive a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ObjectStore(
            settings.store_url,
            s3_client=settings.s3_client,
            s3_public_url=settings.s3_public_url,
            stores=settings.stores,
        )
        self.reader = Reader(
            DatasetReader(
                store=self.store,
                indices=IndexSource(
                    store=self.store,
                    cache=Cache(settings.index_cache_nbytes, lambda rows: rows.nbytes),
                    short_index=self._short_index,
                ),
                chunk_cache=Cache(settings.chunk_cache_nbytes, lambda chunk: chunk.nbytes),
                decoders=SideBySide(
                    settings.decoders, per_call=settings.decoders, name="decode", begin=yield_to_others
                ),
                ahead=ThreadPoolExecutor(READING_AHEAD, thread_name_prefix="ahead", initializer=yield_to_others),
            )
        )
        self.wakes = Wakes(settings.database_url)
        self.long_answers = LongAnswers.of_threads(settings.threads)
        self.answers_of_large_chunks = LongAnswers(LARGE_CHUNKS_AT_ONCE, settings.threads // 4)
        sandbox().limits, sandbox().required = settings.sandbox, settings.sandbox_required
        self._searchers = SideBySide(OBJECTS_AT_ONCE, per_call=OBJECTS_AT_ONCE, name="search")

    @cached_property
    def engine(self) -> Engine:
        """The catalog of this process."""
        return database.connect(self.settings.database_url)

    @cached_property
    def reading(self) -> Engine:
        """The same connections, for statements that only read."""
        return database.for_reading(self.engine)

    def wake(self, number: int = 1) -> None:
        """Wake threads of workers for jobs that were just committed; without this, the next sweep finds them."""
        self.wakes.send(number)

    def session(self) -> Session:
        """Return a session that reads; rows stay usable after it is closed."""
        return Session(self.reading, expire_on_commit=False)

    def transaction(self) -> AbstractContextManager[Session]:
        """Return a session that writes: committed at the end of its block, undone if that fails."""
        return sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False).begin()

    @cached_property
    def writing(self) -> Writing:
        """What creating and changing objects takes."""
        quota_nbytes = self.settings.limits.quota_nbytes
        return Writing(self.store, self.reader, self.session, self.transaction, quota_nbytes)

    def connection(self) -> Connection:
        """Return a connection that reads."""
        return self.reading.connect()

    def _short_index(self, sidecar: str) -> bytes | None:
        try:
            with self.connection() as connection:
                return short_indices.get(connection, sidecar)
        except DatabaseError as error:  # the sidecar has the same rows
            log.warning("the catalog gives no chunk index: %s", error.orig)
            return None

    def side_by_side(self, work: Callable[[In], Out], things: Sequence[In]) -> list[Out]:
        """Return what ``work`` makes of each thing, in order."""
        return self._searchers.map(work, things)


def services() -> Services:
    """Return those of the application that answers."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def install(app: Flask, settings: Settings) -> None:
    """Give an application its services."""
    app.extensions[EXTENSION] = Services(settings)

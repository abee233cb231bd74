"""Every statement that a database is asked, as it sees them itself."""

from __future__ import annotations

import os
import re

from sqlalchemy import event

ASKED = re.compile(r"^[^\t]*\tF\t[^\t]*\t(Query|Execute)\t")


class Statements:
    """What the database was asked, told by its own client library: by SQLite's trace, by libpq's of the protocol."""

    def __init__(self, engine, folder):
        self._sqlite, self._traces, self._folder = [], [], folder
        self._seen = 0
        event.listen(engine, "connect", self._trace)
        engine.dispose()

    def clear(self):
        self._seen = len(self._all())

    @property
    def seen(self):
        return self._all()[self._seen :]

    def _trace(self, connection, _record):
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(self._sqlite.append)
        else:
            path = self._folder / f"trace{len(self._traces)}"
            self._traces.append(path)
            connection.pgconn.trace(os.open(path, os.O_CREAT | os.O_WRONLY))

    def _all(self):
        lines = [line for path in self._traces for line in path.read_text().splitlines()]
        return self._sqlite + [line for line in lines if ASKED.search(line)]

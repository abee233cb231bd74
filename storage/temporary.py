"""Files of which nothing is left, whoever is killed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from storage.errors import StoreFull
from storage.stores.folder import FULL


@contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """Open a file without a name and without a buffer, to be written and read; raises StoreFull."""
    try:
        with tempfile.TemporaryFile(buffering=0) as content:
            yield content
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StoreFull("the worker's temporary folder has no room for it; TMPDIR names another") from error

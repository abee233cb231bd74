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
    except Exception as error:
        if not _is_of_no_room(error):
            raise
        raise StoreFull("the worker's temporary folder has no room for it; TMPDIR names another") from error


def _is_of_no_room(error: BaseException | None) -> bool:
    """Whether an error came of a full disk, whatever libhdf5 and h5py made of that."""
    while error is not None and not (isinstance(error, OSError) and error.errno in FULL):
        error = error.__context__
    return error is not None

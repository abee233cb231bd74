"""What writing needs: the store, the reader, and the catalog to read from and to write to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from storage.objectstore import ObjectStore
from storage.reader import Reader


@dataclass(frozen=True, slots=True)
class Writing:
    """Shared by all threads of a process."""

    store: ObjectStore
    reader: Reader
    session: Callable[[], Session]
    """Reads."""
    transaction: Callable[[], AbstractContextManager[Session]]
    """Writes all of its block, or nothing."""
    quota_nbytes: int
    """What a user may store for whom the catalog says nothing else."""

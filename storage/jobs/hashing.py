"""The SHA-256 of a stored file, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from storage.objectstore import ObjectStore
from storage.ranges import ByteRange, split
from storage.stores.backend import Stat

AT_ONCE = 4
"""Ranges of 4 MiB that are fetched side by side: one alone waits for the store most of the time."""


def sha256_of(
    store: ObjectStore, name: str, stat: Stat, progress: Callable[[float], object] = lambda share: None
) -> str:
    """Return the SHA-256 of a file in hex.

    Parameters
    ----------
    store : ObjectStore
    name : str
    stat : Stat
        Of the file as it is known.
    progress : callable
        Told after each step what share of the file is done, 0 to 1.

    Raises
    ------
    FileChanged
        If the file is not, or no longer, the one with this pin.
    """
    found = hashlib.sha256()
    ranges = split(ByteRange(0, stat.nbytes)) if stat.nbytes else []
    for first in range(0, len(ranges), AT_ONCE):
        step = ranges[first : first + AT_ONCE]
        for content in store.get_ranges(name, step, pin=stat.pin):
            found.update(content)
        progress(step[-1].end / stat.nbytes)
    return found.hexdigest()

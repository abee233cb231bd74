"""A file that comes in one request: stored, hashed and counted as its bytes come."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Engine

from storage.catalog.uploads import Upload
from storage.errors import TooLarge, WrongLength
from storage.objectstore import ObjectStore
from storage.stores.backend import Pieces
from storage.uploads import abandoned, under_way
from storage.uploads.under_way import Limits

STEP_NBYTES = 64 << 20
"""By which room is reserved for a file whose length was not announced."""


def receive(
    store: ObjectStore,
    engine: Engine,
    limits: Limits,
    *,
    owner_id: int,
    name: str,
    nbytes: int | None,
    pieces: Pieces,
) -> int:
    """Store a file and make a datafile of it; either all of that is done or nothing is left.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    limits : Limits
    owner_id : int
        Who sends it.
    name : str
        What the sender calls it.
    nbytes : int, optional
        Its length, where that is announced; what comes is counted anyway.
    pieces : iterable of bytes
        Never held in memory together. What it raises is passed on.

    Returns
    -------
    int
        Id of the datafile.

    Raises
    ------
    TooLarge, QuotaExceeded, StoreFull, StoreAway
    WrongLength
        If it is empty.
    """
    require_fits(nbytes or 0, limits)
    lease = timedelta(seconds=limits.lease_s)
    room = STEP_NBYTES if nbytes is None else nbytes
    upload = under_way.reserve(engine, limits, owner_id=owner_id, name=name, nbytes=room, lasts=lease)
    counted = _Counted(engine, limits, upload, pieces)
    try:
        with under_way.leased(engine, upload.id, limits.lease_s):
            store.write(upload.key, counted, at_most_nbytes=limits.max_request_nbytes if nbytes is None else nbytes)
            return under_way.finish(engine, upload, store.stat(upload.key), counted.sha256.hexdigest())
    except BaseException:
        abandoned.give_up(store, engine, upload.id)
        raise


def require_fits(nbytes: int, limits: Limits) -> None:
    """Raise TooLarge where a file has more bytes than one request may bring."""
    if nbytes > limits.max_request_nbytes:
        raise TooLarge(
            f"one request takes {limits.max_request_nbytes} bytes at most; "
            "/datafiles/uploads/ takes larger files in parts"
        )


class _Counted:
    """Pieces that are counted and hashed as they pass."""

    def __init__(self, engine: Engine, limits: Limits, upload: Upload, pieces: Pieces) -> None:
        self._engine, self._limits, self._upload, self._pieces = engine, limits, upload, pieces
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        nbytes = 0
        for piece in self._pieces:
            nbytes += len(piece)
            require_fits(nbytes, self._limits)
            if nbytes > self._upload.nbytes:
                under_way.grow(self._engine, self._limits, self._upload, nbytes + STEP_NBYTES)
            self.sha256.update(piece)
            yield piece
        if not nbytes:
            raise WrongLength("the file is empty")

"""What lies in the store and nothing in the catalog knows of."""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from storage.catalog.files import Datafile, StoredFile
from storage.catalog.uploads import Leftover, Upload
from storage.objectstore import ObjectStore

PREFIXES = ("datafiles", "sidecars")
"""Below which the service writes."""


def find_stray(store: ObjectStore, engine: Engine) -> tuple[list[str], int]:
    """Return the keys in the store that nothing knows of, not even as abandoned, and how many keys there are in all.

    Notes
    -----
    The store is asked first: a key is noted in the catalog before its first byte is written.
    """
    stored = set().union(*(store.find_all(prefix) for prefix in PREFIXES))
    with Session(engine) as session:
        known = (
            select(StoredFile.name),
            select(Datafile.sidecar).where(Datafile.sidecar.is_not(None)).distinct(),
            select(Datafile.overview).where(Datafile.overview.is_not(None)),
            select(Upload.key),
            select(Leftover.key),
        )
        stray = stored.difference(*(session.scalars(keys).all() for keys in known))
    return sorted(stray), len(stored)

"""Taking files out of the catalog again; the files themselves are never touched."""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from storage.catalog import batches, find, leftovers, orders, overviews, queue, short_indices
from storage.catalog.base import ACTIVE, ARCHIVED, new_guid, now
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.models import TYPES
from storage.ingest import record
from storage.ingest.vanished import known_below
from storage.stores.named import is_registered


def registered_at(engine: Engine, url: str) -> list[str]:
    """Return the registered files at a place and below it of which anything is active, or waits to be registered."""
    with Session(engine) as session:
        files = [one for one in known_below(session, url) if is_registered(one.name)]
        active = [one.name for one in files if _is_active(session, one)]
        return list(dict.fromkeys([*active, *batches.waiting_below(session, url)]))


def unregister(engine: Engine, name: str) -> dict[str, int]:
    """Archive all objects and arrays of a registered file; return how many active objects of each type it had.

    What the service stored beside it is removed an hour later; permalinks answer 404 from now on. Registering the file
    again brings them back, as persons left them.

    Parameters
    ----------
    engine : Engine
    name : str
        Its URL, or its place in a named store.
    """
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        # Jobs before rows of the file, as whoever ends a job locks them.
        queue.cancel(session, orders.unfinished(session, [name]))
        file = find.stored_file(session, name, locked=True)
        if file is None:
            return {}
        counts = record.count(session, file)
        gone = find.sidecars(session, file.id)
        for row in record.rows_of(session, file):
            if row.current_state == ACTIVE:
                row.current_state, row.guid, row.last_modified = ARCHIVED, new_guid(), now()
            if isinstance(row, Datafile):
                overviews.drop(session, [row])
        session.flush()
        short_indices.replace(session.connection(), gone, {})
        leftovers.doom(session, gone)
        file.pin = None  # of no version any more: registering it again looks into it
        return counts


def _is_active(session: Session, file: StoredFile) -> bool:
    models: tuple[type[Datafile], ...] = (Datafile, *TYPES.values())
    return any(
        session.scalar(select(model.id).where(model.file_id == file.id, model.current_state == ACTIVE).limit(1))
        for model in models
    )

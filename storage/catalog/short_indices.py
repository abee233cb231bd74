"""Short chunk indices that the catalog keeps, by the key of their sidecar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, insert, select

from storage.catalog.files import ShortIndex


def get(connection: Connection, sidecar: str) -> bytes | None:
    """Return what is kept of the index in a sidecar, None where it is long or from before indices were kept."""
    return connection.scalar(select(ShortIndex.packed).where(ShortIndex.sidecar == sidecar))


def replace(connection: Connection, gone: Iterable[str], packed: Mapping[str, bytes]) -> None:
    """Keep those of new sidecars instead of those of sidecars that nothing is read by any more."""
    connection.execute(delete(ShortIndex).where(ShortIndex.sidecar.in_(list(gone))))
    if packed:
        connection.execute(insert(ShortIndex), [{"sidecar": key, "packed": rows} for key, rows in packed.items()])

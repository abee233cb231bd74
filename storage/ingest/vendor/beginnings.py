"""What the first bytes of a file tell of its format, where it is no HDF5 file."""

from __future__ import annotations

from storage.errors import Refused, StorageError
from storage.ingest.vendor import known
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from storage.stores.backend import Stat, file_name


def beginning(store: ObjectStore, place: str, stat: Stat) -> bytes:
    """Return the bytes by which formats are told apart."""
    part = ByteRange(0, min(known.MAX_MAGIC_NBYTES, stat.nbytes)) if stat.nbytes else None
    return bytes(store.get_ranges(place, [part], pin=stat.pin)[0]) if part is not None else b""


def told_by_format(store: ObjectStore, url: str, stat: Stat, refused: Refused) -> Refused:
    """Return why a file is refused: by what it is, if that can be imported, else as it was told."""
    try:
        one = known.format_of(file_name(url), beginning(store, url, stat))
    except StorageError:
        return refused
    if one is not None:
        return Refused(f"{an(one.name)} file; 'flask import' makes objects of it")
    part = known.part(url)
    return refused if part is None else Refused(f"it is {part}")


def an(name: str) -> str:
    """Return that it is one of a format."""
    return f"it is {'an' if name[0] in 'AEI' else 'a'} {name}"

"""Recordings of other formats: converted to HDF5 in the store, and their objects put into the catalog."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import SEEK_END
from pathlib import PurePosixPath
from typing import IO, Protocol

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.catalog import find, leftovers, quota, short_indices
from storage.catalog.base import ACTIVE
from storage.catalog.files import StoredFile
from storage.catalog.models import Block
from storage.errors import Refused
from storage.ingest import record, sidecars
from storage.ingest.file_sets import Member
from storage.ingest.found import Found
from storage.ingest.sandbox.findings import cleaned
from storage.ingest.sandbox.importer import MAX_NAME, importer
from storage.ingest.vendor import readers
from storage.objectstore import ObjectStore
from storage.stores.backend import Stat
from storage.temporary import temporary_file

PIECE_NBYTES = 1 << 20
CONVERTING = 0.9
"""Share of the progress; the rest is storing."""


class Hash(Protocol):
    """What ``hashlib`` gives."""

    def update(self, content: bytes, /) -> None:
        """Take the next bytes."""


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one recording."""

    kind: str
    """Its format."""
    files: Sequence[Member]
    """The one to begin with first."""

    @property
    def place(self) -> str:
        """Key or URL of the file to begin with: the same recording has it, whatever lies beside."""
        return self.files[0].url

    def name(self) -> str:
        """Return what the Block is called."""
        return cleaned(PurePosixPath(self.files[0].name).stem, MAX_NAME)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose the objects will be, and who may read them."""

    id: int | None
    safety_level: int
    quota_nbytes: int
    """What the owner may store, unless the catalog says otherwise."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A recording that is in the store, and to which nothing in the catalog refers yet."""

    source: Source
    found: Found
    sidecars: Mapping[str, record.Sidecar | None]
    key: str
    stat: Stat
    sha256: str
    used: Mapping[str, str]
    """Pin of each file that was read, by key or URL."""


def require_readers() -> None:
    """Raise Refused where what reads other formats is not installed."""
    if missing := readers.missing():
        raise Refused(
            f"importing needs {' and '.join(missing)}, which this worker lacks: "
            "python -m pip install -r requirements-worker.txt"
        )


def convert(
    store: ObjectStore,
    engine: Engine,
    source: Source,
    owner: Owner,
    tell: Callable[[float], object] = lambda done: None,
) -> Converted:
    """Convert a recording and store it; whoever is killed before the catalog refers to it leaves nothing for ever.

    Raises
    ------
    Refused
        If it cannot be read, or nothing is in it.
    QuotaExceeded, NotStored, FileChanged, StoreAway, StoreFull, SandboxAway
    """
    require_readers()
    with temporary_file() as content:
        found, used = importer().convert(
            store,
            source.files,
            kind=source.kind,
            name=source.name(),
            content=content,
            progress=lambda done: tell(CONVERTING * done),
        )
        nbytes = content.seek(0, SEEK_END)
        key = _reserved(engine, source, owner, nbytes)
        sha256 = hashlib.sha256()
        store.write(key, _pieces(content, nbytes, sha256, tell), at_most_nbytes=nbytes)
    datasets = {array.dataset for array in found.arrays.values()}
    stored = {path: sidecars.put(store, engine, found, path) for path in datasets}
    pins = {one.url: one.stat.pin for one in used}
    return Converted(source, found, stored, key, store.stat(key), sha256.hexdigest(), pins)


def is_current(session: Session, source: Source, owner: Owner) -> bool:
    """Whether the catalog has what an import would make of a recording as it is now."""
    file = imported_file(session, source.place)
    if file is None or block_of(session, file) is None:
        return False
    by_place = {one.url: one.stat.pin for one in source.files}
    pins = file.options.get("files", {})
    same = all(by_place.get(place) == pin for place, pin in pins.items())
    is_told = (file.options.get("safety_level"), file.options.get("owner")) == (owner.safety_level, owner.id)
    return bool(same and pins and is_told)


def require_room(session: Session, converted: Converted, owner: Owner) -> None:
    """Raise QuotaExceeded where an owner has not the room, that of the file that it replaces counted as free."""
    _require_room(session, converted.source, owner, converted.stat.nbytes)


def write(session: Session, converted: Converted, owner: Owner) -> int:
    """Write a converted recording into the catalog; return the id of its Block."""
    source, found = converted.source, converted.found
    file = _file(session, source.place, converted.key)
    content_changed = file.sha256 != converted.sha256
    if file.name != converted.key:
        leftovers.doom(session, [file.name])
    gone = find.sidecars(session, file.id)
    made = [one for one in converted.sidecars.values() if one is not None]
    packed = {one.key: one.packed_index for one in made if one.packed_index is not None}
    short_indices.replace(session.connection(), gone, packed)
    leftovers.strike_out(session, [converted.key, *(one.key for one in made)])
    leftovers.doom(session, gone)
    file.name, file.pin, file.nbytes = converted.key, converted.stat.pin, converted.stat.nbytes
    file.sha256, file.uploader_id = converted.sha256, owner.id
    file.options = {"files": dict(converted.used), "safety_level": owner.safety_level, "owner": owner.id}
    file.refusals = [[one.path, one.reason] for one in found.refusals]
    session.flush()
    if block_of(session, file) is None:  # it was deleted, and is wanted again: what persons made of it went with it
        record.take_back(session, file)
    record.Recording(session, file, owner.id, owner.safety_level, content_changed).write(found, converted.sidecars)
    session.flush()
    block_id = block_of(session, file)
    assert block_id is not None
    return block_id


def imported_file(session: Session, place: str) -> StoredFile | None:
    """Return what a recording was converted to."""
    return session.scalar(select(StoredFile).where(StoredFile.imported_from == place))


def block_of(session: Session, file: StoredFile) -> int | None:
    """Return the id of the active Block that was made of a file; None where there is none."""
    active = (Block.file_id == file.id, Block.current_state == ACTIVE)
    found: int | None = session.scalar(select(Block.id).where(*active).order_by(Block.id).limit(1))
    return found


def _reserved(engine: Engine, source: Source, owner: Owner, nbytes: int) -> str:
    """Return a key that is noted as leftover, if the owner has room."""
    number = secrets.token_hex(16)
    key = f"datafiles/{number[:2]}/{number}.h5"
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        _require_room(session, source, owner, nbytes)
        leftovers.note(session, [key])
    return key


def _require_room(session: Session, source: Source, owner: Owner, nbytes: int) -> None:
    if owner.id is None:
        return
    before = imported_file(session, source.place)
    freed = before.nbytes if before is not None and before.uploader_id == owner.id else 0
    quota.require_room(session, owner.id, nbytes - freed, usual_nbytes=owner.quota_nbytes)


def _file(session: Session, place: str, key: str) -> StoredFile:
    """Return the row of what a recording was converted to, made where there is none."""
    file = imported_file(session, place)
    if file is not None:
        return file
    with suppress(IntegrityError), session.begin_nested():  # somebody who imports the same at the same time
        file = StoredFile(name=key, nbytes=0, imported_from=place)
        session.add(file)
        session.flush()
        return file
    return session.scalars(select(StoredFile).where(StoredFile.imported_from == place)).one()


def _pieces(content: IO[bytes], nbytes: int, sha256: Hash, tell: Callable[[float], object]) -> Iterator[bytes]:
    n_sent = content.seek(0)
    while piece := content.read(PIECE_NBYTES):
        sha256.update(piece)
        n_sent += len(piece)
        yield piece
        tell(CONVERTING + (1 - CONVERTING) * n_sent / max(nbytes, 1))

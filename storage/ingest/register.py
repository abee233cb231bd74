"""Registering files in place: what is in them goes into the catalog, and nothing is written beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from storage.catalog import find, leftovers, orders, short_indices
from storage.catalog.base import PRIVATE, User
from storage.catalog.files import MISSING, Datafile, StoredFile
from storage.errors import FileChanged, NotStored, SandboxAway, StillWritten, StorageError, StoreAway
from storage.ingest import file_sets, record, sidecars
from storage.ingest.formats import nwb_session
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.found import Found, Refusal
from storage.ingest.moved import find_moved, is_another, set_aside
from storage.ingest.sandbox.sandbox import sandbox
from storage.objectstore import ObjectStore
from storage.progress import DatasetProgress, Stopped, untold
from storage.stores.backend import Stat, file_name

log = logging.getLogger(__name__)

READER = 2
"""Counted up where files are understood in another way than before: registering them again then reads them again."""

State = Literal["registered", "updated", "moved", "unchanged", "refused", "waiting", "imported"]
"""Waiting is what is still being recorded."""


@dataclass(frozen=True, slots=True)
class Options:
    """How files are registered. What is not told stays as it was told before, for files that are known."""

    owner: str | None = None
    """Username; whoever has none yet gets a row."""
    safety_level: int | None = None
    """Private where it was never told."""
    plain: PlainOptions = field(default_factory=PlainOptions)
    default_safety_level: int = PRIVATE
    """Where none was ever told."""
    show_subject: bool = False
    """Whether what files say of animals and people is told to all who may read a recording."""
    forget_corrections: bool = False
    """Whether what persons changed becomes again what the file says."""

    def as_json(self) -> dict[str, Any]:
        """Return these options as a JSON column has them."""
        told: dict[str, Any] = _as_json(asdict(self))
        if self.default_safety_level == PRIVATE:
            del told["default_safety_level"]
        if self.plain.mapping is None:  # as it was before there were mapping files
            del told["plain"]["mapping"]
        if not self.show_subject:
            del told["show_subject"]
        if not self.forget_corrections:
            del told["forget_corrections"]
        return {**told, "reader": READER}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Options:
        """Return the options that ``as_json`` told."""
        plain = {name: _quantity_or_text(value) for name, value in told.get("plain", {}).items()}
        return cls(
            told.get("owner"),
            told.get("safety_level"),
            PlainOptions(**plain),
            told.get("default_safety_level", PRIVATE),
            show_subject=told.get("show_subject", False),
            forget_corrections=told.get("forget_corrections", False),
        )

    def over(self, before: Mapping[str, Any]) -> Options:
        """Return these options, completed by those that a file was registered with before."""
        known = Options.from_json(before)
        plain = {
            name: getattr(known.plain, name) if value is None else value for name, value in asdict(self.plain).items()
        }
        plain["mapping"] = plain["mapping"] or None
        safety_level = self.safety_level or known.safety_level or self.default_safety_level
        owner = self.owner or known.owner
        return Options(owner, safety_level, PlainOptions(**plain), show_subject=self.show_subject)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    url: str
    state: State
    counts: dict[str, int] = field(default_factory=dict)
    """Objects by type."""
    refusals: list[Refusal] = field(default_factory=list)
    """What of the file, or that the whole of it, cannot be served."""

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as a JSON column has it."""
        refusals = [[refusal.path, refusal.reason] for refusal in self.refusals]
        return {"state": self.state, "counts": self.counts, "refusals": refusals}

    @classmethod
    def from_json(cls, url: str, told: Mapping[str, Any]) -> Outcome:
        """Return the outcome that ``as_json`` told."""
        return cls(url, told["state"], told["counts"], [Refusal(path, reason) for path, reason in told["refusals"]])


def register(
    store: ObjectStore,
    engine: Engine,
    url: str,
    options: Options,
    progress: DatasetProgress = untold,
    *,
    batch: str | None = None,
    require_wanted: Callable[[Session], object] = lambda session: None,
) -> Outcome:
    """Register one file, or bring up to date what the catalog says of it; repeating it does no harm.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    url : str
    options : Options
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.
    batch : str, optional
        Of the jobs that will check the order of long times.
    require_wanted : callable
        Is called in each transaction that writes, before rows of the file are locked, and raises Stopped where nothing
        is to be written any more: what was given up or unregistered meanwhile does not come back.

    Raises
    ------
    StoreAway, SandboxAway, Stopped
    """
    one = _One(store, engine, url, options, progress, batch, require_wanted)
    try:
        try:
            return one.register()
        except (IntegrityError, Overtaken):  # somebody registered the same file at the same time; theirs counts
            return one.register()
    except (OperationalError, InterfaceError, StoreAway, SandboxAway, Stopped):  # the file cannot help it
        raise
    except StillWritten as error:
        return Outcome(url, "waiting", refusals=[Refusal(file_name(url), str(error))])
    except StorageError as error:
        return Outcome(url, "refused", refusals=[Refusal(file_name(url), str(error))])
    except Exception as error:
        # Files come from strangers: what one of them brings about must not keep the next from being registered.
        log.exception("%s cannot be registered", url)
        reason = f"it cannot be registered: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        return Outcome(url, "refused", refusals=[Refusal(file_name(url), reason)])


@dataclass(frozen=True, slots=True)
class _One:
    """The registering of one file."""

    store: ObjectStore
    engine: Engine
    url: str
    told: Options
    progress: DatasetProgress
    batch: str | None
    require_wanted: Callable[[Session], object]

    def register(self) -> Outcome:
        stat = file_sets.stat(self.store, self.url)
        with Session(self.engine) as session:
            known = find.stored_file(session, self.url)
            options = self.told.over(known.options if known is not None else {})
            if known is not None and not self.told.forget_corrections and self._is_current(session, known, stat):
                before = Options.from_json(known.options)
                if known.options == options.as_json():
                    return Outcome(self.url, "unchanged", record.count(session, known), _refusals(known))
                # Only whose it is, or who may read it: the file need not be read.
                is_read_alike = known.options.get("reader") == READER
                if is_read_alike and (before.plain, before.show_subject) == (options.plain, options.show_subject):
                    return self._retold(known.id, options)
        found = sandbox().inspect(self.store, self.url, stat, options.plain, self.progress)
        if not options.show_subject:
            nwb_session.without_subject(found)
        if file_sets.stat(self.store, self.url) != stat:
            raise FileChanged(f"{file_name(self.url)} was changed while it was read; register it again")
        with Session(self.engine) as session:
            if known is not None and _is_another(known, found):
                known = None
            moved = None if known else find_moved(session, self.store, self.url, found.identity, stat, self.told.owner)
        if known is None and moved is None and not found.objects:
            return Outcome(self.url, "refused", refusals=found.refusals)
        paths = {one.dataset for one in found.arrays.values()}
        stored = {path: sidecars.put(self.store, self.engine, found, path) for path in paths}
        with Session(self.engine.execution_options(writes=True)) as session, session.begin():
            # First of all, as whoever ends such a job locks it before it locks rows of the file.
            orders.cancel(session, [self.url] if moved is None else [self.url, moved.name])
            self.require_wanted(session)
            there = find.stored_file(session, self.url, locked=True)
            if there is not None and _is_another(there, found):
                set_aside(session, there)
            was = _renamed(session, moved, self.url)
            counts = write(session, self.url, stat, self.told, found, stored, batch=self.batch)
        if not found.objects:
            return Outcome(self.url, "refused", counts, found.refusals)
        state: State = "moved" if was else "registered" if known is None else "updated"
        return Outcome(self.url, state, counts, found.refusals)

    def _is_current(self, session: Session, known: StoredFile, stat: Stat) -> bool:
        """Whether what is in the catalog, and in the store, is of this version of the file."""
        if known.pin != stat.pin or known.missing_since is not None:
            return False
        # Of a recording of several files one that holds samples may have been missing.
        missing = select(Datafile.id).where(Datafile.file_id == known.id, Datafile.state == MISSING)
        if session.scalar(missing.limit(1)) is not None or orders.forgotten(session, [known.name]):
            return False
        return all(_is_stored(self.store, key) for key in find.sidecars(session, known.id))

    def _retold(self, file_id: int, options: Options) -> Outcome:
        """Change whose a file's objects are and who may read them."""
        with Session(self.engine.execution_options(writes=True)) as session, session.begin():
            self.require_wanted(session)
            file = session.get_one(StoredFile, file_id, with_for_update=True)
            file.options = options.as_json()
            record.retell(session, file, _owner_id(session, options.owner), options.safety_level or PRIVATE)
            session.flush()
            return Outcome(self.url, "updated", record.count(session, file), _refusals(file))


def write(
    session: Session,
    url: str,
    stat: Stat,
    told: Options,
    found: Found,
    stored: Mapping[str, record.Sidecar | None],
    *,
    batch: str | None = None,
) -> dict[str, int]:
    """Write one file and all that was found in it; return how many objects of each type it has."""
    file = find.stored_file(session, url)
    is_new = file is None
    content_changed = file is None or file.pin != stat.pin
    if file is None:
        file = StoredFile(name=url)
        session.add(file)
    elif told.forget_corrections:
        record.take_back(session, file)
    options = told.over(file.options or {})
    file.pin, file.nbytes, file.options = stat.pin, stat.nbytes, options.as_json()
    file.identity, file.missing_since = found.identity, None
    file.refusals = [[refusal.path, refusal.reason] for refusal in found.refusals]
    owner_id = _owner_id(session, options.owner)
    session.flush()
    gone = find.sidecars(session, file.id)
    made = [one for one in stored.values() if one is not None]
    packed = {one.key: one.packed_index for one in made if one.packed_index is not None}
    short_indices.replace(session.connection(), gone, packed)
    leftovers.strike_out(session, [one.key for one in made])
    leftovers.doom(session, gone)
    level = options.safety_level or PRIVATE
    writing = record.Recording(session, file, owner_id, level, content_changed, is_new=is_new)
    datafiles = writing.write(found, stored)
    session.flush()
    orders.add(session, file, _unordered(found, datafiles), batch)
    return record.count(session, file)


def _is_another(known: StoredFile, found: Found) -> bool:
    was_asked = known.options.get("reader") == READER and known.pin is not None
    return is_another(known.identity, found.identity, was_asked=was_asked)


class Overtaken(StorageError):
    """Somebody else has written meanwhile where a file lies; looking again tells what is true now."""


def _renamed(session: Session, moved: StoredFile | None, url: str) -> bool:
    """Say of a file that it lies elsewhere by now; raises Overtaken where somebody else has said so meanwhile."""
    if moved is None:
        return False
    file = session.get(StoredFile, moved.id, with_for_update=True, populate_existing=True)
    if file is None or file.name != moved.name or find.stored_file(session, url) is not None:
        raise Overtaken(f"{file_name(url)} was registered by somebody else at the same time; try again")
    file.name = url
    session.flush()
    return True


def _unordered(found: Found, datafiles: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the ids of those times whose order is still to be checked, by dataset."""
    waiting: dict[str, list[int]] = {}
    for path in sorted(record.unordered_of(found)):
        waiting.setdefault(found.arrays[path].dataset, []).append(datafiles[path])
    return waiting


def _refusals(file: StoredFile) -> list[Refusal]:
    return [Refusal(path, reason) for path, reason in file.refusals]


def _is_stored(store: ObjectStore, key: str) -> bool:
    try:
        return store.stat(key).nbytes > 0
    except NotStored:
        return False


def _owner_id(session: Session, username: str | None) -> int | None:
    if username is None:
        return None
    found = session.scalar(select(User).where(User.username == username))
    if found is None:
        found = User(username=username)
        session.add(found)
        session.flush()
    return found.id


def _quantity_or_text(stored: Any) -> Any:
    """Return an option as it was before JSON made a list of its pair."""
    return tuple(stored) if isinstance(stored, list) else stored


def _as_json(told: Any) -> Any:
    """Return options as they come back from a JSON column."""
    if isinstance(told, dict):
        return {key: _as_json(value) for key, value in told.items()}
    return [_as_json(value) for value in told] if isinstance(told, tuple | list) else told

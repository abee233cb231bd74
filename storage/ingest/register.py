"""Registering files in place: what is in them goes into the catalog, and nothing is written beside them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from storage.catalog import find, leftovers, short_indices
from storage.catalog.base import PRIVATE, User
from storage.catalog.files import StoredFile
from storage.errors import FileChanged, NotStored, SandboxAway, StillWritten, StorageError, StoreAway
from storage.ingest import file_sets, record, sidecars
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.found import Found, Refusal
from storage.ingest.inspect import SUFFIXES
from storage.ingest.sandbox.sandbox import sandbox
from storage.objectstore import ObjectStore
from storage.progress import DatasetProgress, Stopped, untold
from storage.stores.backend import Stat, file_name

log = logging.getLogger(__name__)


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

    def as_json(self) -> dict[str, Any]:
        """Return these options as a JSON column has them."""
        told: dict[str, Any] = _as_json(asdict(self))
        if self.default_safety_level == PRIVATE:
            del told["default_safety_level"]
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Options:
        """Return the options that ``as_json`` told."""
        plain = {name: _quantity_or_text(value) for name, value in told.get("plain", {}).items()}
        default = told.get("default_safety_level", PRIVATE)
        return cls(told.get("owner"), told.get("safety_level"), PlainOptions(**plain), default)

    def over(self, before: Mapping[str, Any]) -> Options:
        """Return these options, completed by those that a file was registered with before."""
        known = Options.from_json(before)
        plain = {
            name: getattr(known.plain, name) if value is None else value for name, value in asdict(self.plain).items()
        }
        safety_level = self.safety_level or known.safety_level or self.default_safety_level
        return Options(self.owner or known.owner, safety_level, PlainOptions(**plain))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    url: str
    state: Literal["registered", "imported", "updated", "unchanged", "refused", "waiting"]
    """Waiting is what is still being recorded."""
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


def url_of(path_or_url: str) -> str:
    """Return the one URL of a path of this machine, however it is spelled; other URLs stay what they are."""
    path = path_or_url.removeprefix("file://")
    return path if "://" in path else f"file://{Path(path).resolve()}"


def files_at(store: ObjectStore, path_or_url: str) -> list[str]:
    """Return the URLs of a file, or of the files below a folder or prefix that may hold recordings.

    Raises
    ------
    NotStored
        If there is no such file, or nothing in the folder that could be registered.
    StoreAway, SandboxAway
    """
    url = url_of(path_or_url)
    files = store.list(url)
    if files == [url]:
        return [file_sets.main_of(store, url)]
    recordings = [file for file in files if file.lower().endswith(SUFFIXES)] + file_sets.mains(files)
    if not recordings:
        known = " or ".join((*SUFFIXES, *file_sets.KINDS))
        raise NotStored(f"{path_or_url} holds {len(files)} files, none of them {known}")
    return sorted(recordings)


def register(
    store: ObjectStore, engine: Engine, url: str, options: Options, progress: DatasetProgress = untold
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

    Raises
    ------
    StoreAway, SandboxAway
    """
    try:
        try:
            return _register(store, engine, url, options, progress)
        except IntegrityError:  # somebody registered the same file at the same time; theirs counts
            return _register(store, engine, url, options, progress)
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


def _register(store: ObjectStore, engine: Engine, url: str, options: Options, progress: DatasetProgress) -> Outcome:
    stat = file_sets.stat(store, url)
    with Session(engine) as session:
        known = find.stored_file(session, url)
        options = options.over(known.options if known is not None else {})
        if known is not None and known.pin == stat.pin and known.options == options.as_json():
            refusals = [Refusal(path, reason) for path, reason in known.refusals]
            if all(_is_stored(store, key) for key in find.sidecars(session, known.id)):
                return Outcome(url, "unchanged", record.count(session, known), refusals)
    found = sandbox().inspect(store, url, stat, options.plain, progress)
    if file_sets.stat(store, url) != stat:
        raise FileChanged(f"{file_name(url)} was changed while it was read; register it again")
    if known is None and not found.objects:
        return Outcome(url, "refused", refusals=found.refusals)
    paths = {one.dataset for one in found.arrays.values()}
    stored = {path: sidecars.put(store, engine, found, path) for path in paths}
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        counts = write(session, url, stat, options, found, stored)
    if not found.objects:
        return Outcome(url, "refused", counts, found.refusals)
    return Outcome(url, "registered" if known is None else "updated", counts, found.refusals)


def _is_stored(store: ObjectStore, key: str) -> bool:
    try:
        return store.stat(key).nbytes > 0
    except NotStored:
        return False


def write(
    session: Session,
    url: str,
    stat: Stat,
    options: Options,
    found: Found,
    stored: Mapping[str, record.Sidecar | None],
) -> dict[str, int]:
    """Write one file and all that was found in it; return how many objects of each type it has."""
    file = find.stored_file(session, url)
    content_changed = file is None or file.pin != stat.pin
    if file is None:
        file = StoredFile(name=url)
        session.add(file)
    file.pin, file.nbytes, file.options = stat.pin, stat.nbytes, options.as_json()
    file.refusals = [[refusal.path, refusal.reason] for refusal in found.refusals]
    owner_id = _owner_id(session, options.owner)
    session.flush()
    gone = find.sidecars(session, file.id)
    made = [one for one in stored.values() if one is not None]
    packed = {one.key: one.packed_index for one in made if one.packed_index is not None}
    short_indices.replace(session.connection(), gone, packed)
    leftovers.strike_out(session, [one.key for one in made])
    leftovers.doom(session, gone)
    record.Recording(session, file, owner_id, options.safety_level or PRIVATE, content_changed).write(found, stored)
    session.flush()
    return record.count(session, file)


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

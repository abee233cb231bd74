"""Importing: objects are made of an uploaded file, or of files of other formats wherever they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from storage.catalog import quota
from storage.catalog.base import ACTIVE, PRIVATE, User, now
from storage.catalog.files import Datafile
from storage.catalog.jobs import Job
from storage.errors import FileChanged, NotStored, QuotaExceeded, Refused, StoreFull
from storage.ingest import convert, record, register, sidecars
from storage.ingest.convert import Owner, Source
from storage.ingest.file_sets import Member
from storage.ingest.formats import nwb_session
from storage.ingest.formats.one_array import FORMATS
from storage.ingest.found import Refusal
from storage.ingest.sandbox.sandbox import sandbox
from storage.ingest.vendor import known
from storage.ingest.vendor.beginnings import beginning
from storage.jobs.worker import Held, Outcome
from storage.objectstore import ObjectStore
from storage.stores.backend import Stat, file_name

CANNOT_HELP = (Refused, FileChanged, NotStored, QuotaExceeded, StoreFull)
"""What is told of the file rather than tried again."""


def import_recording(store: ObjectStore, engine: Engine, quota_nbytes: int, held: Held) -> Outcome:
    """Make objects of what a job is about: an upload, with others where one file is not all, or files at URLs.

    Raises
    ------
    StoreAway, SandboxAway
        The import should be tried again.
    """
    try:
        if held.job.datafile_id is None:
            return _import_files(store, engine, quota_nbytes, held)
        return _import_upload(store, engine, quota_nbytes, held)
    except CANNOT_HELP as error:
        return _refuses(str(error), file_name(held.job.subject))


def _import_upload(store: ObjectStore, engine: Engine, quota_nbytes: int, held: Held) -> Outcome:
    job = held.job
    with Session(engine, expire_on_commit=False) as session:
        datafile = session.get_one(Datafile, job.datafile_id)
        others = [session.get(Datafile, id_) for id_ in job.options.get("with", ())]
        whole = [one for one in (datafile, *others) if one is not None and one.current_state == ACTIVE]
        owner = datafile.owner
    if len(whole) != len(others) + 1 or owner is None or any(one.owner_id != owner.id for one in whole):
        raise Refused("a file that it was to be imported with was deleted meanwhile")
    files = [Member(one.name, one.file.name, Stat(one.file.nbytes, one.file.pin or "")) for one in whole]
    if datafile.format in FORMATS:
        return _register(store, engine, datafile, owner.username, quota_nbytes, held)
    source = Source(datafile.format or "", files)
    whose = Owner(owner.id, PRIVATE, quota_nbytes)
    return _writes(convert.convert(store, engine, source, whose, held.tell), whose)


def _register(
    store: ObjectStore, engine: Engine, datafile: Datafile, owner: str, quota_nbytes: int, held: Held
) -> Outcome:
    """Make objects of an uploaded HDF5 file, which stays as it is."""
    key, stat = datafile.file.name, Stat(datafile.file.nbytes, datafile.file.pin or "")

    def tell(_path: str, n_indexed: int, n_chunks: int) -> None:
        held.tell(n_indexed / max(n_chunks, 1))

    found = sandbox().inspect(store, key, stat, progress=tell, name=datafile.name)
    nwb_session.without_subject(found)  # nobody was asked whether others may know whom it was recorded from
    if not found.objects:
        raise Refused("; ".join(f"{one.path}: {one.reason}" for one in found.refusals[:3]) or "nothing is in it")
    quota.reserve_beside(engine, datafile.file_id, sidecars.nbytes(found), usual_nbytes=quota_nbytes)
    stored = {path: sidecars.put(store, engine, found, path) for path in {one.dataset for one in found.arrays.values()}}
    # Only what was deleted is imported again: what persons made of it went with it.
    options = register.Options(owner, PRIVATE, forget_corrections=True)

    def write(session: Session, job: Job) -> None:
        row = _upload(session, job)
        if row is not None:
            counts = register.write(session, key, stat, options, found, stored)
            row.block_id, row.last_modified = convert.block_of(session, row.file), now()
            _note(job, register.Outcome(key, "imported", counts, found.refusals))

    return write


def _import_files(store: ObjectStore, engine: Engine, quota_nbytes: int, held: Held) -> Outcome:
    """Convert the files at URLs that the options name, unless that is done already."""
    job = held.job
    urls: Sequence[str] = [job.subject, *job.options.get("with", ())]
    files = [Member(file_name(url), url, store.stat(url)) for url in urls]
    one = known.format_of(files[0].name, beginning(store, files[0].url, files[0].stat))
    if one is None:
        raise Refused("it is of no format that is imported")
    source = Source(one.name, files)
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        before = convert.imported_file(session, source.place)
        owner = _owner(session, job.options, {} if before is None else before.options, quota_nbytes)
        if convert.is_current(session, source, owner):
            file = convert.imported_file(session, source.place)
            assert file is not None
            refusals = [Refusal(path, reason) for path, reason in file.refusals]
            counts = record.count(session, file)
            outcome = register.Outcome(job.subject, "unchanged", counts, refusals)
            return lambda _, done: _note(done, outcome)
    return _writes(convert.convert(store, engine, source, owner, held.tell), owner)


def _owner(session: Session, options: Mapping[str, Any], before: Mapping[str, Any], quota_nbytes: int) -> Owner:
    """Return whose objects will be; what is not told stays as it was told before."""
    username = options.get("owner")
    level = options.get("safety_level") or before.get("safety_level") or PRIVATE
    if username is None:
        return Owner(before.get("owner"), level, quota_nbytes)
    user = session.scalar(select(User).where(User.username == username))
    if user is None:
        user = User(username=username)
        session.add(user)
        session.flush()
    return Owner(user.id, level, quota_nbytes)


def _writes(converted: convert.Converted, owner: Owner) -> Outcome:
    """Return what writes a converted recording, in the transaction that ends its job."""

    def write(session: Session, job: Job) -> None:
        row = None
        if job.datafile_id is not None:
            row = _upload(session, job)
            if row is None:
                return
        try:
            convert.require_room(session, converted, owner)
        except QuotaExceeded as error:  # what was stored stays noted as leftover
            _refuses(str(error), file_name(job.subject))(session, job)
            return
        block_id = convert.write(session, converted, owner)
        if row is not None:
            row.block_id, row.last_modified = block_id, now()
        file = convert.imported_file(session, converted.source.place)
        assert file is not None
        counts = record.count(session, file)
        _note(job, register.Outcome(job.subject, "imported", counts, converted.found.refusals))

    return write


def _upload(session: Session, job: Job) -> Datafile | None:
    """Return the datafile that a job is about, locked; None where it was deleted, which the job then says."""
    row = session.get_one(Datafile, job.datafile_id, with_for_update={"of": Datafile})
    if row.current_state == ACTIVE:
        return row
    job.message = "the datafile was deleted meanwhile"  # what was stored stays noted as leftover
    return None


def _refuses(reason: str, name: str) -> Outcome:
    return lambda _, job: _note(job, register.Outcome(job.subject, "refused", refusals=[Refusal(name, reason)]))


def _note(job: Job, outcome: register.Outcome) -> None:
    job.result = outcome.as_json()
    job.message = outcome.refusals[0].reason if outcome.state == "refused" else outcome.state

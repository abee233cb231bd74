"""A file that comes in parts: in any order, again after a failure, and goes on after a break."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from storage.catalog.uploads import Upload
from storage.errors import NotFound, NotStored, PartsWrong, TooLarge
from storage.objectstore import ObjectStore
from storage.stores.backend import Part, Pieces, differences
from storage.uploads import abandoned, under_way
from storage.uploads.part_plan import PartPlan
from storage.uploads.under_way import Limits

LASTS = timedelta(days=1)
MAX_NAMED = 10
"""Since the last sign of life, after which an upload is abandoned."""


def begin(
    store: ObjectStore,
    engine: Engine,
    limits: Limits,
    *,
    owner_id: int,
    name: str,
    plan: PartPlan,
    sha256: str | None,
) -> Upload:
    """Reserve room for a file and make ready for its parts; raises TooLarge, QuotaExceeded or StoreAway."""
    if plan.nbytes > limits.max_nbytes:
        raise TooLarge(f"a file has {limits.max_nbytes} bytes at most, and not {plan.nbytes}")
    upload = under_way.reserve(
        engine,
        limits,
        owner_id=owner_id,
        name=name,
        nbytes=plan.nbytes,
        part_nbytes=plan.part_nbytes,
        sha256=sha256,
        lasts=LASTS,
    )
    try:
        upload.store_upload_id = store.begin_parts(upload.key)
        with engine.execution_options(writes=True).begin() as connection:
            named = {"store_upload_id": upload.store_upload_id}
            connection.execute(update(Upload).where(Upload.id == upload.id).values(named))
    except BaseException:
        abandoned.give_up(store, engine, upload.id)
        raise
    return upload


def plan_of(upload: Upload) -> PartPlan:
    """Return the parts of an upload by parts."""
    assert upload.part_nbytes is not None
    return PartPlan(upload.nbytes, upload.part_nbytes)


def part_of(upload: Upload, number: int) -> Part:
    """Return one part of an upload; raises NotFound."""
    try:
        return plan_of(upload).part(number)
    except ValueError as error:
        raise NotFound(str(error)) from error


def put_part(store: ObjectStore, engine: Engine, upload: Upload, part: Part, pieces: Pieces) -> None:
    """Store one part as it comes, and let the upload last longer.

    Raises
    ------
    NotFound
        If the upload is over.
    WrongLength, Superseded, StoreFull, StoreAway
    """
    under_way.renew(engine, upload.id, LASTS)
    try:
        store.put_part(upload.key, upload.store_upload_id, part, pieces)
    except NotStored as error:
        raise NotFound(f"the upload {upload.id} takes no parts any more") from error
    under_way.renew(engine, upload.id, LASTS)


def arrived(store: ObjectStore, upload: Upload) -> Mapping[int, int]:
    """Return the lengths of the parts that are stored, by number."""
    try:
        return store.list_parts(upload.key, upload.store_upload_id)
    except NotStored:  # the store has joined them, and the catalog does not know yet
        parts = plan_of(upload).parts() if _is_joined(store, upload) else []
        return {part.number: part.nbytes for part in parts}


def complete(
    store: ObjectStore, engine: Engine, *, upload_id: str, owner_id: int, told: Mapping[int, int]
) -> tuple[int, bool]:
    """Make the file of its parts, and a datafile of the file.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    upload_id : str
    owner_id : int
        Whose upload it must be.
    told : mapping of int to int
        The lengths of all parts by number, as the sender knows them.

    Returns
    -------
    datafile_id : int
    is_new : bool
        False where the upload was complete already, whatever is told now.

    Raises
    ------
    PartsWrong
        Naming each part that is told wrongly, or is not stored as it should be.
    NotFound
        If there is no such upload, or it was given up.
    """
    with Session(engine, expire_on_commit=False) as session:
        try:
            upload = under_way.own(session, upload_id, owner_id)
        except NotFound:
            return under_way.finished(session, upload_id, owner_id), False
    under_way.renew(engine, upload.id, LASTS)
    _require_all(store, upload, told)
    try:
        store.complete(upload.key, upload.store_upload_id, plan_of(upload).parts())
        stat = store.stat(upload.key)
    except NotStored as error:
        raise NotFound(f"the upload {upload.id} was given up") from error
    try:
        return under_way.finish(engine, upload, stat, None), True
    except NotFound:  # two completed it at once
        with Session(engine) as session:
            return under_way.finished(session, upload_id, owner_id), False


def _require_all(store: ObjectStore, upload: Upload, told: Mapping[int, int]) -> None:
    plan = plan_of(upload)
    wanted = {part.number: part.nbytes for part in plan.parts()}
    wrong = differences(wanted, arrived(store, upload))
    wrong |= {number: f"as told, {what}" for number, what in differences(wanted, told).items()}
    if wrong:
        raise PartsWrong(f"of parts 1 to {plan.n_parts} these are not as they should be: {_named(wrong)}", wrong)


def _named(numbers: Iterable[int]) -> str:
    """Return the first of some numbers as a text, and how many more there are."""
    told = sorted(numbers)
    more = f" and {len(told) - MAX_NAMED} more" if len(told) > MAX_NAMED else ""
    return ", ".join(map(str, told[:MAX_NAMED])) + more


def _is_joined(store: ObjectStore, upload: Upload) -> bool:
    try:
        return store.stat(upload.key).nbytes == upload.nbytes
    except NotStored:
        return False

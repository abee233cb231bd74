"""The check whether long times of a registered file are sorted: until it is done, they are found by index only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from storage.catalog import corrections, find, leftovers, short_indices
from storage.catalog.base import ACTIVE, ARCHIVED, new_guid, now
from storage.catalog.files import CHECKING_ORDER, READY, Datafile, StoredFile
from storage.catalog.jobs import Job
from storage.catalog.models import TYPES
from storage.catalog.uses import links
from storage.errors import FileChanged, NotStored, Refused
from storage.ingest import sidecars
from storage.ingest.record import Sidecar
from storage.ingest.sandbox.sandbox import Order, sandbox
from storage.jobs.again import register_again
from storage.jobs.worker import Held, Outcome
from storage.objectstore import ObjectStore
from storage.units import seconds

GROUPED = 500
"""Ids in one statement."""


def check_order(store: ObjectStore, engine: Engine, held: Held) -> Outcome:
    """Read the times that a job is about from end to end; return what writes which of them are sorted.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    held : Held

    Raises
    ------
    StoreAway, SandboxAway
        It should be tried again.
    """
    url, told = held.job.subject, held.job.options
    with Session(engine) as session:
        file = find.stored_file(session, url)
        rows = [] if file is None or file.pin != told["pin"] else _waiting(session, told["datafiles"])
        runs = [(row.first_row, row.first_row + row.n_samples) for row in rows]
        ids = [row.id for row in rows]
    if not ids:
        return _says("overtaken: the file was changed, or is not registered any more")

    def tell(_path: str, n_indexed: int, n_chunks: int) -> None:
        held.tell(0.5 * n_indexed / max(n_chunks, 1))

    try:
        stat = store.stat(url)
        if stat.pin != told["pin"]:
            raise FileChanged(f"{url} was changed since it was registered")
        order = sandbox().order(store, url, stat, told["dataset"], runs, tell)
    except (FileChanged, NotStored) as error:
        register_again(engine, url)
        return _says(str(error))
    except Refused as error:
        return _writes(held, ids, [f"whether its times are sorted cannot be found: {error}"] * len(ids), None, None)
    sidecar = sidecars.put(store, engine, order.found, told["dataset"])
    return _writes(held, ids, order.faults, order, sidecar)


def _waiting(session: Session, datafile_ids: Sequence[int], *, locked: bool = False) -> list[Datafile]:
    """Return those datafiles whose order is still not known, by id."""
    found: list[Datafile] = []
    for first in range(0, len(datafile_ids), GROUPED):
        group = select(Datafile).where(Datafile.id.in_(datafile_ids[first : first + GROUPED])).order_by(Datafile.id)
        chosen = group.with_for_update(of=Datafile).execution_options(populate_existing=True) if locked else group
        found += session.scalars(chosen)
    return [row for row in found if row.state == CHECKING_ORDER and row.current_state == ACTIVE]


def _says(message: str) -> Outcome:
    def write(_session: Session, job: Job) -> None:
        job.message = message

    return write


def _writes(
    held: Held, ids: Sequence[int], faults: Sequence[str | None], order: Order | None, sidecar: Sidecar | None
) -> Outcome:
    """Return what writes the order of times, in the transaction that ends the job."""
    number_of = {id_: number for number, id_ in enumerate(ids)}

    def write(session: Session, job: Job) -> None:
        # It is what it was: who registers, moves or unregisters a file gives its checks up in the same transaction.
        file = session.scalars(select(StoredFile).where(StoredFile.name == held.job.subject).with_for_update()).one()
        before = set(find.sidecars(session, file.id))
        rows = _waiting(session, ids, locked=True)
        bad = [(row, faults[number_of[row.id]]) for row in rows if faults[number_of[row.id]] is not None]
        good = [row for row in rows if faults[number_of[row.id]] is None]
        for row in good:
            row.state, row.last_modified = READY, now()
            if sidecar is not None and order is not None:
                row.sidecar, row.sidecar_offsets = sidecar.key, sidecar.byte_offsets
                _widen(session, row, order.ends[number_of[row.id]])
        refused = [_refuse(session, file, row, str(fault)) for row, fault in bad]
        file.refusals = [*file.refusals, *([path, reason] for found in refused for path, reason in found)]
        session.flush()
        after = set(find.sidecars(session, file.id))
        if sidecar is not None and sidecar.key in after:
            leftovers.strike_out(session, [sidecar.key])
            packed = {} if sidecar.packed_index is None else {sidecar.key: sidecar.packed_index}
            short_indices.replace(session.connection(), before - after, packed)
        leftovers.doom(session, before - after)
        job.message = f"{len(good)} sorted" + (f", {len(bad)} refused" if bad else "")
        job.result = {"sorted": len(good), "refusals": [one for found in refused for one in found]}

    return write


def _widen(session: Session, times: Datafile, ends: Any) -> None:
    """Widen the windows of spike trains to hold their first and last spike, which were not read when registering."""
    model = TYPES["spiketrain"]
    of_times = (model.times_id == times.id, model.file_id == times.file_id, model.current_state == ACTIVE)
    for train in session.scalars(select(model).where(*of_times)).unique():
        unit, window = times.units or "s", ("t_start", "t_start_units", "t_stop", "t_stop_units")
        # Of the file, also where a person corrected it: by that they may take it back.
        own = {name: getattr(train, name) for name in window} | corrections.said_by_file(train, window)
        start = min(own["t_start"], _in_unit(ends[0], unit, own["t_start_units"]))
        stop = max(own["t_stop"], _in_unit(ends[1], unit, own["t_stop_units"]))
        said = corrections.kept(train, {"t_start": start, "t_stop": stop})
        differs = {name: value for name, value in said.items() if getattr(train, name) != value}
        for name, value in differs.items():
            setattr(train, name, value)
        if differs:
            train.guid, train.last_modified = new_guid(), now()


def _in_unit(value: Any, unit: str, wanted: str) -> float:
    return float(value) if unit == wanted else float(np.float64(value) * float(seconds(unit) / seconds(wanted)))


def _refuse(session: Session, file: StoredFile, times: Datafile, reason: str) -> list[list[str]]:
    """Archive the objects that have unsorted times, as if they had been refused at once; return the refusals."""
    refusals = []
    arrays = {times.id}
    for model in TYPES.values():
        if model.time_field is None:
            continue
        linked = getattr(model, f"{model.time_field}_id") == times.id
        own = (linked, model.file_id == file.id, model.current_state == ACTIVE)
        for row in session.scalars(select(model).where(*own)).unique():
            refusals.append([row.source_path, reason])
            arrays |= {getattr(row, f"{name}_id") for name in model.array_fields} - {None}
            _archive([row, *_beside(session, row)])
    session.flush()
    for datafile_id in sorted(arrays):
        if not _is_used(session, datafile_id):
            _archive([session.get_one(Datafile, datafile_id)])
    if times.current_state == ACTIVE:  # somebody else's object has it, by index
        times.state, times.last_modified = READY, now()
    return refusals


def _is_used(session: Session, datafile_id: int) -> bool:
    return session.execute(links(lambda linked: linked == datafile_id)).first() is not None


def _beside(session: Session, row: Any) -> Iterable[Any]:
    """Yield the unit that the file tells in the same place as a spike train."""
    if row.type_name == "spiketrain":
        model = TYPES["unit"]
        same = (model.file_id == row.file_id, model.source_path == row.source_path, model.current_state == ACTIVE)
        yield from session.scalars(select(model).where(*same)).unique()


def _archive(rows: Iterable[Any]) -> None:
    for row in rows:
        row.current_state, row.last_modified = ARCHIVED, now()

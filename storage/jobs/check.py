"""The check of an uploaded file: what is in it, found in the sandbox, makes its datafile ready or refused."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.catalog import leftovers, queue, quota, short_indices
from storage.catalog.base import ACTIVE, now
from storage.catalog.files import READY, REFUSED, Datafile
from storage.catalog.jobs import Job
from storage.errors import FileChanged, NotOneArray, NotStored, QuotaExceeded, Refused
from storage.ingest import sidecars
from storage.ingest.found import Found
from storage.ingest.record import Sidecar, datafile_columns
from storage.ingest.sandbox.sandbox import sandbox
from storage.ingest.vendor import known
from storage.ingest.vendor.beginnings import an, beginning
from storage.jobs.hashing import sha256_of
from storage.jobs.worker import Held, Outcome
from storage.objectstore import ObjectStore
from storage.progress import DatasetProgress
from storage.stores.backend import Stat

HASHING = 0.5
"""Share of the progress that hashing a file takes, where its hash is not known."""


def check_upload(store: ObjectStore, engine: Engine, quota_nbytes: int, held: Held) -> Outcome:
    """Check the file of the datafile that a job is about; return what writes the result.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    quota_nbytes : int
        What its owner may store, unless the catalog says otherwise.
    held : Held

    Raises
    ------
    StoreAway, SandboxAway
        The check should be tried again.
    """
    datafile_id = held.job.datafile_id
    assert datafile_id is not None
    queue.begin_check(engine, datafile_id)
    with Session(engine) as session:
        datafile = session.get_one(Datafile, datafile_id)
        file, called = datafile.file, datafile.name
    stat = Stat(file.nbytes, file.pin or "")
    sha256 = file.sha256
    try:
        if sha256 is None:
            sha256 = sha256_of(store, file.name, stat, lambda share: held.tell(HASHING * share))
        announced = held.job.options.get("sha256", sha256)
        if announced != sha256:
            raise Refused(f"its SHA-256 is {sha256}, and {announced} was announced")
        begun = held.done

        def tell(_path: str, n_indexed: int, n_chunks: int) -> None:
            held.tell(begun + (1 - begun) * n_indexed / max(n_chunks, 1))

        found = _checked(store, file.name, stat, called, tell)
        (array,) = found.arrays.values()
        quota.reserve_beside(engine, file.id, sidecars.nbytes(found), usual_nbytes=quota_nbytes)
        sidecar = sidecars.put(store, engine, found, array.dataset)
    except NotOneArray as error:
        return _writes({"state": REFUSED, "reason": str(error), "format": error.format}, sha256, None)
    except (Refused, FileChanged, NotStored, QuotaExceeded) as error:
        return _writes({"state": REFUSED, "reason": str(error), "format": None}, sha256, None)
    columns = datafile_columns(array, found, sidecar) | {"source_path": array.source_path}
    del columns["name"]  # what its sender calls the file stays
    return _writes({**columns, "state": READY, "reason": None, "format": None}, sha256, sidecar)


def _checked(store: ObjectStore, key: str, stat: Stat, name: str, tell: DatasetProgress) -> Found:
    try:
        return sandbox().check(store, key, stat, tell)
    except NotOneArray:
        raise
    except Refused:
        _require_no_other_format(name, beginning(store, key, stat))
        raise


def _require_no_other_format(name: str, first: bytes) -> None:
    """Raise Refused for a file of another format than HDF5, which its first bytes tell."""
    if (one := known.format_of(name, first)) is not None:
        raise NotOneArray(f"{an(one.name)} file; its arrays are served once it is imported", one.name)
    if (part := known.part(name)) is not None:
        raise Refused(f"it is {part}")


def _writes(columns: dict[str, Any], sha256: str | None, sidecar: Sidecar | None) -> Outcome:
    """Return what writes the columns of a datafile, in the transaction that ends its job."""

    def write(session: Session, job: Job) -> None:
        datafile = session.get_one(Datafile, job.datafile_id, with_for_update={"of": Datafile})
        if datafile.current_state != ACTIVE:  # what was stored stays noted as leftover
            job.message = "the datafile was deleted meanwhile"
            return
        for name, value in columns.items():
            setattr(datafile, name, value)
        datafile.last_modified, datafile.file.sha256 = now(), sha256
        if sidecar is not None:
            packed = {} if sidecar.packed_index is None else {sidecar.key: sidecar.packed_index}
            short_indices.replace(session.connection(), (), packed)
            leftovers.strike_out(session, [sidecar.key])
        job.message = datafile.reason or datafile.state

    return write

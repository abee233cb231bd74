"""Arrays that were sent as lists, stored by the service itself: one HDF5 file each, with one contiguous dataset."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from storage.catalog import leftovers, quota
from storage.catalog.base import new_guid
from storage.catalog.files import READY, Datafile, StoredFile
from storage.hdf5 import sidecar
from storage.hdf5.file import Description
from storage.ingest import sorted_times
from storage.writing.given import GivenArray
from storage.writing.services import Writing

INLINE = "inline"
"""In the options of a stored file: it was made of a list, and who may read it follows the object it was made for."""


@dataclass(frozen=True, slots=True)
class StoredInline:
    """An array that is in the store, and to which nothing in the catalog refers yet."""

    file: dict[str, Any]
    """Columns of its stored file."""
    datafile: dict[str, Any]
    """Columns of its datafile."""

    @property
    def keys(self) -> list[str]:
        """Keys of all that was written for it."""
        beside = self.datafile["sidecar"]
        return [self.file["name"]] + ([] if beside is None else [beside])


def fault_of_times(values: NDArray[np.generic]) -> str | None:
    """Return what keeps values from being times; None if they are sorted and finite."""
    _, (fault,) = sorted_times.check(values, _description(values), np.array([len(values)]))
    return None if fault is None else f"cannot be times: {fault.replace('its times', 'its values')}"


def put(writing: Writing, arrays: Mapping[str, GivenArray]) -> dict[str, StoredInline]:
    """Store arrays, by field; whoever is killed before the catalog refers to them leaves nothing for ever."""
    prepared = {name: _prepared(name, array) for name, array in arrays.items()}
    if prepared:
        with writing.transaction() as session:
            leftovers.note(session, [key for one, _ in prepared.values() for key in one.keys])
    for one, contents in prepared.values():
        for key, content in zip(one.keys, contents, strict=True):
            writing.store.put(key, content)
    return {name: one for name, (one, _) in prepared.items()}


def refer(
    session: Session, stored: Mapping[str, StoredInline], *, owner_id: int, safety_level: int, quota_nbytes: int
) -> dict[str, Datafile]:
    """Make the catalog refer to what was stored; return the datafiles by field.

    From here on their bytes are the owner's; raises QuotaExceeded where that is too many.
    """
    if stored:
        nbytes = sum(one.file["nbytes"] for one in stored.values())
        quota.require_room(session, owner_id, nbytes, usual_nbytes=quota_nbytes)
    leftovers.strike_out(session, [key for one in stored.values() for key in one.keys])
    datafiles = {}
    for name, one in stored.items():
        file = StoredFile(**one.file, uploader_id=owner_id)
        datafiles[name] = Datafile(**one.datafile, file=file, owner_id=owner_id, safety_level=safety_level)
        session.add_all([file, datafiles[name]])
    session.flush()
    return datafiles


def _prepared(name: str, given: GivenArray) -> tuple[StoredInline, list[bytes]]:
    """Return what the catalog will say of an array, and the content of each of its keys."""
    values = given.values
    assert values is not None
    guid, key = new_guid(), secrets.token_hex(16)
    content, byte_offset = _hdf5(guid, values)
    contents, beside, offsets = [content], None, None
    if given.form.is_sorted and len(values):
        blocks, _ = sorted_times.check(values, _description(values), np.array([len(values)]))
        beside = sidecar.new_key()
        content_beside, offsets = sidecar.dump({"blocks": blocks})
        contents.append(content_beside)
    file = {
        "name": f"datafiles/{key[:2]}/{key}.h5",
        "nbytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "options": {INLINE: True},
    }
    datafile = {
        "guid": guid,
        "name": name,
        "state": READY,
        "source_path": f"/{guid}",
        "dtype": values.dtype.str,
        "dataset_shape": list(values.shape),
        "n_samples": len(values),
        "fill": bytes(values.dtype.itemsize).hex(),
        "byte_offset": byte_offset,
        "filters": [],
        "sidecar": beside,
        "sidecar_offsets": offsets,
        "units": given.units,
    }
    return StoredInline(file, datafile), contents


def _hdf5(name: str, values: NDArray[np.generic]) -> tuple[bytes, int | None]:
    """Return a file with one dataset, and where in it the values begin."""
    content = io.BytesIO()
    is_text = values.dtype.kind == "S"
    dtype = h5py.string_dtype("utf-8", values.dtype.itemsize) if is_text else values.dtype
    with h5py.File(content, "w", libver=("earliest", "v108")) as file:
        dataset = file.create_dataset(name, data=values.astype(dtype), track_times=False)
        byte_offset = dataset.id.get_offset() if values.size else None
    return content.getvalue(), byte_offset


def _description(values: NDArray[np.generic]) -> Description:
    return Description(values.dtype, values.shape, bytes(values.dtype.itemsize))

"""Storing what reading a dataset needs beyond its catalog row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.catalog import leftovers
from storage.hdf5 import packed_index, sidecar
from storage.ingest.found import Found
from storage.ingest.record import Sidecar
from storage.objectstore import ObjectStore

OVERHEAD_NBYTES = 2048
"""What the form of a sidecar takes, about."""


def put(store: ObjectStore, engine: Engine, found: Found, path: str) -> Sidecar | None:
    """Store the sidecar of a dataset, noted as leftover until a row refers to it; None where there is nothing to say.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    found : Found
    path : str
        Which of its datasets.
    """
    made = content(found, path)
    if made is None:
        return None
    whole, offsets = made
    key = sidecar.new_key()
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        leftovers.note(session, [key])
    store.put(key, whole)
    chunks = found.datasets[path].chunks
    packed = None if chunks is None else packed_index.pack(chunks)
    return Sidecar(key, offsets, packed)


def content(found: Found, path: str) -> tuple[bytes, dict[str, int]] | None:
    """Return what the sidecar of a dataset would be, and where in it each array is; None where it needs none."""
    arrays = _arrays(found, path)
    return sidecar.dump(arrays) if arrays else None


def nbytes(found: Found) -> int:
    """Return how many bytes the sidecars of all arrays of a file take, about."""
    made = [_arrays(found, path) for path in {array.dataset for array in found.arrays.values()}]
    return sum(OVERHEAD_NBYTES + sum(array.nbytes for array in arrays.values()) for arrays in made if arrays)


def _arrays(found: Found, path: str) -> dict[str, NDArray[np.generic]]:
    description = found.datasets[path]
    parts = {"chunks": description.chunks, "blocks": found.blocks.get(path), "values": description.values}
    return {name: array for name, array in parts.items() if array is not None}

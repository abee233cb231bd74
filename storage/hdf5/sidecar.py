"""What the service knows of a dataset and keeps beside it, as an HDF5 file of contiguous datasets.

Because they are contiguous, a byte offset is all that reading a run of one takes; because the file is
HDF5, any tool can open it.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Mapping, Sequence

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import FileChanged, FileDamaged, NotStored
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from storage.stores.backend import Content

FORMAT_VERSION = 1
MENDED_BY = "registering its file again makes it anew"


def new_key() -> str:
    """Return a key that no sidecar has."""
    name = secrets.token_hex(16)
    return f"sidecars/{name[:2]}/{name}.h5"


def dump(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[bytes, dict[str, int]]:
    """Return the content of a sidecar, and the byte offset of each array in it.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``chunks``: rows of the chunk index. ``blocks``: shape (n_blocks, 2), first and last value of each
        block of sorted times. ``values``: the samples themselves.
    """
    file = io.BytesIO()
    offsets = {}
    with h5py.File(file, "w", libver=("earliest", "v108")) as sidecar:
        sidecar.attrs["ephystore_sidecar"] = FORMAT_VERSION
        for name, array in arrays.items():
            dataset = sidecar.create_dataset(name, data=array, track_times=False)
            if array.size:
                offsets[name] = dataset.id.get_offset()
    return file.getvalue(), offsets


def fetch(store: ObjectStore, key: str, ranges: Sequence[ByteRange]) -> Sequence[Content]:
    """Return byte ranges of a sidecar; raises NotStored or FileDamaged, saying what makes it anew."""
    try:
        return store.get_ranges(key, ranges)
    except NotStored as error:
        raise NotStored(f"the index of this array is gone from the store; {MENDED_BY}") from error
    except FileChanged as error:
        raise FileDamaged(f"the index of this array is damaged in the store; {MENDED_BY}") from error

"""A short chunk index in a few bytes, for the catalog to keep: reading an array anew then needs no sidecar."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from storage.errors import FileDamaged
from storage.hdf5.sidecar import MENDED_BY

ROW = np.dtype([("byte_offset", "<u8"), ("nbytes", "<u4"), ("filter_mask", "<u4")])
"""One chunk. A chunk that was never written has ``byte_offset`` ``MISSING`` and is the fill value."""

WHOLE_ROWS = 16_384
"""An index up to this long is kept in the catalog, and fetched whole."""

MAX_NBYTES = 64 * 1024
"""Of what is kept. Chunks mostly follow each other, so a row takes about two bytes."""


def pack(rows: NDArray[np.void]) -> bytes | None:
    """Return the rows of a chunk index, compressed; None where they are too many to be kept in the catalog."""
    if len(rows) > WHOLE_ROWS:
        return None
    nbytes, masks = rows["nbytes"].astype("<u4"), rows["filter_mask"].astype("<u4")
    ends = rows["byte_offset"] + nbytes
    gaps = np.diff(rows["byte_offset"], prepend=np.uint64(0))
    gaps[1:] = rows["byte_offset"][1:] - ends[:-1]  # modulo 2**64, like the sums that undo it
    packed = zlib.compress(_planes(gaps) + _planes(nbytes) + _planes(masks), 9)
    return packed if len(packed) <= MAX_NBYTES else None


def unpack(packed: bytes, n_rows: int) -> NDArray[np.void]:
    """Return the rows again: dtype ROW, shape (n_rows,).

    Raises
    ------
    FileDamaged
        If they are not what ``pack`` made of as many rows.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, n_rows * ROW.itemsize + 1)
    except zlib.error as error:
        raise FileDamaged(f"the catalog's copy of a chunk index is damaged ({error}); {MENDED_BY}") from error
    if len(content) != n_rows * ROW.itemsize or not stream.eof:
        raise FileDamaged(f"the catalog's copy of a chunk index is not of {n_rows} chunks; {MENDED_BY}")
    planes = np.frombuffer(content, np.uint8).reshape(ROW.itemsize, n_rows)
    gaps, nbytes, masks = (
        np.ascontiguousarray(planes[first:stop].T).view(dtype).ravel()
        for first, stop, dtype in ((0, 8, "<u8"), (8, 12, "<u4"), (12, 16, "<u4"))
    )
    rows = np.empty(n_rows, ROW)
    rows["nbytes"], rows["filter_mask"] = nbytes, masks
    rows["byte_offset"] = np.cumsum(gaps) + np.cumsum(nbytes, dtype=np.uint64) - nbytes
    return rows


def _planes(numbers: NDArray[np.unsignedinteger]) -> bytes:
    """Return the first bytes of all numbers, then the second ones, and so on: equal bytes come together."""
    return numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize).T.tobytes()

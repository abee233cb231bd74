"""Undoing the filters that a chunk was stored through, without libhdf5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from imagecodecs import h5checksum_fletcher32

from storage.hdf5 import decompress
from storage.hdf5.decompress import PLAIN, WITH_LZ4, WITH_ZSTD, Content, require_within

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
BZIP2, LZF, BLOSC, LZ4, BITSHUFFLE, ZSTD = 307, 32000, 32001, 32004, 32008, 32015

NAMES = {
    DEFLATE: "deflate",
    SHUFFLE: "shuffle",
    FLETCHER32: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    305: "lzo",
    BZIP2: "bzip2",
    LZF: "lzf",
    BLOSC: "blosc",
    32002: "mafisc",
    32003: "snappy",
    LZ4: "lz4",
    32005: "apax",
    32006: "cbf",
    32007: "jpeg-xr",
    BITSHUFFLE: "bitshuffle",
    32009: "spdp",
    32010: "lpc-rice",
    32011: "ccsds-123",
    32012: "jpeg-ls",
    32013: "zfp",
    32014: "fpzip",
    ZSTD: "zstd",
    32016: "b3d",
    32017: "sz",
    32018: "fcidecomp",
    32019: "jpeg",
    32020: "vbz",
    32021: "fapec",
    32022: "bitgroom",
    32023: "granular bitround",
    32024: "sz3",
    32025: "delta-rice",
    32026: "blosc2",
    32027: "flac",
}
"""Filters as the HDF Group registers them, whether they can be undone here or not."""

PLANE_BY_PLANE_UP_TO = 32
"""Bytes of an element up to which copying plane by plane beats one transposing copy."""

GROWS_TO_AT_MOST = 5
"""How often the bytes of a chunk can be its size between two filters: lz4 in blocks of one byte grows to this."""


class UnknownFilter(ValueError):
    """A filter that chunks cannot be read through; the text follows the word "its"."""


class DamagedChunk(ValueError):
    """Stored bytes that are not what the filters write."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One of the steps that chunks of a dataset were stored through."""

    id: int
    """As registered with the HDF Group."""
    values: tuple[int, ...]
    """Client data values as in the file."""


def require_known(filters: Sequence[Filter]) -> None:
    """Refuse filters that cannot be undone, or whose client values make no sense.

    Raises
    ------
    UnknownFilter
        Naming the filter and its number.
    """
    for step in filters:
        if step.id not in UNDO:
            known = ", ".join(NAMES[number] for number in UNDO)
            raise UnknownFilter(f"{_named(step)} is not supported: what can be undone is {known}")
        if not _makes_sense(step):
            raise UnknownFilter(f"{_named(step)} has client values that make no sense: {step.values}")


def _named(step: Filter) -> str:
    return f"filter {NAMES[step.id]} ({step.id})" if step.id in NAMES else f"user-defined filter {step.id}"


def _makes_sense(step: Filter) -> bool:
    """Say whether the client values that undoing depends on can be what a writer put there."""
    if step.id == SHUFFLE:
        return len(step.values) == 1 and step.values[0] > 0
    if step.id == BITSHUFFLE:
        _, _, size, block_size, codec = (*step.values, 0, 0, 0, 0, 0)[:5]
        return size > 0 and block_size >= 0 and block_size % 8 == 0 and codec in (PLAIN, WITH_LZ4, WITH_ZSTD)
    return True


def decode(
    stored: memoryview | bytes,
    filters: Sequence[Filter],
    *,
    filter_mask: int,
    nbytes: int,
) -> Content:
    """Return the samples of one chunk as bytes, all filters undone.

    Parameters
    ----------
    stored : memoryview or bytes
        The chunk as it lies in the file.
    filters : sequence of Filter
        In the order in which they were applied.
    filter_mask : int
        Bit k is set where filter k was skipped for this chunk.
    nbytes : int
        Bytes of the decoded chunk.

    Returns
    -------
    buffer
        Of exactly ``nbytes``; a view of ``stored`` where nothing had to be expanded.

    Raises
    ------
    DamagedChunk
        If the bytes are not what these filters write for a chunk of ``nbytes``.
    """
    require_known(filters)
    content = memoryview(stored).cast("B")
    for step, limit in reversed(_applied(filters, filter_mask, nbytes)):
        content = _undone(step, content, limit)
    if len(content) != nbytes:
        raise DamagedChunk(f"it has {len(content)} bytes instead of {nbytes}")
    return content


def _applied(filters: Sequence[Filter], filter_mask: int, nbytes: int) -> list[tuple[Filter, int]]:
    """Return the filters that were not skipped, each with the most bytes that it can have been given."""
    limit, applied = nbytes, []
    for place, step in enumerate(filters):
        if filter_mask >> place & 1:
            continue
        applied.append((step, limit))
        if step.id == FLETCHER32:
            limit += 4
        elif step.id != SHUFFLE:
            limit = max(limit, GROWS_TO_AT_MOST * nbytes + 4096)
    return applied


def _undone(step: Filter, content: memoryview, limit: int) -> memoryview:
    """Undo one filter; each codec tells of damage by exceptions of its own."""
    if not content:
        raise DamagedChunk(f"nothing is stored for filter {NAMES[step.id]}")
    try:
        undone = UNDO[step.id](content, step.values, limit)
    except (RuntimeError, ValueError, OSError, EOFError) as error:
        raise DamagedChunk(f"filter {NAMES[step.id]} cannot be undone: {error}") from error
    return undone.data if isinstance(undone, np.ndarray) else memoryview(undone)


def _unshuffle(content: memoryview, values: tuple[int, ...], limit: int) -> Content:
    """Put the bytes of each element together; those after the last whole element were left in place."""
    size, nbytes = values[0], len(content)
    require_within(nbytes, limit)
    n_elements = nbytes // size
    if size == 1 or n_elements <= 1:
        return content
    whole = n_elements * size
    shuffled, samples = np.frombuffer(content, np.uint8), np.empty(nbytes, np.uint8)
    planes = shuffled[:whole].reshape(size, n_elements)
    elements = samples[:whole].reshape(n_elements, size)
    if size <= PLANE_BY_PLANE_UP_TO:
        for place, plane in enumerate(planes):
            elements[:, place] = plane
    else:
        elements[...] = planes.T
    samples[whole:] = shuffled[whole:]
    return samples


def _check_fletcher32(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Cut off the checksum; in old files the bytes of both its halves are swapped, which libhdf5 allows."""
    if len(content) <= 4:
        raise ValueError("it is too short to have a checksum")
    samples, stored = content[:-4], int.from_bytes(content[-4:], "little")
    require_within(len(samples), limit)
    checksum = h5checksum_fletcher32(samples)
    swapped = (checksum & 0x00FF00FF) << 8 | checksum >> 8 & 0x00FF00FF
    if stored not in (checksum, swapped):
        raise ValueError(f"the checksum is {checksum:08x}, not {stored:08x}")
    return samples


UNDO: dict[int, Callable[[memoryview, tuple[int, ...], int], Content]] = {
    DEFLATE: decompress.deflate,
    SHUFFLE: _unshuffle,
    FLETCHER32: _check_fletcher32,
    BZIP2: decompress.bzip2,
    LZF: decompress.lzf,
    BLOSC: decompress.blosc,
    LZ4: decompress.lz4,
    BITSHUFFLE: decompress.bitshuffle,
    ZSTD: decompress.zstd,
}
"""Each is given the stored bytes (at least one), the client values and the most bytes to return."""

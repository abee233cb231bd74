"""Undoing the filters that a chunk was stored through, without libhdf5.

Chunks come from files that nobody vouches for. A decoder here reads its container itself, allocates no
more than the chunk can need, and hands a codec only pieces that lie inside the stored bytes.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct

import numpy as np
from imagecodecs import (
    bitshuffle_decode,
    blosc_decode,
    deflate_decode,
    h5checksum_fletcher32,
    lz4_decode,
    lzf_decode,
    zstd_decode,
)
from numpy.typing import NDArray


Content = bytes | bytearray | memoryview | NDArray[np.uint8]

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
"""Filters as the HDF Group registers them, supported here or not."""

SPLITS_PLANES_UP_TO = 32
"""Bytes of an element up to which copying plane by plane beats one transposing copy."""

BLOCKS_HEADER = Struct(">QI")
"""Of lz4 and of bitshuffle: decoded bytes in all, decoded bytes of one block."""
BLOCK_HEADER = Struct(">I")
BLOSC_HEADER = Struct("<4BIII")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PLAIN, WITH_LZ4, WITH_ZSTD = 0, 2, 3
"""What bitshuffle did after shuffling, its fifth client value."""


class UnknownFilter(ValueError):
    """A filter that chunks cannot be read through; the text follows the word "its"."""


class DamagedChunk(ValueError):
    """Stored bytes that are not what the filters write."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One step of the pipeline that chunks of a dataset were stored through."""

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
            name = f"filter {NAMES[step.id]} ({step.id})" if step.id in NAMES else f"user-defined filter {step.id}"
            supported = ", ".join(NAMES[known] for known in UNDO)
            raise UnknownFilter(f"{name} is not supported: what can be undone is {supported}")
        if step.id == SHUFFLE:
            _require_sense(step, len(step.values) == 1 and step.values[0] > 0)
        if step.id == BITSHUFFLE:
            _require_sense(step, len(step.values) >= 3 and step.values[2] > 0)
            _require_sense(step, len(step.values) < 4 or (step.values[3] >= 0 and step.values[3] % 8 == 0))
            _require_sense(step, len(step.values) < 5 or step.values[4] in (PLAIN, WITH_LZ4, WITH_ZSTD))


def _require_sense(step: Filter, makes_sense: bool) -> None:
    if not makes_sense:
        raise UnknownFilter(
            f"filter {NAMES[step.id]} ({step.id}) has client values that make no sense: {step.values}"
        )


def decode(
    stored: memoryview | bytes,
    filters: Sequence[Filter],
    *,
    filter_mask: int,
    itemsize: int,  # noqa: ARG001
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
    itemsize : int
        Bytes of one sample. Filters that need it have it in their client values.
    nbytes : int
        Bytes of the decoded chunk.

    Returns
    -------
    buffer
        Of exactly ``nbytes``; ``stored`` itself where no filter was applied.

    Raises
    ------
    DamagedChunk
        If the bytes are not what these filters write for a chunk of ``nbytes``.
    """
    require_known(filters)
    content: Content = memoryview(stored).cast("B")
    for step, limit in reversed(_applied(filters, filter_mask, nbytes)):
        content = _undone(step, memoryview(content), limit)
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
            limit += nbytes // 8 + 4096  # what does not compress grows by less in every format
    return applied


def _undone(step: Filter, content: memoryview, limit: int) -> Content:
    """Undo one filter; codecs tell damage by all sorts of exceptions."""
    if not content:
        raise DamagedChunk(f"nothing is stored for filter {NAMES[step.id]}")
    try:
        return UNDO[step.id](content, step.values, limit)
    except DamagedChunk:
        raise
    except (RuntimeError, ValueError, OSError, EOFError) as error:
        raise DamagedChunk(f"filter {NAMES[step.id]} cannot be undone: {error}") from error


def _require_within(nbytes: int, limit: int) -> None:
    if nbytes > limit:
        raise DamagedChunk(f"it claims {nbytes} bytes where {limit} are the most")


def _inflate(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    return deflate_decode(content, out=limit)


def _unshuffle(content: memoryview, values: tuple[int, ...], limit: int) -> Content:
    """Put the bytes of each element together; bytes after the last whole element were left in place."""
    size, nbytes = values[0], len(content)
    _require_within(nbytes, limit)
    n_elements = nbytes // size
    if size == 1 or n_elements <= 1:
        return content
    shuffled = np.frombuffer(content, np.uint8)
    samples = np.empty(nbytes, np.uint8)
    whole = n_elements * size
    planes, elements = shuffled[:whole].reshape(size, n_elements), samples[:whole].reshape(n_elements, size)
    if size <= SPLITS_PLANES_UP_TO:
        for place, plane in enumerate(planes):
            elements[:, place] = plane
    else:
        elements[...] = planes.T
    samples[whole:] = shuffled[whole:]
    return samples


def _check_fletcher32(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Cut off the checksum; old files have it with the bytes of each half swapped, as libhdf5 allows."""
    if len(content) <= 4:
        raise DamagedChunk("it is too short to have a checksum")
    samples, stored = content[:-4], int.from_bytes(content[-4:], "little")
    _require_within(len(samples), limit)
    checksum = h5checksum_fletcher32(samples)
    swapped = (checksum & 0x00FF00FF) << 8 | checksum >> 8 & 0x00FF00FF
    if stored not in (checksum, swapped):
        raise DamagedChunk(f"its checksum is {checksum:08x}, not {stored:08x}")
    return samples


def _expand_bzip2(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    stream = bz2.BZ2Decompressor()
    samples = stream.decompress(content, max_length=limit + 1)
    if not stream.eof:
        raise DamagedChunk(f"its bzip2 stream is cut short, or longer than {limit} bytes")
    return samples


def _expand_lzf(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    return lzf_decode(content, out=limit)


def _expand_zstd(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    return _zstd(content, limit)


def _zstd(content: memoryview, out: memoryview | int) -> Content:
    """Decode frames, keeping the decoders of formats from before Zstandard 0.8 out of reach."""
    if content[:4] != ZSTD_MAGIC:
        raise DamagedChunk("it does not begin as a zstd frame")
    return zstd_decode(content, out=out)


def _expand_blosc(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Check the header against what is there; the codec checks what it reads behind the header."""
    *_, nbytes, block_nbytes, stored_nbytes = _unpacked(BLOSC_HEADER, content, 0)
    _require_within(nbytes, limit)
    _require_within(stored_nbytes, len(content))
    if stored_nbytes < BLOSC_HEADER.size or not 0 < block_nbytes <= nbytes:
        raise DamagedChunk("its blosc header makes no sense")
    samples = blosc_decode(content[:stored_nbytes], numthreads=1, out=nbytes)
    _require_length(samples, nbytes)
    return samples


def _expand_lz4(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    nbytes, block_nbytes = _unpacked(BLOCKS_HEADER, content, 0)
    _require_within(nbytes, limit)
    if not block_nbytes:
        raise DamagedChunk("its blocks have no bytes")
    samples = memoryview(np.empty(nbytes, np.uint8))
    _expand_blocks(content, samples, block_nbytes, _lz4_or_copy)
    return samples


def _lz4(content: memoryview, out: memoryview) -> Content:
    return lz4_decode(content, out=out)


def _lz4_or_copy(content: memoryview, out: memoryview) -> Content:
    if len(content) != len(out):
        return _lz4(content, out)
    out[:] = content
    return out


def _unshuffle_bits(content: memoryview, values: tuple[int, ...], limit: int) -> Content:
    size, block_size, codec = (*values[2:5], 0, 0)[:3]
    if codec != PLAIN:
        content, block_size = _expand_bitshuffled(content, size, codec, limit)
    nbytes = len(content)
    _require_within(nbytes, limit)
    if nbytes % size:
        raise DamagedChunk(f"its {nbytes} bytes are not whole elements of {size}")
    return bitshuffle_decode(content, itemsize=size, blocksize=block_size, out=nbytes)


def _expand_bitshuffled(content: memoryview, size: int, codec: int, limit: int) -> tuple[memoryview, int]:
    """Return the bits, still shuffled, and how many elements were shuffled together.

    Elements after the last eight are neither shuffled nor compressed.
    """
    nbytes, block_nbytes = _unpacked(BLOCKS_HEADER, content, 0)
    _require_within(nbytes, limit)
    if not block_nbytes or block_nbytes % (8 * size):
        raise DamagedChunk(f"its blocks of {block_nbytes} bytes are not eights of elements of {size}")
    shuffled = memoryview(np.empty(nbytes, np.uint8))
    whole = nbytes - nbytes % (8 * size)
    end = _expand_blocks(content, shuffled[:whole], block_nbytes, _zstd if codec == WITH_ZSTD else _lz4)
    rest = content[end : end + nbytes - whole]
    _require_length(rest, nbytes - whole)
    shuffled[whole:] = rest
    return shuffled, block_nbytes // size


def _expand_blocks(
    content: memoryview, out: memoryview, block_nbytes: int, expand: Callable[[memoryview, memoryview], Content]
) -> int:
    """Fill ``out`` with decoded blocks, each stored behind its length; return where the last one ends."""
    at = BLOCKS_HEADER.size
    for start in range(0, len(out), block_nbytes):
        (stored_nbytes,) = _unpacked(BLOCK_HEADER, content, at)
        at += BLOCK_HEADER.size
        if not 0 < stored_nbytes <= len(content) - at:
            raise DamagedChunk(f"it ends within the block of byte {start}")
        block = out[start : start + block_nbytes]
        _require_length(expand(content[at : at + stored_nbytes], block), len(block))
        at += stored_nbytes
    return at


def _unpacked(header: Struct, content: memoryview, at: int) -> tuple[int, ...]:
    if len(content) - at < header.size:
        raise DamagedChunk(f"it ends within the header at byte {at}")
    return header.unpack_from(content, at)


def _require_length(content: Content, nbytes: int) -> None:
    if len(content) != nbytes:
        raise DamagedChunk(f"it has {len(content)} bytes where {nbytes} belong")


UNDO: dict[int, Callable[[memoryview, tuple[int, ...], int], Content]] = {
    DEFLATE: _inflate,
    SHUFFLE: _unshuffle,
    FLETCHER32: _check_fletcher32,
    BZIP2: _expand_bzip2,
    LZF: _expand_lzf,
    BLOSC: _expand_blosc,
    LZ4: _expand_lz4,
    BITSHUFFLE: _unshuffle_bits,
    ZSTD: _expand_zstd,
}
"""Each is given the stored bytes (at least one), the client values and the most bytes to return."""

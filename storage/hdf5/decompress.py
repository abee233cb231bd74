"""What HDF5's compression filters wrote, expanded to no more bytes than a chunk can have.

Chunks come from files that nobody vouches for. Containers are read here, so that a codec is only handed
pieces that lie inside the stored bytes, and is told how much it may write. Every function is given the
stored bytes (at least one), the filter's client values and the most bytes to return, and raises some
exception of the codec, or ValueError, where the bytes are damaged.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable
from struct import Struct
from typing import Any, Protocol, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Content = bytes | bytearray | memoryview | NDArray[np.uint8]

BLOCKS_HEADER = Struct(">QI")
"""Of lz4 and bitshuffle: decoded bytes in all, decoded bytes of one block."""
BLOCK_HEADER = Struct(">I")
BLOSC_HEADER = Struct("<4BIII")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PLAIN, WITH_LZ4, WITH_ZSTD = 0, 2, 3
"""What bitshuffle did after shuffling, its fifth client value."""


class Codec(Protocol):
    """A function of imagecodecs; its stubs speak of bytes only, but it takes any buffer."""

    def __call__(self, content: memoryview, /, *, out: memoryview | int, **options: int) -> bytes | memoryview:
        """Decode into a buffer, or into new bytes of at most that many; releases the GIL."""


deflate_decode = cast(Codec, imagecodecs.deflate_decode)
lzf_decode = cast(Codec, imagecodecs.lzf_decode)
lz4_decode = cast(Codec, imagecodecs.lz4_decode)
zstd_decode = cast(Codec, imagecodecs.zstd_decode)
blosc_decode = cast(Codec, imagecodecs.blosc_decode)
bitshuffle_decode = cast(Codec, imagecodecs.bitshuffle_decode)


def deflate(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Expand a zlib stream."""
    return deflate_decode(content, out=limit)


def bzip2(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Expand a bzip2 stream."""
    stream = bz2.BZ2Decompressor()
    expanded = stream.decompress(content, max_length=limit + 1)
    if not stream.eof:
        raise ValueError(f"it is cut short, or longer than {limit} bytes")
    require_within(len(expanded), limit)
    return expanded


def lzf(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Expand LZF, which has no header and no checksum."""
    return lzf_decode(content, out=limit)


def zstd(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Expand Zstandard frames."""
    return _zstd(content, limit)


def blosc(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Expand a Blosc 1 container; the codec checks all that lies behind the header, and not the header."""
    *_values, nbytes, block_nbytes, stored_nbytes = _unpacked(BLOSC_HEADER, content, 0)
    require_within(nbytes, limit)
    require_within(stored_nbytes, len(content))
    if stored_nbytes < BLOSC_HEADER.size or not 0 < block_nbytes <= nbytes:
        raise ValueError("its header makes no sense")
    return blosc_decode(content[:stored_nbytes], out=nbytes, numthreads=1)


def lz4(content: memoryview, _: tuple[int, ...], limit: int) -> Content:
    """Expand the LZ4 filter's container; blocks that would have grown are in it as they were."""
    nbytes, block_nbytes = _unpacked(BLOCKS_HEADER, content, 0)
    require_within(nbytes, limit)
    if not block_nbytes:
        raise ValueError("its blocks have no bytes")
    expanded = np.empty(nbytes, np.uint8)
    _expand_blocks(content, expanded.data, block_nbytes, _lz4_or_copy)
    return expanded


def bitshuffle(content: memoryview, values: tuple[int, ...], limit: int) -> Content:
    """Undo bitshuffle, and the compression of its blocks."""
    size, block_size, codec = (*values[2:5], 0, 0)[:3]
    if codec != PLAIN:
        content, block_size = _bitshuffled(content, size, codec, limit)
    nbytes = len(content)
    require_within(nbytes, limit)
    if not nbytes or nbytes % size:
        raise ValueError(f"its {nbytes} bytes are not whole elements of {size}")
    return bitshuffle_decode(content, out=nbytes, itemsize=size, blocksize=block_size)


def _bitshuffled(content: memoryview, size: int, codec: int, limit: int) -> tuple[memoryview, int]:
    """Return the bits, still shuffled, and how many elements were shuffled together.

    Elements after the last eight are neither shuffled nor compressed.
    """
    nbytes, block_nbytes = _unpacked(BLOCKS_HEADER, content, 0)
    require_within(nbytes, limit)
    if not block_nbytes or block_nbytes % (8 * size):
        raise ValueError(f"its blocks of {block_nbytes} bytes are not eights of elements of {size}")
    bits = np.empty(nbytes, np.uint8).data
    whole = nbytes - nbytes % (8 * size)
    end = _expand_blocks(content, bits[:whole], block_nbytes, _zstd if codec == WITH_ZSTD else _lz4)
    rest = content[end : end + nbytes - whole]
    _require_length(rest, nbytes - whole)
    bits[whole:] = rest
    return bits, block_nbytes // size


def _expand_blocks(
    content: memoryview, out: memoryview, block_nbytes: int, expand: Callable[[memoryview, memoryview], Any]
) -> int:
    """Fill ``out`` with expanded blocks, each stored behind its length; return where the last one ends."""
    at = BLOCKS_HEADER.size
    for start in range(0, len(out), block_nbytes):
        (stored_nbytes,) = _unpacked(BLOCK_HEADER, content, at)
        at += BLOCK_HEADER.size
        if not 0 < stored_nbytes <= len(content) - at:
            raise ValueError(f"it ends within the block of byte {start}")
        block = out[start : start + block_nbytes]
        _require_length(expand(content[at : at + stored_nbytes], block), len(block))
        at += stored_nbytes
    return at


def _lz4(content: memoryview, out: memoryview) -> Content:
    return lz4_decode(content, out=out)


def _lz4_or_copy(content: memoryview, out: memoryview) -> Content:
    if len(content) != len(out):
        return _lz4(content, out)
    out[:] = content
    return out


def _zstd(content: memoryview, out: memoryview | int) -> Content:
    """Expand frames; decoders of formats from before Zstandard 0.8 stay out of reach."""
    if content[:4] != ZSTD_MAGIC:
        raise ValueError("it does not begin as a frame")
    return zstd_decode(content, out=out)


def _unpacked(header: Struct, content: memoryview, at: int) -> tuple[Any, ...]:
    if len(content) - at < header.size:
        raise ValueError(f"it ends within the header at byte {at}")
    return header.unpack_from(content, at)


def require_within(nbytes: int, limit: int) -> None:
    """Check a number of bytes before they are allocated."""
    if nbytes > limit:
        raise ValueError(f"it claims {nbytes} bytes where {limit} are the most")


def _require_length(content: Content, nbytes: int) -> None:
    if len(content) != nbytes:
        raise ValueError(f"it has {len(content)} bytes where {nbytes} belong")

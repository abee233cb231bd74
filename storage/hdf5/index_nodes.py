"""What libhdf5 will read below each node of a chunk index, in each of the structures that HDF5 has for one.

Nothing here is trusted or needed: a node that is not what it says has nothing below it, and libhdf5 judges it. But
one that leads back up is refused here, because libhdf5 would follow it until its stack ends, and so is one of which it
would tell other chunks than it reads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused

ADDRESS = np.dtype("<u8")
UNDEFINED = 2**64 - 1
MAX_RANK = 32
MAX_DEPTH = 16
"""Of a version-2 B-tree; one of this depth has more chunks than a file has bytes."""
CHECKSUM_NBYTES = 4
PREFIX_NBYTES = 4 + 1 + 1 + ADDRESS.itemsize
"""Of the blocks of an array: signature, version, client, address of the header."""
MAX_PARTS = 1 << 14
"""A node that claims more parts below it than this is not believed."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a chunk index that libhdf5 reads in one piece."""

    address: int
    """Counted from the base address of the file, and not yet known to lie within it."""
    nbytes: int
    below: Callable[[bytes], list[Node]]
    """Tells from its content what libhdf5 will read next below it; raises Refused where that leads back up."""


def nothing(_: bytes) -> list[Node]:
    """What lies below a leaf."""
    return []


def below(content: bytes) -> list[Node]:
    """Return what lies below anything that libhdf5 has read, without knowing what that was."""
    start = STARTS.get(content[:4])
    return [] if start is None else start(content)


def _btree1(content: bytes, level: int | None = None) -> list[Node]:
    """Of a node of a version-1 B-tree of chunks; ``level`` is what its parent promised."""
    if len(content) < 24 or content[:5] != b"TREE\x01":
        return []
    if level not in (None, content[5]):
        raise Refused("its chunk index is damaged: a node of its B-tree is not one level below its parent")
    (n_entries,) = struct.unpack_from("<H", content, 6)
    fitting = list(_btree1_axes(content, n_entries))
    sound = [n_axes for n_axes in fitting if _are_keys_sorted(content, n_entries, n_axes)]
    if fitting and not sound:
        # libhdf5 tells all chunks of such a node, but does not find them when it reads: it would give fill values.
        raise Refused("its chunk index is damaged: the chunks in a node of its B-tree are not in order")
    if content[5] == 0 or not sound:
        return []
    addresses = _entries(content, n_entries, sound[0], 8 + 8 * sound[0])
    of_child = partial(_btree1, level=content[5] - 1)
    return [Node(address, len(content), of_child) for address in addresses.tolist()]


def _btree1_axes(content: bytes, n_entries: int) -> Iterator[int]:
    """Yield each number of axes that the length of a node allows; that leaves one, as a rule."""
    for n_axes in range(2, MAX_RANK + 2):
        key_nbytes = 8 + 8 * n_axes
        places, rest = divmod(len(content) - 24 - key_nbytes, key_nbytes + ADDRESS.itemsize)
        if places < 2:
            return
        if not rest and places % 2 == 0 and n_entries <= places:
            yield n_axes


def _are_keys_sorted(content: bytes, n_entries: int, n_axes: int) -> bool:
    """Tell whether the keys of a node rise, as its addresses say that there is something."""
    # The last axis of a key is that of the bytes of one element, along which there is one chunk.
    last_axis, addresses = (_entries(content, n_entries, n_axes, 8 * n_axes + more) for more in (0, 8))
    if last_axis.any() or not addresses.all():
        return False
    step = 8 + 8 * n_axes + ADDRESS.itemsize
    keys = np.ndarray((n_entries, n_axes), ADDRESS, content, 24 + 8, (step, 8)).tolist()
    return all(key < following for key, following in pairwise(keys))


def _entries(content: bytes, n_entries: int, n_axes: int, offset: int) -> NDArray[np.uint64]:
    """Return a number of each entry of a node: that many bytes after the beginning of its key."""
    return np.ndarray((n_entries,), ADDRESS, content, 24 + offset, (8 + 8 * n_axes + ADDRESS.itemsize,))


@dataclass(frozen=True, slots=True)
class _BTree2:
    """A version-2 B-tree, as its header tells it."""

    node_nbytes: int
    record_nbytes: int

    def root(self, address: int, n_records: int, depth: int) -> list[Node]:
        """Return the root."""
        pointers = self._pointers(depth)
        return [] if pointers is None else [self._node(address, n_records, depth, pointers)]

    def _node(self, address: int, n_records: int, depth: int, pointers: tuple[int, ...]) -> Node:
        of_it = partial(self._below, n_records=n_records, depth=depth, pointers=pointers) if depth else nothing
        return Node(address, self.node_nbytes, of_it)

    def _below(self, content: bytes, n_records: int, depth: int, pointers: tuple[int, ...]) -> list[Node]:
        first, step = 6 + n_records * self.record_nbytes, pointers[depth]
        if content[:4] != b"BTIN" or first + (n_records + 1) * step > len(content):
            return []
        n_nbytes = pointers[0]
        children = []
        for place in range(first, first + (n_records + 1) * step, step):
            address = int.from_bytes(content[place : place + 8], "little")
            n_below = int.from_bytes(content[place + 8 : place + 8 + n_nbytes], "little")
            children.append(self._node(address, n_below, depth - 1, pointers))
        return children

    def _pointers(self, depth: int) -> tuple[int, ...] | None:
        """Return the width of a number of records, then that of a pointer to a child at each depth."""
        most = (self.node_nbytes - 10) // self.record_nbytes if self.record_nbytes else 0
        if most < 1 or depth > MAX_DEPTH:
            return None
        n_nbytes, all_nbytes, most_below = _width(most), 0, most
        widths = [n_nbytes]
        for _ in range(depth):
            step = 8 + n_nbytes + all_nbytes
            most = (self.node_nbytes - 10 - step) // (self.record_nbytes + step)
            if most < 1:
                return None
            widths.append(step)
            most_below = (most + 1) * most_below + most
            all_nbytes = _width(most_below)
        return tuple(widths)


def _btree2(content: bytes) -> list[Node]:
    """Of the header of a version-2 B-tree of chunks, which are types 10 and 11."""
    if len(content) < 34 or content[4] != 0 or content[5] not in (10, 11):
        return []
    node_nbytes, record_nbytes, depth, _, _, address, n_records = struct.unpack_from("<IHHBBQH", content, 6)
    return _BTree2(node_nbytes, record_nbytes).root(address, n_records, depth)


def _fixed_array(content: bytes) -> list[Node]:
    """Of the header of a fixed array."""
    if len(content) < 24:
        return []
    element_nbytes, page_bits, n_elements, address = struct.unpack_from("<BBQQ", content, 6)
    page = 1 << min(page_bits, 63)
    if n_elements <= page:
        return [Node(address, PREFIX_NBYTES + n_elements * element_nbytes + CHECKSUM_NBYTES, nothing)]
    n_pages = -(-n_elements // page)
    return _paged(address, PREFIX_NBYTES + -(-n_pages // 8), n_elements, page, element_nbytes)


def _paged(address: int, prefix_nbytes: int, n_elements: int, page: int, element_nbytes: int) -> list[Node]:
    """Return a data block in pages: libhdf5 reads its prefix, then each page by itself."""
    if n_elements // page > MAX_PARTS:
        return []
    nodes = [Node(address, prefix_nbytes + CHECKSUM_NBYTES, nothing)]
    for first in range(0, n_elements, page):
        nbytes = min(page, n_elements - first) * element_nbytes + CHECKSUM_NBYTES
        nodes.append(Node(nodes[-1].address + nodes[-1].nbytes, nbytes, nothing))
    return nodes


@dataclass(frozen=True, slots=True)
class _ExtensibleArray:
    """An extensible array, as its header tells it: elements in ever longer data blocks."""

    element_nbytes: int
    max_bits: int
    n_first: int
    """Elements in the index block itself."""
    min_elements: int
    """Elements of the shortest data block."""
    min_pointers: int
    page_bits: int

    @property
    def _offset_nbytes(self) -> int:
        return -(-self.max_bits // 8)

    def index_block(self, address: int) -> list[Node]:
        """Return the index block."""
        n_blocks, n_supers = self._n_pointers
        nbytes = PREFIX_NBYTES + self.n_first * self.element_nbytes + 8 * (n_blocks + n_supers) + CHECKSUM_NBYTES
        return [Node(address, nbytes, self._below_index_block)]

    @property
    def _n_inside(self) -> int:
        """How many of the super blocks are within the index block."""
        return 2 * (self.min_pointers.bit_length() - 1)

    @property
    def _n_pointers(self) -> tuple[int, int]:
        """Return how many data blocks and super blocks the index block points to."""
        n_supers = 1 + self.max_bits - (self.min_elements.bit_length() - 1)
        return 2 * (self.min_pointers - 1), max(0, n_supers - self._n_inside)

    def _below_index_block(self, content: bytes) -> list[Node]:
        n_blocks, n_supers = self._n_pointers
        first = PREFIX_NBYTES + self.n_first * self.element_nbytes
        if content[:4] != b"EAIB":
            return []
        addresses = np.frombuffer(content, ADDRESS, n_blocks + n_supers, first).tolist()
        numbers = [number for number in range(self._n_inside) for _ in range(self._n_blocks(number))]
        nodes = []
        for number, address in zip(numbers, addresses[:n_blocks], strict=False):
            nodes += self._data_block(address, number)
        for number, address in enumerate(addresses[n_blocks:], self._n_inside):
            if self._n_blocks(number) <= MAX_PARTS:
                nodes.append(Node(address, self._super_nbytes(number), partial(self._below_super, number=number)))
        return nodes

    def _below_super(self, content: bytes, number: int) -> list[Node]:
        n_blocks = self._n_blocks(number)
        n_pages = max(1, self._n_elements(number) // self._page)
        if content[:4] != b"EASB" or n_blocks * n_pages > MAX_PARTS:
            return []
        first = len(content) - CHECKSUM_NBYTES - 8 * n_blocks
        addresses = np.frombuffer(content, ADDRESS, n_blocks, first).tolist()
        return [node for address in addresses for node in self._data_block(address, number)]

    def _data_block(self, address: int, number: int) -> list[Node]:
        prefix_nbytes, n_elements, page = PREFIX_NBYTES + self._offset_nbytes, self._n_elements(number), self._page
        if address == UNDEFINED:
            return []
        if n_elements > page:
            return _paged(address, prefix_nbytes, n_elements, page, self.element_nbytes)
        return [Node(address, prefix_nbytes + n_elements * self.element_nbytes + CHECKSUM_NBYTES, nothing)]

    def _super_nbytes(self, number: int) -> int:
        n_blocks, n_elements = self._n_blocks(number), self._n_elements(number)
        n_pages = n_elements // self._page if n_elements > self._page else 0
        bitmask_nbytes = n_blocks * -(-n_pages // 8)
        return PREFIX_NBYTES + self._offset_nbytes + bitmask_nbytes + 8 * n_blocks + CHECKSUM_NBYTES

    @property
    def _page(self) -> int:
        return 1 << self.page_bits

    def _n_blocks(self, number: int) -> int:
        """Return how many data blocks a super block has."""
        return 1 << number // 2

    def _n_elements(self, number: int) -> int:
        """Return how many elements each data block of a super block has."""
        return self.min_elements << (number + 1) // 2


def _extensible_array(content: bytes) -> list[Node]:
    """Of the header of an extensible array."""
    if len(content) < 68:
        return []
    element_nbytes, max_bits, n_first, min_elements, min_pointers, page_bits = struct.unpack_from("<6B", content, 6)
    (address,) = struct.unpack_from("<Q", content, 60)
    powers = all(number and number & (number - 1) == 0 for number in (min_elements, min_pointers))
    if not powers or max_bits > 64 or page_bits > 63:
        return []
    array = _ExtensibleArray(element_nbytes, max_bits, n_first, min_elements, min_pointers, page_bits)
    return array.index_block(address)


def _width(number: int) -> int:
    """Return how many bytes HDF5 gives to numbers up to this one."""
    return (number.bit_length() - 1) // 8 + 1


STARTS: dict[bytes, Callable[[bytes], list[Node]]] = {
    b"TREE": _btree1,
    b"BTHD": _btree2,
    b"FAHD": _fixed_array,
    b"EAHD": _extensible_array,
}

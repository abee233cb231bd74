"""Nodes of chunk indices, fetched level by level before libhdf5 asks for them one by one."""

from __future__ import annotations

from storage.hdf5.index_nodes import Node, below
from storage.hdf5.kept import Kept
from storage.hdf5.sectors import Fetch, Sectors
from storage.ranges import ByteRange, coalesce

MAX_GAP_NBYTES = 16 * 1024
"""Nodes lie among the chunks: one that is further away than this is asked for by itself."""

MAX_NODES = 500_000
"""More are not fetched ahead in one file, which bounds what a hostile one can ask for."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"


class LookAhead:
    """What is fetched because of what libhdf5 has read, kept until it comes to it.

    Parameters
    ----------
    fetch : callable
        Returns the bytes of each range, exactly as long as asked.
    sectors : Sectors
        Whatever is at hand there is not fetched again.
    file_nbytes, max_nbytes : int
        Length of the file; how much of it is kept. Nodes for which there is no room wait until libhdf5 comes
        to the first of them.
    """

    def __init__(self, fetch: Fetch, sectors: Sectors, file_nbytes: int, max_nbytes: int) -> None:
        self.kept = Kept(max_nbytes)
        self._fetch, self._sectors, self._file_nbytes = fetch, sectors, file_nbytes
        self._base: int | None = None
        """Where the addresses of the file count from; known when its signature was read."""
        self._met: set[int] = set()
        """Where nodes begin that were fetched or wait: none is expanded twice, whatever a file says."""
        self._waiting: dict[int, Node] = {}
        self._n_told = 0
        """Nodes that others claimed to be above, whether they were fetched or not."""

    def get(self, part: ByteRange) -> bytes | None:
        """Return the bytes of a range if it is a node that was fetched ahead, or waits for that."""
        if part.byte_offset in self._waiting:
            self._resume(part.byte_offset)
        content = self.kept.get(part.byte_offset)
        return content if content is not None and len(content) == part.nbytes else None

    def note(self, offset: int, content: bytes) -> None:
        """Take note of what libhdf5 has read: it may be the top of a chunk index."""
        if self._base is None:
            self._base = offset if content.startswith(SIGNATURE) else None
        elif offset not in self._met and self._n_told < MAX_NODES:
            nodes = below(content)
            if nodes:
                self._fetch_all(nodes)

    def _resume(self, offset: int) -> None:
        """Go on with those nodes that had to wait, from the one that libhdf5 has come to."""
        waiting = list(self._waiting)
        nodes = [self._waiting[other] for other in waiting[waiting.index(offset) :]]
        self._waiting.clear()
        self._met.difference_update(waiting)
        self._fetch_all(nodes)

    def _fetch_all(self, nodes: list[Node]) -> None:
        """Fetch nodes and all that lies below them, level by level."""
        room = max(self.kept.max_nbytes - self.kept.unasked_nbytes, self.kept.max_nbytes // 2)
        while nodes:
            fitting = {}
            for part, node in self._new(nodes):
                if self._waiting or part.nbytes > room:
                    self._waiting[part.byte_offset] = node
                else:
                    room -= part.nbytes
                    fitting[part] = node
            contents = self._contents(fitting)
            nodes = [child for part, node in fitting.items() for child in node.below(contents[part])]

    def _new(self, nodes: list[Node]) -> list[tuple[ByteRange, Node]]:
        """Return those nodes that can lie where they are said to, and were not met before."""
        new = []
        self._n_told += len(nodes)
        for node in nodes:
            offset = (self._base or 0) + node.address
            lies_within = 0 < node.nbytes <= self.kept.max_nbytes // 2 and offset + node.nbytes <= self._file_nbytes
            if lies_within and offset not in self._met and len(self._met) < MAX_NODES:
                self._met.add(offset)
                new.append((ByteRange(offset, node.nbytes), node))
        return new

    def _contents(self, fitting: dict[ByteRange, Node]) -> dict[ByteRange, bytes]:
        """Return the content of nodes: all that are not at hand fetched side by side, and kept."""
        at_hand = {part: self._sectors.at_hand(part) for part in fitting}
        contents = {part: content for part, content in at_hand.items() if content is not None}
        groups = coalesce((part for part in fitting if part not in contents), max_gap_nbytes=MAX_GAP_NBYTES)
        if not groups:
            return contents
        for (span, parts), fetched in zip(groups, self._fetch([span for span, _ in groups]), strict=True):
            for part in parts:
                start = part.byte_offset - span.byte_offset
                contents[part] = fetched[start : start + part.nbytes]
        for part in fitting:
            if at_hand[part] is None:
                self.kept.put(part.byte_offset, contents[part])  # in the order that libhdf5 will come to them
        return contents

"""Bytes on their way to S3: as bodies of requests, and gathered into parts."""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Iterator

from storage.stores.backend import Pieces

SENT_PIECE_NBYTES = 1 << 18


class Body:
    """Pieces as the file that an HTTP client reads; it keeps what they raise, which clients take for their own."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self.error: Exception | None = None

    def read(self, _nbytes: int = -1) -> bytes | memoryview:
        """Return the next piece; nothing at the end."""
        try:
            return next((piece for piece in self._pieces if piece), b"")
        except Exception as error:
            self.error = error
            raise


def slices(content: bytes | memoryview) -> Iterator[memoryview]:
    """Yield bytes a little at a time: each must go out within the time in which a store answers."""
    whole = memoryview(content)
    for offset in range(0, len(whole), SENT_PIECE_NBYTES):
        yield whole[offset : offset + SENT_PIECE_NBYTES]


class Rooms:
    """Memory for the parts of one file, used again and again: new memory for each would pile up in the heap."""

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes
        self._free: deque[mmap.mmap] = deque()

    def get(self) -> mmap.mmap:
        """Return a room that nobody uses."""
        try:
            return self._free.popleft()
        except IndexError:
            return mmap.mmap(-1, self._nbytes)

    def put(self, content: memoryview) -> None:
        """Take back the room that this lies in."""
        if isinstance(content.obj, mmap.mmap):
            self._free.append(content.obj)


def gathered(pieces: Pieces, nbytes: int, rooms: Rooms) -> Iterator[memoryview]:
    """Yield the same bytes in runs of this length, of which the last may be shorter; each lies in a room."""
    room, held = rooms.get(), 0
    for piece in pieces:
        left = memoryview(piece)
        while held + len(left) >= nbytes:
            taken = nbytes - held
            room[held:nbytes] = left[:taken]
            left = left[taken:]
            yield memoryview(room)
            room, held = rooms.get(), 0
        room[held : held + len(left)] = left
        held += len(left)
    if held:
        yield memoryview(room)[:held]

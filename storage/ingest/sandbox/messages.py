"""What parent and child say to each other: JSON, and runs of bytes beside it. Never pickle."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import orjson

HEAD = struct.Struct("<IQ")
"""Length of the JSON, and of the runs of bytes together."""
ROOM_NBYTES = 64
"""What a message counts at least, so that many empty ones are not free."""
READ_NBYTES = 64 * 1024
MAX_PARTS = 4096

Buffer = bytes | bytearray | memoryview


class Closed(Exception):
    """The other side has ended."""


class Garbage(Exception):
    """What was received is no message, or too much; the text says which and follows "it"."""


class TooLate(Exception):
    """The time is over."""


class Channel:
    """One end of a socket pair.

    Parameters
    ----------
    end : socket
    max_message_nbytes : int
        JSON of one received message.
    max_nbytes : int
        All received messages together.
    deadline : float, optional
        Moment of the monotonic clock after which nothing is waited for.
    """

    def __init__(
        self, end: socket.socket, *, max_message_nbytes: int, max_nbytes: int, deadline: float | None = None
    ) -> None:
        self._end, self._max_message_nbytes, self._left_nbytes = end, max_message_nbytes, max_nbytes
        self._deadline = deadline
        self._buffer, self._start = bytearray(), 0

    def send(self, told: dict[str, Any], parts: Sequence[Buffer] = ()) -> None:
        """Send one message; raises Closed or TooLate."""
        sizes = [memoryview(part).nbytes for part in parts]
        said = orjson.dumps({**told, "parts": sizes} if parts else told)
        self._send(HEAD.pack(len(said), sum(sizes)) + said)
        for part in parts:
            self._send(memoryview(part).cast("B") if len(part) else b"")

    def receive(self) -> tuple[dict[str, Any], list[memoryview]]:
        """Return the next message; raises Closed, Garbage or TooLate."""
        n_said, n_bytes = HEAD.unpack(self._read(HEAD.size))
        if n_said > self._max_message_nbytes:
            raise Garbage(f"sent a message of {n_said} bytes")
        self._left_nbytes -= n_said + n_bytes + ROOM_NBYTES
        if self._left_nbytes < 0:
            raise Garbage("said more than is allowed of one file")
        try:
            told = orjson.loads(self._read(n_said))
        except orjson.JSONDecodeError as error:
            raise Garbage("sent what is no JSON") from error
        sizes: Any = told.get("parts", []) if isinstance(told, dict) else None
        if not isinstance(sizes, list) or len(sizes) > MAX_PARTS:
            raise Garbage("sent a message that is none")
        if any(type(size) is not int or size < 0 for size in sizes) or sum(sizes) != n_bytes:
            raise Garbage("sent a message whose parts are not as long as it says")
        return told, [memoryview(self._read(size)).toreadonly() for size in sizes]

    def _send(self, content: Buffer) -> None:
        # Piece by piece, because a time for all of it cannot be told to sendall() where the other side is slow.
        view = memoryview(content)
        while view:
            self._set_timeout()
            try:
                view = view[self._end.send(view) :]
            except TimeoutError as error:
                raise TooLate from error
            except OSError as error:
                raise Closed from error

    def _read(self, nbytes: int) -> bytearray:
        """Return exactly so many bytes."""
        at_hand = self._buffer[self._start : self._start + nbytes]
        self._start += len(at_hand)
        if len(at_hand) == nbytes:
            return at_hand
        self._buffer, self._start = bytearray(), 0
        if nbytes < READ_NBYTES:
            return self._read_ahead(at_hand, nbytes)
        whole = bytearray(nbytes)
        whole[: len(at_hand)] = at_hand
        view, n_read = memoryview(whole), len(at_hand)
        while n_read < nbytes:
            n_read += self._receive_into(view[n_read:])
        return whole

    def _read_ahead(self, begun: bytearray, nbytes: int) -> bytearray:
        """Complete a short run, and keep what came with it."""
        room = bytearray(READ_NBYTES)
        while len(begun) < nbytes:
            n_read = self._receive_into(memoryview(room))
            begun += room[:n_read]
        self._buffer, self._start = begun, nbytes
        return begun[:nbytes]

    def _receive_into(self, view: memoryview) -> int:
        self._set_timeout()
        try:
            n_read = self._end.recv_into(view)
        except TimeoutError as error:
            raise TooLate from error
        except OSError as error:
            raise Closed from error
        if not n_read:
            raise Closed
        return n_read

    def _set_timeout(self) -> None:
        if self._deadline is not None:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                raise TooLate
            self._end.settimeout(left_s)

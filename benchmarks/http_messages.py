"""The little of HTTP/1.1 that the proxy and the callers need: heads, and bodies in chunks."""

from __future__ import annotations

END_OF_HEAD = b"\r\n\r\n"


def split_head(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the first line and the (lower-case name, value) of each header line.

    Parameters
    ----------
    head : bytes
        Without the empty line at its end.
    """
    first, *lines = head.split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return first, [(name.lower(), value.strip()) for name, _, value in pairs]


def join_head(first: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a head with the empty line at its end."""
    return b"\r\n".join([first, *(name + b": " + value for name, value in headers)]) + END_OF_HEAD


class ChunkedBody:
    """Puts together a body that comes with ``Transfer-Encoding: chunked``."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.is_complete = False
        self._waiting = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what came; sets ``is_complete`` at the end of the body."""
        self._waiting += data
        while not self.is_complete:
            end = self._waiting.find(b"\r\n")
            if end < 0:
                return
            nbytes = int(self._waiting[:end].partition(b";")[0], 16)
            if len(self._waiting) < end + 2 + nbytes + 2:
                return
            self.content += self._waiting[end + 2 : end + 2 + nbytes]
            del self._waiting[: end + 2 + nbytes + 2]
            self.is_complete = nbytes == 0

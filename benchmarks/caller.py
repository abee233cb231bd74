"""A process that sends requests over a few connections and tells how long each answer took.

Reads one pickled Job from its standard input and writes the pickled Calls to its standard output. Raw sockets in one
thread: what a caller costs here is taken from the service on the same machine.
"""

from __future__ import annotations

import pickle
import resource
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.calls import Call, Calls, Job
from benchmarks.http_messages import END_OF_HEAD, ChunkedBody, split_head
from benchmarks.processes import HOST

RECEIVED_AT_ONCE = 1 << 18
SILENCE_S = 120


class Connection:
    """One connection, over which requests go one after the other."""

    def __init__(self, job: Job, following: Callable[[], int | None]) -> None:
        self.socket = socket.create_connection((HOST, job.port), timeout=SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._job, self._following = job, following
        self._room = memoryview(bytearray(b"\1") * job.room_nbytes)  # written to, so that it is there
        self.calls: list[Call] = []

    def send(self) -> bool:
        """Send the next request; False when there is none."""
        index = self._following()
        if index is None:
            return False
        self._head: bytearray | None = bytearray()
        self._chunked: ChunkedBody | None = None
        self._parts: list[bytes] = []
        self.calls.append(Call(index, began_s=time.perf_counter()))
        self.socket.sendall(self._job.requests[index])
        return True

    def receive(self) -> bool:
        """Take what came; True when an answer is whole."""
        if self._head is None and not self._chunked and self.calls[-1].nbytes + self._left <= len(self._room):
            return self._receive_into_room()
        data = self.socket.recv(RECEIVED_AT_ONCE)
        if not data:
            raise RuntimeError(f"{self._job.requests[self.calls[-1].index][:200]!r} is not answered to the end")
        if self._head is not None:
            self._head += data
            return self._read_head()
        return self._read_body(data)

    def _receive_into_room(self) -> bool:
        made = self.calls[-1]
        if self._parts:
            self._room[: made.nbytes] = b"".join(self._parts)
            self._parts = []
        nbytes = self.socket.recv_into(self._room[made.nbytes :], self._left)
        if not nbytes:
            raise RuntimeError(f"{self._job.requests[made.index][:200]!r} is not answered to the end")
        made.nbytes, self._left = made.nbytes + nbytes, self._left - nbytes
        if self._left:
            return False
        made.ended_s = time.perf_counter()
        made.body = bytes(self._room[: made.nbytes])
        return True

    def _read_head(self) -> bool:
        assert self._head is not None
        end = self._head.find(END_OF_HEAD)
        if end < 0:
            return False
        first, headers = split_head(bytes(self._head[:end]))
        rest, found, made = bytes(self._head[end + len(END_OF_HEAD) :]), dict(headers), self.calls[-1]
        self._head, made.status = None, int(first.split(b" ")[1])
        made.first_byte_s = time.perf_counter()
        if found.get(b"transfer-encoding", b"").lower() == b"chunked":
            self._chunked = ChunkedBody()
        else:
            self._left = int(found[b"content-length"])
        return self._read_body(rest)

    def _read_body(self, data: bytes) -> bool:
        made = self.calls[-1]
        if self._chunked:
            self._chunked.feed(data)
            if not self._chunked.is_complete:
                return False
            self._parts, made.nbytes = [bytes(self._chunked.content)], len(self._chunked.content)
        else:
            self._left -= len(data)
            made.nbytes += len(data)
            if self._job.keep_bodies:
                self._parts.append(data)
            if self._left > 0:
                return False
        made.ended_s = time.perf_counter()
        if self._job.keep_bodies or made.status >= 300:
            made.body = b"".join(self._parts)
        return True


def carried_out(job: Job) -> Calls:
    """Carry out a job in this process."""
    ahead: Iterator[int] = iter(range(len(job.requests)))
    deadline = float("inf")

    def following() -> int | None:
        return next(ahead, None) if time.perf_counter() < deadline else None

    connections = [Connection(job, following) for _ in range(job.connections)]
    began_s = time.perf_counter()
    deadline = began_s + job.seconds if job.seconds is not None else deadline
    with selectors.DefaultSelector() as selector:
        for one in connections:
            if one.send():
                selector.register(one.socket, selectors.EVENT_READ, one)
        while selector.get_map():
            ready = selector.select(SILENCE_S)
            if not ready:
                raise RuntimeError("there is no answer")
            for key, _ in ready:
                if key.data.receive() and not key.data.send():
                    selector.unregister(key.fileobj)
    calls = [made for one in connections for made in one.calls]
    used = resource.getrusage(resource.RUSAGE_SELF)
    ended_s = max((made.ended_s for made in calls), default=began_s)
    return Calls(calls, ended_s - began_s, used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(carried_out(pickle.load(sys.stdin.buffer))))

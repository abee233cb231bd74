"""A process that sends requests over a few connections and tells how long each answer took.

Reads one pickled Job from its standard input and writes the pickled Calls to its standard output. Raw sockets in one
thread: what a caller costs here is taken from the service on the same machine.
"""

from __future__ import annotations

import pickle
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.http_messages import END_OF_HEAD, ChunkedBody, split_head
from benchmarks.processes import HOST, ROOT, cpu_s

RECEIVED_AT_ONCE = 1 << 18
SILENCE_S = 120
HEADERS = "Host: 127.0.0.1\r\nAccept: */*\r\n"


@dataclass(frozen=True, slots=True)
class Job:
    """What to send."""

    port: int
    requests: Sequence[bytes]
    """Whole heads, each sent once, in this order."""
    connections: int = 1
    seconds: float | None = None
    """No request is begun after this time."""
    keep_bodies: bool = True


@dataclass(slots=True)
class Call:
    """One request and its answer."""

    index: int
    """Place among the requests of the job."""
    status: int = 0
    began_s: float = 0.0
    first_byte_s: float = 0.0
    ended_s: float = 0.0
    nbytes: int = 0
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Calls:
    """What came of a job."""

    calls: list[Call]
    elapsed_s: float
    """From the first request to the last answer."""
    caller_cpu_s: float
    cpu_s: float = 0.0
    """Of the processes that were watched."""

    @property
    def times_ms(self) -> list[float]:
        """Time of each call."""
        return [1000 * (call.ended_s - call.began_s) for call in self.calls]

    @property
    def median_ms(self) -> float:
        """Median time of a call."""
        return statistics.median(self.times_ms)

    @property
    def per_second(self) -> float:
        """Calls per second."""
        return len(self.calls) / self.elapsed_s


def get(target: str, **headers: str) -> bytes:
    """Return the request for one GET."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {target} HTTP/1.1\r\n{HEADERS}{more}\r\n".encode("ascii")


def call(job: Job, watched: Sequence[int] = (), timeout_s: float = 600) -> Calls:
    """Carry out a job in a process of its own; raises RuntimeError where an answer is no success.

    Parameters
    ----------
    job : Job
    watched : sequence of int
        Processes whose CPU time, with all below them, is taken meanwhile.
    timeout_s : float
        After which it is given up.
    """
    before = sum(map(cpu_s, watched))
    command = [sys.executable, "-m", "benchmarks.caller"]
    done = subprocess.run(
        command, input=pickle.dumps(job), capture_output=True, cwd=ROOT, timeout=timeout_s, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the caller failed: {done.stderr.decode()[-2000:]}")
    found: Calls = pickle.loads(done.stdout)
    for one in found.calls:
        if not 200 <= one.status < 300:
            raise RuntimeError(f"{job.requests[one.index][:200]!r} is answered {one.status}: {one.body[:500]!r}")
    return Calls(found.calls, found.elapsed_s, found.caller_cpu_s, sum(map(cpu_s, watched)) - before)


class Connection:
    """One connection, over which requests go one after the other."""

    def __init__(self, job: Job, following: Callable[[], int | None]) -> None:
        self.socket = socket.create_connection((HOST, job.port), timeout=SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._job, self._following = job, following
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
        data = self.socket.recv(RECEIVED_AT_ONCE)
        if not data:
            raise RuntimeError(f"{self._job.requests[self.calls[-1].index][:200]!r} is not answered to the end")
        if self._head is not None:
            self._head += data
            return self._read_head()
        return self._read_body(data)

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
    # Under their own name, so that the process that reads them knows them.
    from benchmarks import caller

    sys.stdout.buffer.write(pickle.dumps(caller.carried_out(pickle.load(sys.stdin.buffer))))

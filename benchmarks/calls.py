"""Requests sent by a caller in a process of its own, and what came of them."""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.processes import ROOT, cpu_s

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
    room_nbytes: int = 0
    """Memory that each connection makes before the clock runs, so that a long body costs the caller little."""


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
    def late_ms(self) -> float:
        """Time within which 95 of 100 calls ended."""
        return late(self.times_ms)

    @property
    def per_second(self) -> float:
        """Calls per second."""
        return len(self.calls) / self.elapsed_s


def late(times: Sequence[float]) -> float:
    """Return the time within which 95 of 100 were done."""
    return sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


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

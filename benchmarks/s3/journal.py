"""What the proxy was asked, and the address at which it tells."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, field

MAX_REMEMBERED = 500_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was answered."""

    method: str
    target: str
    range: str | None
    status: int
    nbytes: int
    """Bytes of the answered body."""
    began_s: float
    ended_s: float


@dataclass(slots=True)
class Journal:
    """Requests since the last ``clear``, and the delay that the next ones get."""

    delay_s: float = 0.0
    n_requests: int = 0
    nbytes: int = 0
    requests: list[Asked] = field(default_factory=list)

    def add(self, asked: Asked) -> None:
        """Count a request, and remember it unless there are too many already."""
        self.n_requests += 1
        self.nbytes += asked.nbytes
        if len(self.requests) < MAX_REMEMBERED:
            self.requests.append(asked)

    def clear(self) -> None:
        """Forget all requests."""
        self.n_requests = self.nbytes = 0
        self.requests.clear()


class Control(asyncio.Protocol):
    """Answers ``delay SECONDS``, ``clear``, ``counts`` and ``requests``, one line of JSON for each line."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Carry out each whole line."""
        *lines, self._waiting = (self._waiting + data).split(b"\n")
        for line in lines:
            self._transport.write(json.dumps(self._done(*line.decode().split())).encode() + b"\n")

    def _done(self, command: str, *arguments: str) -> object:
        journal = self._journal
        if command == "delay":
            journal.delay_s = float(arguments[0])
        elif command == "clear":
            journal.clear()
        elif command == "requests":
            return [asdict(asked) for asked in journal.requests]
        return {"n_requests": journal.n_requests, "nbytes": journal.nbytes, "delay_s": journal.delay_s}

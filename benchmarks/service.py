"""Web services that are measured, each under the same gunicorn configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calls import Call, Calls, Job, call, get
from benchmarks.processes import HOST, free_port, running, wait_for
from benchmarks.recordings import SLICE_SAMPLES, Recording

Samples = NDArray[Any]
LONG_SAMPLES = 1_000_000
"""Of an answer for which the caller makes room beforehand."""
ITEM_NBYTES, HEAD_NBYTES = 4, 1 << 16
"""Of a sample, and of what an HDF5 file has before and after them at the most."""
WARMING_CALLS = 32
"""Over half as many connections, so that every worker has imported and opened all it needs."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way of serving slices of a recording."""

    name: str
    app: str
    """Module and WSGI application."""
    targets: Callable[[int, int], Sequence[str]]
    """Addresses asked for samples from start to stop; the last one answers them."""
    samples: Callable[[bytes], Samples]
    """Samples in the body of an answer."""
    recording: Recording
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """A contestant that serves."""

    contestant: Contestant
    port: int
    pid: int

    def slices(
        self, places: Sequence[int], *, connections: int = 1, seconds: float | None = None, length: int = SLICE_SAMPLES
    ) -> Calls:
        """Ask for slices; the times of addresses asked one after another for one slice are added up.

        Parameters
        ----------
        places : sequence of int
            First sample of each slice.
        connections : int
            1 where a slice takes several requests.
        seconds : float, optional
            After which no more is asked.
        length : int
            Samples of a slice.
        """
        steps = [self.contestant.targets(start, start + length) for start in places]
        n_steps = len(steps[0])
        assert n_steps == 1 or (connections == 1 and seconds is None)
        requests = [get(target) for targets in steps for target in targets]
        room_nbytes = ITEM_NBYTES * length + HEAD_NBYTES if length > LONG_SAMPLES else 0
        found = call(Job(self.port, requests, connections, seconds, room_nbytes=room_nbytes), [self.pid])
        if n_steps == 1:
            return found
        slices = [_joined(found.calls[first : first + n_steps]) for first in range(0, len(found.calls), n_steps)]
        return Calls(slices, found.elapsed_s, found.caller_cpu_s, found.cpu_s)

    def warm(self, places: Sequence[int]) -> None:
        """Let every worker answer a few slices."""
        targets = [target for start in places for target in self.contestant.targets(start, start + SLICE_SAMPLES)]
        call(Job(self.port, [get(target) for target in targets[:WARMING_CALLS]], WARMING_CALLS // 2))


def _joined(steps: Sequence[Call]) -> Call:
    last = steps[-1]
    return Call(
        index=last.index // len(steps),
        status=last.status,
        began_s=steps[0].began_s,
        first_byte_s=last.first_byte_s,
        ended_s=last.ended_s,
        nbytes=sum(step.nbytes for step in steps),
        body=last.body,
    )


@contextmanager
def serving(contestant: Contestant, logs: Path, variables: Mapping[str, str]) -> Iterator[Service]:
    """Serve a contestant while the block runs.

    Parameters
    ----------
    contestant : Contestant
    logs : Path
        Folder for what it complains about.
    variables : mapping of str to str
        Environment that leads to the S3 server.
    """
    port = free_port()
    log = logs / f"{contestant.name.replace(' ', '_').replace('/', '_')}.log"
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", f"{HOST}:{port}", contestant.app]
    with running(gunicorn, log, **variables, **contestant.variables) as process:
        wait_for(process, port, log)
        yield Service(contestant, port, process.pid)


@contextmanager
def all_serving(contestants: Sequence[Contestant], logs: Path, variables: Mapping[str, str]) -> Iterator[list[Service]]:
    """Serve several contestants at once; those not being asked are idle."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(one, logs, variables)) for one in contestants]


class Expected:
    """What h5py reads from the local file, and whether answers are that."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self._recording, self._folder = recording, folder
        self._known: dict[tuple[int, int], Samples] = {}

    def check(self, service: Service, places: Sequence[int], calls: Calls, length: int = SLICE_SAMPLES) -> None:
        """Require that every answer holds exactly the samples asked for; raises AssertionError."""
        for made in calls.calls:
            got = service.contestant.samples(made.body)
            wanted = self.samples(places[made.index], length)
            np.testing.assert_array_equal(got, wanted, err_msg=service.contestant.name)

    def samples(self, start: int, length: int = SLICE_SAMPLES) -> Samples:
        """Return the samples of one slice."""
        key = start, length
        if key not in self._known:
            self._known[key] = self._recording.samples(self._folder, start, start + length)
        return self._known[key]

"""Contestants take turns, so that a slow minute of the machine meets all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.bench import Bench
from benchmarks.calls import Call, late
from benchmarks.service import Contestant, Expected, all_serving


@dataclass(slots=True)
class Score:
    """What one contestant reached over all rounds."""

    contestant: Contestant
    calls: list[Call] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Slices per second, of each round."""
    n_requests: int = 0
    """To S3."""
    nbytes: int = 0
    """From S3."""
    cpu_s: float = 0.0
    """Of the service."""
    caller_cpu_s: float = 0.0

    @property
    def median_ms(self) -> float:
        """Median time of a slice."""
        return statistics.median(self._times_ms())

    @property
    def late_ms(self) -> float:
        """Time within which 95 of 100 slices came."""
        return late(self._times_ms())

    @property
    def per_second(self) -> float:
        """Slices per second, the median of the rounds."""
        return statistics.median(self.rates)

    def each(self, total: float) -> float:
        """Return the part of a total that falls to one slice."""
        return total / len(self.calls)

    def _times_ms(self) -> list[float]:
        return [1000 * (call.ended_s - call.began_s) for call in self.calls]


def contest(
    bench: Bench,
    contestants: Sequence[Contestant],
    *,
    n_slices: int,
    connections: int = 1,
    seconds: float | None = None,
    delay_s: float,
) -> list[Score]:
    """Serve contestants side by side, and ask them in turn for the same random slices of their recording.

    Parameters
    ----------
    bench : Bench
    contestants : sequence of Contestant
    n_slices : int
        The most that one is asked for in one round.
    connections : int
    seconds : float, optional
        After which a round asks for no more.
    delay_s : float
        Of each answer of the S3 server.
    """
    scores = [Score(one) for one in contestants]
    with all_serving(contestants, bench.logs, bench.s3.variables) as services:
        bench.s3.delay(0)
        for service in services:
            service.warm(service.contestant.recording.places(0, 32))
        bench.s3.delay(delay_s)
        for number in range(1, bench.rounds + 1):
            expected = {
                service.contestant.recording: Expected(service.contestant.recording, bench.recordings)
                for service in services
            }
            order = list(zip(services, scores, strict=True))
            order = order[number % len(order) :] + order[: number % len(order)]
            for service, score in order:
                places = service.contestant.recording.places(number, n_slices)
                bench.s3.clear()
                found = service.slices(places, connections=connections, seconds=seconds)
                counts = bench.s3.counts
                expected[service.contestant.recording].check(service, places, found)
                score.calls += [_without_body(call) for call in found.calls]
                score.rates.append(found.per_second)
                score.n_requests += counts.n_requests
                score.nbytes += counts.nbytes
                score.cpu_s += found.cpu_s
                score.caller_cpu_s += found.caller_cpu_s
        bench.s3.delay(0)
    return scores


def _without_body(call: Call) -> Call:
    call.body = b""
    return call

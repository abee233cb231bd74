"""How a run of samples is covered by entries: coarse ones within, finer ones at its ends, samples at the very ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STEP = 64
"""Times that entries become finer from one step to the next at an end: each step takes a request, an entry next to
nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """Entries of one size that follow each other; of size 1, samples."""

    size: int
    first: int
    stop: int

    @property
    def samples(self) -> tuple[int, int]:
        """The samples that they are of: the first, and the one after the last."""
        return self.first * self.size, self.stop * self.size


@dataclass(frozen=True, slots=True)
class Cover:
    """The runs that together are ``[start, stop)``."""

    inner: Run
    """Those that bins are made of."""
    before: tuple[Run, ...]
    """All of them in the first bin."""
    after: tuple[Run, ...]
    """All of them in the last bin."""

    @classmethod
    def of(cls, start: int, stop: int, grain: int, sizes: Sequence[int]) -> Cover:
        """Return how samples are covered.

        Parameters
        ----------
        start, stop : int
            At least one whole entry of ``grain`` lies between them.
        grain : int
            Size of the inner entries; one of ``sizes``.
        sizes : sequence of int
            Of the levels that are stored.
        """
        inner = Run(grain, -(-start // grain), stop // grain)
        low, high = inner.samples
        before, after = [], []
        for size in (*_finer(grain, sizes), 1):
            first, last = -(-start // size), stop // size
            if first * size < low:
                before.append(Run(size, first, low // size))
                low = first * size
            if last * size > high:
                after.append(Run(size, high // size, last))
                high = last * size
        return cls(inner, tuple(before), tuple(after))

    def runs(self) -> tuple[Run, ...]:
        """Return all of them."""
        return (self.inner, *self.before, *self.after)


def _finer(grain: int, sizes: Sequence[int]) -> Iterator[int]:
    """Yield the sizes that the ends go down through."""
    size = grain
    while size > sizes[0]:
        size = max(size // STEP, sizes[0])
        yield size

"""Where the numbers of samples of Open Ephys jump: found by a few values, and not by reading all."""

from __future__ import annotations

from storage.errors import Refused
from storage.ingest.formats.npy import Npy

PARTS = 64
"""Into which the numbers are cut at first, so that jumps there and back are not taken for none."""
MAX_RUNS = 1000


def runs_of(numbers: Npy) -> list[tuple[int, int]]:
    """Return the first sample of each run whose numbers rise by one, and its number.

    Parameters
    ----------
    numbers : Npy
        One whole number for each sample.

    Raises
    ------
    Refused
        If there are too many runs, or the numbers fall.
    """
    n_samples = len(numbers)
    if not n_samples:
        return [(0, 0)]
    known: dict[int, int] = {}
    _learn(known, numbers, [n_samples * part // PARTS for part in range(PARTS)] + [n_samples - 1])
    places = sorted(known)
    uneven = _uneven(known, list(zip(places, places[1:], strict=False)))
    starts = [0]
    while uneven:
        starts += [stop for start, stop in uneven if stop == start + 1]
        wide = [(start, stop) for start, stop in uneven if stop > start + 1]
        if len(wide) + len(starts) > MAX_RUNS:
            raise Refused(f"the numbers of its samples have more than {MAX_RUNS} gaps")
        middles = [(start + stop) // 2 for start, stop in wide]
        _learn(known, numbers, middles)
        halves = [
            half
            for (start, stop), middle in zip(wide, middles, strict=True)
            for half in ((start, middle), (middle, stop))
        ]
        uneven = _uneven(known, halves)
    return [(start, known[start]) for start in sorted(starts)]


def _learn(known: dict[int, int], numbers: Npy, places: list[int]) -> None:
    missing = sorted({*places} - known.keys())
    known.update(zip(missing, map(int, numbers.at(missing).tolist()), strict=True))


def _uneven(known: dict[int, int], spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans between whose ends samples are missing."""
    found = []
    for start, stop in spans:
        if stop <= start:
            continue
        rise = known[stop] - known[start]
        if rise < stop - start:
            raise Refused(f"the numbers of its samples fall, or stand still, between samples {start} and {stop}")
        if rise > stop - start:
            found.append((start, stop))
    return found

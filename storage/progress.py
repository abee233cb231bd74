"""How far long work is, told to whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Is told how much is done, of how much in all."""

DatasetProgress = Callable[[str, int, int], None]
"""Is told the path of a dataset, how many of its chunks are indexed, and how many it has."""


class Stopped(Exception):
    """Raised by whoever is told: what is being done is not wanted any more."""


def untold(*_: object) -> None:
    """Tell nobody."""

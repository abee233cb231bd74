"""What a mapping file says of the arrays in plain HDF5, and which datasets it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats.members import dataset_in, group_in
from storage.ingest.found import Refusal, as_path, storable, written_out

MAX_MATCHES = 100_000
"""Datasets that one path means."""

WILDCARD = re.compile(r"[*?]")
PART = re.compile(r"\[(\d{1,6})\]\Z", re.ASCII)
"""At the end of a path: which channel, or row, of a dataset with two axes."""
PLACE = re.compile(r"\{(\d{1,2})\}", re.ASCII)
"""What the wildcard of this number stands for."""


@dataclass(frozen=True, slots=True)
class Match:
    """A dataset that a path means."""

    dataset: h5py.Dataset
    part: int | None
    """Which channel of it, where the path says so."""
    words: tuple[str, ...]
    """What its wildcards stand for."""

    @property
    def path(self) -> str:
        """Where it is, as a path of a mapping file says it."""
        return as_path(self.dataset.name) + ("" if self.part is None else f"[{self.part}]")


@dataclass(frozen=True, slots=True)
class MappedArray:
    """What is said of one array, or of all that its path means."""

    told: Mapping[str, Any]
    """As JSON, checked when the file was read; keys are those of the mapping file."""

    @property
    def dataset(self) -> str:
        """Path of its dataset, with wildcards."""
        return str(self.told["dataset"])

    @property
    def type_name(self) -> str:
        """Which object it becomes."""
        return str(self.told["type"])

    @property
    def time_axis(self) -> int:
        """Which axis of datasets with two is time."""
        return int(self.told.get("time_axis", 0))

    def text(self, key: str, words: Sequence[str]) -> str | None:
        """Return a name, in which ``{1}`` stands for the first wildcard."""
        said = self.told.get(key)
        return None if said is None else written_out(filled(str(said), words))

    def match(self, file: h5py.File, path: str, words: Sequence[str]) -> Match:
        """Return the one dataset that another path of it means; raises Refused where there is none."""
        name, part = split(filled(path, words))
        found = next(_datasets(file["/"], name.strip("/").split("/"), ()), None)
        if not isinstance(found, tuple):
            raise Refused(f"there is no dataset {name}" if found is None else found.reason)
        return Match(found[0], part, tuple(words))


def filled(said: str, words: Sequence[str]) -> str:
    """Return text with what the wildcards stand for in their places."""
    return PLACE.sub(lambda place: words[int(place[1]) - 1] if 0 < int(place[1]) <= len(words) else place[0], said)


def split(path: str) -> tuple[str, int | None]:
    """Return a path without the part at its end, and that."""
    part = PART.search(path)
    return (path, None) if part is None else (path[: part.start()], int(part[1]))


def matches(file: h5py.File, path: str) -> Iterator[Match | Refusal]:
    """Yield the datasets that a path means, in the order of the file, and why some of them cannot be opened.

    ``*`` stands for any run of characters of one name, ``?`` for one of them. Links out of the file are not followed.
    """
    name, part = split(path)
    for number, found in enumerate(_datasets(file["/"], name.strip("/").split("/"), ())):
        if number >= MAX_MATCHES:
            raise Refused(f"it means more than {MAX_MATCHES} datasets")
        yield Match(found[0], part, found[1]) if isinstance(found, tuple) else found


def _datasets(
    group: h5py.Group, names: Sequence[str], words: tuple[str, ...]
) -> Iterator[tuple[h5py.Dataset, tuple[str, ...]] | Refusal]:
    name, *more = names
    for here, own in _named(group, name):
        try:
            inner = group_in(group, here) if more else None
            dataset = None if more else dataset_in(group, here)
        except (Refused, KeyError, RuntimeError, OSError) as error:  # h5py raises these for what libhdf5 cannot open
            yield Refusal(f"{as_path(group.name).rstrip('/')}/{as_path(here)}", storable(str(error)))
            continue
        if inner is not None:
            yield from _datasets(inner, more, words + own)
        elif dataset is not None:
            yield dataset, words + own


def _named(group: h5py.Group, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names of a group that a name with wildcards means, and what these stand for."""
    if not WILDCARD.search(name):
        yield name, ()
        return
    pattern = _backwards(name)
    for here in group:
        found = pattern.fullmatch(here[::-1])
        if found is not None:
            yield here, tuple(word[::-1] for word in reversed(found.groups()))


def _backwards(name: str) -> re.Pattern[str]:
    """Return what names with wildcards mean, read from their end.

    So each ``*`` takes as much as it can, the first one first, although no place for what follows it is tried twice.
    """
    parts = ["".join("(.)" if one == "?" else re.escape(one) for one in part) for part in name[::-1].split("*")]
    first, *between = parts
    last = f"(.*){between.pop()}" if between else ""
    return re.compile(first + "".join(f"(?>(.*?){part})" for part in between) + last, re.DOTALL)

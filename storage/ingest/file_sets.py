"""Recordings of several files: which belong together, in which version, and whether somebody still writes them."""

from __future__ import annotations

import hashlib
import posixpath
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from storage.errors import Refused, StillWritten
from storage.objectstore import ObjectStore
from storage.stores.backend import Stat, file_name

MAX_FILES = 512
"""Of one recording."""

STILL_S = 60.0
"""How long nothing of a recording may have been changed before it is taken to be whole."""

GIVEN_UP_S = 24 * 3600.0
"""How long nothing of an incomplete one may have been changed before nobody is expected to complete it."""

SPIKEGLX = ".meta"
OPEN_EPHYS = "structure.oebin"

READ = re.compile(r"continuous/.+/(timestamps|sample_numbers)\.npy|events/.+\.npy")
LEVEL = re.compile(r"Record Node .+|experiment\d+|recording\d+")
SERVED = re.compile(r"continuous/.+/continuous\.dat")
"""What of a folder of Open Ephys is looked into, and what is served from it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a recording."""

    name: str
    """Its path from where the main file lies."""
    url: str
    stat: Stat
    is_read: bool = True
    """Whether parsing the recording may read it; of others only the length is told."""


@dataclass(frozen=True, slots=True)
class SetStat(Stat):
    """What stores tell of a recording of several files: the pin changes with that of any of them."""

    members: tuple[Member, ...] = ()
    """The main file first."""

    @property
    def is_left_alone(self) -> bool:
        """Whether nothing of it was changed for so long that nobody will complete it."""
        return all(
            one.stat.modified_s is not None and time.time() - one.stat.modified_s > GIVEN_UP_S for one in self.members
        )


def stat(store: ObjectStore, url: str) -> Stat:
    """Return size and pin of a file, of a ``SetStat`` where it is the main file of several.

    Raises
    ------
    StillWritten
        If one of several was changed a moment ago.
    Refused
        If there are too many of them.
    NotStored, StoreAway
    """
    find = next((find for end, find in KINDS.items() if url.lower().endswith(end)), None)
    if find is None:
        return store.stat(url)
    names = find(store, url)
    if len(names) > MAX_FILES:
        raise Refused(f"it has {len(names)} files, more than {MAX_FILES}")
    members = tuple(Member(name, place, store.stat(place), is_read) for name, place, is_read in names)
    for one in members:
        if one.stat.modified_s is not None and abs(time.time() - one.stat.modified_s) < STILL_S:
            raise StillWritten(f"{one.name} was changed less than {STILL_S:g} s ago: it may still be being recorded")
    pins = "\n".join(f"{one.name}\t{one.stat.pin}" for one in members)
    pin = f"several-{hashlib.sha256(pins.encode('utf-8', 'surrogateescape')).hexdigest()[:40]}"
    return SetStat(members[0].stat.nbytes, pin, None, members)


def title(url: str) -> str:
    """Return what a recording is called that has several files: folders say more of Open Ephys' than file names."""
    if file_name(url) != OPEN_EPHYS:
        return file_name(url)[: -len(SPIKEGLX)]
    folders = posixpath.dirname(url.partition("://")[2] or url).split("/")
    own = next((place for place in range(len(folders), 0, -1) if not LEVEL.fullmatch(folders[place - 1])), 0)
    return " ".join(folders[max(own - 1, 0) :]) or OPEN_EPHYS


def mains(urls: Iterable[str]) -> list[str]:
    """Return the main files of recordings of several, of all files below a folder or prefix."""
    every = set(urls)
    return sorted(url for url in every if _is_main(url, every))


def main_of(store: ObjectStore, url: str) -> str:
    """Return the main file of the recording that a file belongs to; the file itself where that is none of several.

    Raises
    ------
    NotStored
        If the main file is not there.
    StoreAway
    """
    main = url
    if url.lower().endswith(".bin"):
        main = url[: -len(".bin")] + SPIKEGLX
    elif file_name(url) == "continuous.dat":
        main = _folder_of(_folder_of(_folder_of(url)[:-1])[:-1]) + OPEN_EPHYS
    if main != url:
        store.stat(main)
    return main


def _is_main(url: str, every: set[str]) -> bool:
    if file_name(url) == OPEN_EPHYS:
        return True
    return url.lower().endswith(SPIKEGLX) and _samples_of(url) in every


def _folder_of(url: str) -> str:
    """Return the folder that a file or folder lies in, as all that lies in it begins."""
    return url.removesuffix(file_name(url))


def _samples_of(url: str) -> str:
    return url[: -len(SPIKEGLX)] + ".bin"


def _of_spikeglx(_: ObjectStore, url: str) -> list[tuple[str, str, bool]]:
    samples = _samples_of(url)
    return [(file_name(url), url, True), (file_name(samples), samples, False)]


def _of_open_ephys(store: ObjectStore, url: str) -> list[tuple[str, str, bool]]:
    folder = _folder_of(url)
    named = [
        (place.removeprefix(folder), place) for place in store.list(folder.rstrip("/")) if place.startswith(folder)
    ]
    found = [(OPEN_EPHYS, url, True)]
    found += [(name, place, True) for name, place in named if READ.fullmatch(name)]
    return found + [(name, place, False) for name, place in named if SERVED.fullmatch(name)]


KINDS: dict[str, Callable[[ObjectStore, str], list[tuple[str, str, bool]]]] = {
    SPIKEGLX: _of_spikeglx,
    OPEN_EPHYS: _of_open_ephys,
}
"""By the end of the name of the main file: what finds the others. Name, URL, and whether it is read of each."""

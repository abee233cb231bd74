"""Where files are that may be registered: paths, URLs, places in named stores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from storage.errors import NotStored
from storage.ingest import file_sets
from storage.ingest.inspect import SUFFIXES
from storage.objectstore import ObjectStore
from storage.stores.backend import CLOSED, Listed, Listing
from storage.stores.named import split_place

OWN = "it holds the service's own files"


@dataclass(frozen=True, slots=True)
class Recordings:
    """What lies at a place."""

    url: str
    files: list[Listed]
    """Those that may hold recordings; a file that was named itself is one, whatever it is called."""
    others: list[str]
    """URLs of files of other names."""
    closed: list[str]
    """Folders such as ``.zarr``, which were not looked into."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Files that are not told of above, and why."""


def url_of(place: str, store: ObjectStore | None = None) -> str:
    """Return the one URL of a path of this machine, however it is spelled; of other places what they are.

    Parameters
    ----------
    place : str
        ``lab:night/3.nwb`` lies in a named store, unless there is none of this name but a path that is spelled so.
    store : ObjectStore, optional
        Which knows the named stores.
    """
    named = split_place(place)
    if named is not None and ((store is not None and named[0] in store.stores) or not Path(place).exists()):
        in_folder = store is not None and named[0] in store.stores and store.stores[named[0]].url.startswith("file:")
        return f"{named[0]}:{'/'.join(part for part in named[1].split('/') if part)}" if in_folder else place
    path = place.removeprefix("file://")
    return path if "://" in path else f"file://{Path(path).resolve()}"


def recordings_at(store: ObjectStore, place: str) -> Recordings:
    """Return a file, or the files below a folder or prefix that may hold recordings.

    Raises
    ------
    NotStored
        If there is no such place.
    StoreAway
    """
    url = url_of(place, store)
    if url.rstrip("/").lower().endswith(CLOSED):
        return Recordings(url, [], [], [url.rstrip("/")])
    listing = _without_own(store, url, store.find(url))
    if [one.name for one in listing.files] == [url]:
        main = file_sets.main_of(store, url)
        files = listing.files if main == url else [replace(listing.files[0], name=main)]
        return Recordings(main, files, [], [], listing.left_out)
    mains = {*file_sets.mains(one.name for one in listing.files)}
    files = [one for one in listing.files if one.name in mains or one.name.lower().endswith(SUFFIXES)]
    others = [one.name for one in listing.files if one.name not in mains and not one.name.lower().endswith(SUFFIXES)]
    return Recordings(url, files, others, listing.closed, listing.left_out)


def _without_own(store: ObjectStore, url: str, listing: Listing) -> Listing:
    """Return a list of a place without the service's own files: what others have uploaded is theirs."""
    own = store.own_place(url)
    if own is None:
        return listing
    below = own if own.endswith(":") else f"{own}/"
    files = [one for one in listing.files if not one.name.startswith(below)]
    more = [(own, OWN)] if len(files) < len(listing.files) else []
    return replace(listing, files=files, left_out=[*listing.left_out, *more])


def files_at(store: ObjectStore, place: str) -> list[str]:
    """Return the URLs of a file, or of the files below a folder or prefix that may hold recordings, by name.

    Raises
    ------
    NotStored
        If there is no such file, or nothing in the folder that could be registered.
    StoreAway
    """
    found = recordings_at(store, place)
    require_some(found, place)
    return [one.name for one in found.files]


def require_some(found: Recordings, place: str) -> None:
    """Raise NotStored where nothing at a place could be registered."""
    if not found.files:
        closed = f", and {len(found.closed)} folders that are one recording each" if found.closed else ""
        known = " or ".join((*SUFFIXES, *file_sets.KINDS))
        raise NotStored(f"{place} holds {len(found.others)} files{closed}, none of them {known}")

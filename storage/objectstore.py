"""Stored files by name, in any store that fsspec knows. Above this, nobody sees fsspec."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from storage.errors import FileChanged, NotStored, StoreAway
from storage.ranges import ByteRange
from storage.stores.access import FROM_ENVIRONMENT, Access, endpoint_from_environment
from storage.stores.backend import Content, Listing, Part, Pieces, Reading, Stat, Writing
from storage.stores.folder import Folder
from storage.stores.named import NamedStore, split_place
from storage.stores.read_only import ReadOnlyWriting

Backend = tuple[Reading, Writing]
"""One kind of store; S3 is read and written by different clients."""
KEYS = ""
"""Where keys live, if that is a folder: nobody else makes links there."""


class ObjectStore:
    """The service's own store, and every registered file wherever it lies.

    Parameters
    ----------
    root_url : str
        Where keys live: ``file:///srv/store``, ``s3://bucket/prefix``, ``memory://store``, …
    s3_client : str
        Of ``S3_CLIENTS``: what fetches ranges of ``s3://``.
    s3_public_url : str, optional
        Where callers reach the S3 that the service writes to; without it they send parts to the service.
    stores : mapping of str to NamedStore
        By name.

    Notes
    -----
    A name is a key below ``root_url`` or, for a registered file, a whole URL or a place in a named store, such as
    ``lab:night/3.nwb``; all of these are URLs here. Clients are made at first
    use, because gunicorn forks after this object exists.
    """

    def __init__(
        self,
        root_url: str,
        *,
        s3_client: str = "obstore",
        s3_public_url: str | None = None,
        stores: Mapping[str, NamedStore] | None = None,
    ) -> None:
        if not root_url.partition("://")[2].strip("/") and root_url != "file:///" and split_place(root_url) is None:
            raise ValueError(f"a store is given as a URL such as file:///srv/store, not {root_url!r}")
        self.root_url = root_url.rstrip("/")
        self.stores = dict(stores or {})
        self._makers: dict[str, Callable[[], Backend]] = {
            "file": partial(_folder, None),
            KEYS: partial(_folder, "/"),
            "s3": lambda: (S3_CLIENTS[s3_client](FROM_ENVIRONMENT), _s3_writing(s3_public_url, FROM_ENVIRONMENT)),
        }
        for one in self.stores.values():
            self._makers[f"{one.name}:"] = partial(_named, one, s3_client, s3_public_url)
        self._backends: dict[str, Backend] = {}
        self._lock = threading.Lock()

    def get_ranges(self, name: str, ranges: Sequence[ByteRange], *, pin: str | None = None) -> Sequence[Content]:
        """Return the bytes of each range, fetched side by side.

        Raises
        ------
        NotStored
            If there is no such file.
        FileChanged
            If the file is not the one with this pin, or is shorter than a range needs.
        StoreAway
            If the store does not answer.
        """
        if not ranges:
            return []
        (reading, _), location = self._find(name)
        try:
            return reading.get_ranges(location, ranges, pin)
        except FileChanged as error:
            error.name = name
            raise

    def stat(self, name: str) -> Stat:
        """Return size and pin of a file; raises NotStored or StoreAway."""
        (reading, _), location = self._find(name)
        return reading.stat(location)

    def open_local(self, name: str) -> BinaryIO | None:
        """Open a file that lies in a folder; None where it is in another kind of store, which only knows ranges."""
        (reading, _), location = self._find(name)
        return reading.open(location) if isinstance(reading, Folder) else None

    def list(self, url: str) -> list[str]:
        """Return the URLs of a file, or of all files below a folder or prefix, sorted."""
        return [found.name for found in self.find(url).files]

    def find(self, url: str) -> Listing:
        """Return a file, or all files below a folder or prefix, by URL; raises NotStored where there is none."""
        (reading, _), location = self._find(url)
        place = split_place(url)
        if place is None:
            top, beginning = "", f"{url.partition('://')[0]}://"
        else:
            top, beginning = f"{_location(self.stores[place[0]].url)}/", f"{place[0]}:"
        listing = reading.find(location)
        found = Listing([], [beginning + folder.removeprefix(top) for folder in listing.closed])
        found.left_out.extend((beginning + name.removeprefix(top), reason) for name, reason in listing.left_out)
        found.files.extend(replace(one, name=beginning + one.name.removeprefix(top)) for one in listing.files)
        return found

    def is_there(self, name: str) -> bool:
        """Whether a file is where it was; raises StoreAway where that cannot be told, as of what is not mounted."""
        try:
            self.stat(name)
        except NotStored:
            (reading, _), location = self._find(name)
            place = split_place(name)
            if isinstance(reading, Folder):
                reading.require_there(location, "/" if place is None else _location(self.stores[place[0]].url))
            return False
        return True

    def own_place(self, url: str) -> str | None:
        """Return how a list of a place calls the folder of keys; None where that lies in another store."""
        own, theirs = self._whole_place(f"{self.root_url}/"), self._whole_place(url)
        if own[:2] != theirs[:2]:
            return None
        place, location = split_place(url), own[2].rstrip("/")
        if place is None:
            return f"{own[0]}://{location}"
        top = self._whole_place(f"{place[0]}:")[2].rstrip("/")
        if f"{location}/".startswith(f"{top}/"):
            return f"{place[0]}:{location[len(top) + 1 :]}"
        return f"{place[0]}:" if f"{top}/".startswith(f"{location}/") else None

    def _whole_place(self, url: str) -> tuple[str, str, str]:
        """Return protocol, endpoint and location of a URL or of a place in a named store."""
        place, endpoint = split_place(url), None
        if place is not None:
            store = self.stores[place[0]]
            url, endpoint = f"{store.url}/{place[1]}", store.access.endpoint
        protocol, _, location = url.partition("://")
        if protocol == "file":
            return protocol, "", os.path.realpath(location)
        return protocol, (endpoint or endpoint_from_environment()).rstrip("/"), location

    def put(self, name: str, content: bytes) -> None:
        """Store a whole file under a key that no file has; it is there entirely or not at all."""
        (_, writing), location = self._find(name)
        writing.put(location, content)

    def write(self, name: str, pieces: Pieces, *, at_most_nbytes: int) -> None:
        """Store a file as its bytes come, in bounded memory; it is there entirely or not at all.

        Parameters
        ----------
        name : str
            A key that no file has.
        pieces : iterable of bytes
            What it raises is passed on, and nothing is stored.
        at_most_nbytes : int
            All pieces together have no more.

        Raises
        ------
        StoreFull
            If the store has no room.
        StoreAway
            If the store does not answer.
        """
        (_, writing), location = self._find(name)
        writing.write(location, pieces, at_most_nbytes)

    def begin_parts(self, name: str) -> str | None:
        """Make ready for the parts of a file; return what the store calls this upload, if it has a name for it."""
        (_, writing), location = self._find(name)
        return writing.begin_parts(location)

    def put_part(self, name: str, upload: str | None, part: Part, pieces: Pieces) -> None:
        """Store one part as its bytes come; it counts once it is whole, and replaces the part of this number.

        Raises
        ------
        NotStored
            If no upload of this file is under way.
        WrongLength
            If the pieces are more or fewer bytes than the part has.
        Superseded
            If the same part is being sent again.
        StoreFull, StoreAway
            As ``write`` does.
        """
        (_, writing), location = self._find(name)
        writing.put_part(location, upload, part, pieces)

    def list_parts(self, name: str, upload: str | None) -> dict[int, int]:
        """Return the lengths of the parts that are whole, by number; raises NotStored where none are awaited."""
        (_, writing), location = self._find(name)
        return writing.list_parts(location, upload)

    def complete(self, name: str, upload: str | None, parts: Sequence[Part]) -> None:
        """Make the file of its parts; where that is done already, do nothing.

        Raises
        ------
        PartsWrong
            Unless exactly these parts are whole.
        NotStored
            If no upload of this file is under way, nor is there the file.
        """
        (_, writing), location = self._find(name)
        writing.complete(location, upload, parts)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there, and all that unfinished writes and parts of it left."""
        (_, writing), location = self._find(name)
        writing.remove(location)

    def find_all(self, prefix: str) -> set[str]:
        """Return all keys below a prefix of which any byte is stored, also of what is not whole."""
        (_, writing), location = self._find(prefix)
        top = location.removesuffix(prefix)
        return {found.removeprefix(top) for found in writing.find_all(location)}

    def presign_part(self, name: str, upload: str | None, part: Part, *, expires_s: int) -> str | None:
        """Return a URL that takes exactly this part by PUT from whoever knows it; None where there is none."""
        (_, writing), location = self._find(name)
        return writing.presign_part(location, upload, part, expires_s)

    def _find(self, name: str) -> tuple[Backend, str]:
        place = split_place(name)
        is_key = place is None and "://" not in name
        if is_key:
            name = f"{self.root_url}/{name}"
            place = split_place(name)
        if place is None:
            protocol, _, location = name.partition("://")
            return self._backend(KEYS if is_key and protocol == "file" else protocol), location
        store = self.stores.get(place[0])
        if store is None:  # perhaps only here: nothing of it is taken to be gone
            raise StoreAway(f"there is no store named {place[0]}; EPHYSTORE_STORES {_known(self.stores)}")
        if store.url.startswith("file://") and ".." in place[1].split("/"):
            raise NotStored(f"{place[1]!r} leads out of the store {place[0]}")
        return self._backend(f"{store.name}:"), f"{_location(store.url)}/{place[1]}"

    def _backend(self, protocol: str) -> Backend:
        if protocol not in self._backends:
            with self._lock:
                if protocol not in self._backends:
                    self._backends[protocol] = self._makers.get(protocol, lambda: _any(protocol))()
        return self._backends[protocol]


def _location(url: str) -> str:
    return url.partition("://")[2]


def _known(stores: Mapping[str, NamedStore]) -> str:
    return f"has {', '.join(stores)}" if stores else "names none"


# Clients are imported here, because s3fs alone takes 0.2 s.


def _folder(links_within: str | None) -> Backend:
    folder = Folder(links_within)
    return folder, folder


def _named(store: NamedStore, s3_client: str, s3_public_url: str | None) -> Backend:
    """Return how a named store is reached; obstore knows no certificates but those of the system."""
    if store.url.startswith("file://"):
        reading, writing = _folder(_location(store.url))
    else:
        client = "s3fs" if store.access.ca is not None else s3_client
        reading, writing = S3_CLIENTS[client](store.access), _s3_writing(s3_public_url, store.access)
    return reading, ReadOnlyWriting(store.name) if store.read_only else writing


def _s3_by_obstore(access: Access) -> Reading:
    from storage.stores.s3 import S3

    return S3(access)


def _s3_by_s3fs(access: Access) -> Reading:
    from storage.stores.s3_fsspec import S3fs

    return S3fs(access)


def _s3_writing(public_url: str | None, access: Access) -> Writing:
    from storage.stores.s3_writing import S3Writing

    return S3Writing(public_url, access)


def _any(protocol: str) -> Backend:
    from storage.stores.any import AnyStore

    store = AnyStore(protocol)
    return store, store


S3_CLIENTS: dict[str, Callable[[Access], Reading]] = {"obstore": _s3_by_obstore, "s3fs": _s3_by_s3fs}

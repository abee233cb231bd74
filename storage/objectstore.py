"""Stored files by name, in any store that fsspec knows. Above this, nobody sees fsspec."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

from storage.ranges import ByteRange
from storage.stores.backend import Content, Part, Pieces, Reading, Stat, Writing
from storage.stores.folder import Folder

Backend = tuple[Reading, Writing]
"""One kind of store; S3 is read and written by different clients."""


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

    Notes
    -----
    A name is a key below ``root_url`` or, for a registered file, a whole URL. Clients are made at first
    use, because gunicorn forks after this object exists.
    """

    def __init__(self, root_url: str, *, s3_client: str = "obstore", s3_public_url: str | None = None) -> None:
        if not root_url.partition("://")[2].strip("/") and root_url != "file:///":
            raise ValueError(f"a store is given as a URL such as file:///srv/store, not {root_url!r}")
        self.root_url = root_url.rstrip("/")
        self._makers: dict[str, Callable[[], Backend]] = {
            "file": _folder,
            "s3": lambda: (S3_CLIENTS[s3_client](), _s3_writing(s3_public_url)),
        }
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
        return reading.get_ranges(location, ranges, pin)

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
        (reading, _), location = self._find(url)
        protocol = url.partition("://")[0]
        return [f"{protocol}://{found}" for found in reading.list(location)]

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
        url = name if "://" in name else f"{self.root_url}/{name}"
        protocol, _, location = url.partition("://")
        if protocol not in self._backends:
            with self._lock:
                if protocol not in self._backends:
                    self._backends[protocol] = self._makers.get(protocol, lambda: _any(protocol))()
        return self._backends[protocol], location


# Clients are imported here, because s3fs alone takes 0.2 s.


def _folder() -> Backend:
    folder = Folder()
    return folder, folder


def _s3_by_obstore() -> Reading:
    from storage.stores.s3 import S3

    return S3()


def _s3_by_s3fs() -> Reading:
    from storage.stores.s3_fsspec import S3fs

    return S3fs()


def _s3_writing(public_url: str | None) -> Writing:
    from storage.stores.s3_writing import S3Writing

    return S3Writing(public_url)


def _any(protocol: str) -> Backend:
    from storage.stores.any import AnyStore

    store = AnyStore(protocol)
    return store, store


S3_CLIENTS: dict[str, Callable[[], Reading]] = {"obstore": _s3_by_obstore, "s3fs": _s3_by_s3fs}

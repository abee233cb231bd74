"""Stored files by name, in any store that fsspec knows. Above this, nobody sees fsspec."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

from storage.ranges import ByteRange
from storage.stores.backend import Backend, Content, Stat
from storage.stores.folder import Folder


class ObjectStore:
    """The service's own store, and every registered file wherever it lies.

    Parameters
    ----------
    root_url : str
        Where keys live: ``file:///srv/store``, ``s3://bucket/prefix``, ``memory://store``, …
    s3_client : str
        Of ``S3_CLIENTS``: what fetches ranges of ``s3://``.

    Notes
    -----
    A name is a key below ``root_url`` or, for a registered file, a whole URL. Clients are made at first
    use, because gunicorn forks after this object exists.
    """

    def __init__(self, root_url: str, *, s3_client: str = "obstore") -> None:
        if not root_url.partition("://")[2].strip("/") and root_url != "file:///":
            raise ValueError(f"a store is given as a URL such as file:///srv/store, not {root_url!r}")
        self.root_url = root_url.rstrip("/")
        self._makers: dict[str, Callable[[], Backend]] = {"file": Folder, "s3": S3_CLIENTS[s3_client]}
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
        backend, location = self._find(name)
        return backend.get_ranges(location, ranges, pin)

    def stat(self, name: str) -> Stat:
        """Return size and pin of a file; raises NotStored or StoreAway."""
        backend, location = self._find(name)
        return backend.stat(location)

    def open_local(self, name: str) -> BinaryIO | None:
        """Open a file that lies in a folder; None where it is in another kind of store, which only knows ranges."""
        backend, location = self._find(name)
        return backend.open(location) if isinstance(backend, Folder) else None

    def put(self, name: str, content: bytes) -> None:
        """Store a whole file under a key that no file has; it is there entirely or not at all."""
        backend, location = self._find(name)
        backend.put(location, content)

    def list(self, url: str) -> list[str]:
        """Return the URLs of a file, or of all files below a folder or prefix, sorted."""
        backend, location = self._find(url)
        protocol = url.partition("://")[0]
        return [f"{protocol}://{found}" for found in backend.list(location)]

    def _find(self, name: str) -> tuple[Backend, str]:
        url = name if "://" in name else f"{self.root_url}/{name}"
        protocol, _, location = url.partition("://")
        if protocol not in self._backends:
            with self._lock:
                if protocol not in self._backends:
                    self._backends[protocol] = self._makers.get(protocol, lambda: _any(protocol))()
        return self._backends[protocol], location


# Clients are imported here, because s3fs alone takes 0.2 s.


def _s3_by_obstore() -> Backend:
    from storage.stores.s3 import S3

    return S3()


def _s3_by_s3fs() -> Backend:
    from storage.stores.s3_fsspec import S3fs

    return S3fs()


def _any(protocol: str) -> Backend:
    from storage.stores.any import AnyStore

    return AnyStore(protocol)


S3_CLIENTS: dict[str, Callable[[], Backend]] = {"obstore": _s3_by_obstore, "s3fs": _s3_by_s3fs}

"""Stored files by name, in any store that fsspec knows. Above this, nobody sees fsspec."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from storage.ranges import ByteRange


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store tells of a file without reading it."""

    nbytes: int
    pin: str
    """Changes whenever the content does: an ETag, or what stands for one."""


class Backend(Protocol):
    """One kind of store. A ``location`` is what follows the protocol: ``bucket/key`` or ``/folder/file``."""

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> list[bytes]:
        """Return the bytes of each range, exactly as long as asked, all of the file with this pin."""

    def stat(self, location: str) -> Stat:
        """Return size and pin."""

    def open(self, location: str) -> BinaryIO:
        """Open a file for parsing."""

    def put(self, location: str, content: bytes) -> None:
        """Store a whole file; it is there entirely or not at all."""

    def list(self, location: str) -> list[str]:
        """Return the locations of the file or of all files below a folder or prefix, sorted."""


class ObjectStore:
    """The service's own store, and every registered file wherever it lies.

    Parameters
    ----------
    root_url : str
        Where keys live: ``file:///srv/store``, ``s3://bucket/prefix``, ``memory://store``, …

    Notes
    -----
    A name is a key below ``root_url`` or, for a registered file, a whole URL. Clients are made at first
    use, because gunicorn forks after this object exists.
    """

    def __init__(self, root_url: str) -> None:
        if "://" not in root_url:
            raise ValueError(f"a store is given as a URL such as file:///srv/store, not {root_url!r}")
        self.root_url = root_url.rstrip("/")
        self._backends: dict[str, Backend] = {}
        self._lock = threading.Lock()

    def get_ranges(self, name: str, ranges: Sequence[ByteRange], *, pin: str | None = None) -> list[bytes]:
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

    def open(self, name: str) -> BinaryIO:
        """Open a file for parsing; raises NotStored or StoreAway."""
        backend, location = self._find(name)
        return backend.open(location)

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
        with self._lock:
            if protocol not in self._backends:
                self._backends[protocol] = _backend(protocol)
            return self._backends[protocol], location


def file_name(name: str) -> str:
    """Return the last part of a key or URL: what may be shown to a caller of where a file lies."""
    return posixpath.basename(name)


def _backend(protocol: str) -> Backend:
    """Make the client of a store; imported here, because s3fs alone takes 0.2 s."""
    makers: dict[str, Callable[[], Backend]] = {"file": _folder, "s3": _s3}
    if protocol in makers:
        return makers[protocol]()
    from storage.stores.any import AnyStore

    return AnyStore(protocol)


def _folder() -> Backend:
    from storage.stores.folder import Folder

    return Folder()


def _s3() -> Backend:
    from storage.stores.s3 import S3

    return S3()

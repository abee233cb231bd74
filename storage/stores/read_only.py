"""A store into which nothing is written, whatever is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from storage.errors import ReadOnly
from storage.stores.backend import Part, Pieces


class ReadOnlyWriting:
    """Refuses all that would write to, or remove from, a store of this name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def put(self, location: str, content: bytes) -> None:
        """Raise ReadOnly."""
        self._refuse()

    def write(self, location: str, pieces: Pieces, at_most_nbytes: int) -> None:
        """Raise ReadOnly."""
        self._refuse()

    def begin_parts(self, location: str) -> str | None:
        """Raise ReadOnly."""
        self._refuse()

    def put_part(self, location: str, upload: str | None, part: Part, pieces: Pieces) -> None:
        """Raise ReadOnly."""
        self._refuse()

    def list_parts(self, location: str, upload: str | None) -> dict[int, int]:
        """Raise ReadOnly."""
        self._refuse()

    def complete(self, location: str, upload: str | None, parts: Sequence[Part]) -> None:
        """Raise ReadOnly."""
        self._refuse()

    def remove(self, location: str) -> None:
        """Raise ReadOnly."""
        self._refuse()

    def find_all(self, location: str) -> set[str]:
        """Raise ReadOnly: only what the service writes is looked through like this."""
        self._refuse()

    def presign_part(self, location: str, upload: str | None, part: Part, expires_s: int) -> str | None:
        """Raise ReadOnly."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ReadOnly(f"the store {self._name} is read-only")

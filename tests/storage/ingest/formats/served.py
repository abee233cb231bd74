"""What the service answers of a file that a test made: its objects, and their arrays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py

from storage.ingest.register import Outcome
from tests.archive import Archive


class Served:
    """A service over the files of one test."""

    def __init__(self, folder: Path) -> None:
        self.archive = Archive(folder)
        self.outcome: Outcome | None = None

    def register(self, path: Path, **plain: Any) -> Outcome:
        """Register a file in place."""
        self.outcome = self.archive.register(path, **plain)
        return self.outcome

    @property
    def refusals(self) -> dict[str, str]:
        """Why what of the file is left out, by its path."""
        assert self.outcome is not None
        return {one.path: one.reason for one in self.outcome.refusals}

    def all(self, type_name: str) -> list[dict[str, Any]]:
        """Return the fields of all objects of a type."""
        answer = self.archive.get(f"/electrophysiology/{type_name}/?max_results=1000")
        return [one["fields"] for one in answer.json["selected"]]

    def one(self, type_name: str, name: str | None = None) -> dict[str, Any]:
        """Return the fields of the one object of a type, or of the one with a name."""
        found = [one for one in self.all(type_name) if name is None or name_of(one) == name]
        assert len(found) == 1, [name_of(one) for one in found]
        return found[0]

    def array(self, quantity: dict[str, Any], query: str = "") -> Any:
        """Return the values of an array, as HDF5 answers them."""
        with h5py.File(io.BytesIO(self.archive.get(quantity["data"] + query).data)) as file:
            return next(iter(file.values()))[()]


def name_of(fields: dict[str, Any]) -> Any:
    """Return what an object is called; arrays of events and epochs are in their annotations."""
    return fields.get("name") or fields["annotations"].get("name")

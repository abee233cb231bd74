"""What was sent to create or change an object, as values; checked by itself, and not yet against the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.catalog.forms import ArrayForm
from storage.errors import StorageError

Faults = dict[str, list[str]]
"""What is wrong, by field."""


class Invalid(StorageError):
    """Fields that an object cannot have.

    Parameters
    ----------
    faults : dict of str to list of str
        All of them at once, by field.
    """

    def __init__(self, faults: Faults) -> None:
        super().__init__("; ".join(f"{name}: {', '.join(said)}" for name, said in faults.items()))
        self.faults = faults

    def of(self, who: str) -> Invalid:
        """Return the same of one of several objects."""
        return Invalid({name: [f"of {who} {reason}" for reason in said] for name, said in self.faults.items()})


class Stale(StorageError):
    """The object was changed since the caller read it."""


@dataclass(frozen=True, slots=True)
class GivenArray:
    """One array, linked or inline, or only a unit of the one that is there."""

    form: ArrayForm
    datafile_id: int | None = None
    values: NDArray[np.generic] | None = None
    """Of the right dimensions and kind, where it is inline."""
    units: str | None = None
    guid: str | None = None
    """What the caller takes the guid of a linked one to be."""
    is_taken_back: bool = False
    """Whether the unit of the one that is there is to be what its file says again."""


@dataclass(slots=True)
class Given:
    """Only what was named; the rest stays as it is."""

    columns: dict[str, Any] = field(default_factory=dict)
    """Of the object's own table; a quantity is two of them."""
    parents: dict[str, int | None] = field(default_factory=dict)
    """Ids, by type."""
    several: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Ids of several parents of one type, by type."""
    arrays: dict[str, GivenArray | None] = field(default_factory=dict)
    corrections: tuple[str, ...] | None = None
    """Of the fields that were corrected those that stay so; the others are what the file says again."""
    forms: Mapping[str, ArrayForm] = field(default_factory=dict)
    """Of all array fields that objects of the type have."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Read-only fields as they were sent."""
    faults: Faults = field(default_factory=dict)

    def fault(self, name: str, reason: str) -> None:
        """Note what is wrong with a field."""
        self.faults.setdefault(name, []).append(reason)

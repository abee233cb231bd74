"""Who is calling."""

from __future__ import annotations

from storage.catalog.permissions import NOBODY, Caller


def caller() -> Caller:
    """Return who asks; nobody can log in yet."""
    return NOBODY

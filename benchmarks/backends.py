"""Clients of S3 that are compared behind the interface of the service's stores."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from storage.stores.backend import Backend

BACKENDS = {
    "s3fs": "storage.stores.s3_fsspec:S3fs",
    "obstore": "storage.stores.s3:S3",
    "obstore, bare": "benchmarks.bare_obstore:BareObstore",
}
"""Where each is made."""


def maker(place: str) -> Callable[[], Backend]:
    """Return what makes a backend."""
    module, _, name = place.partition(":")
    found: Callable[[], Backend] = getattr(importlib.import_module(module), name)
    return found

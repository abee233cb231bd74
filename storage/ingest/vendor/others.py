"""Formats that neo reads right, as far as tests show: nothing of what it says is corrected."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from storage.ingest.vendor.files import FileSet
from storage.ingest.vendor.telling import Recording

OF_NEO: tuple[str, ...] = ()

READERS: Mapping[str, Callable[[FileSet, str, Recording], None]] = {}

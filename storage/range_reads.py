"""Byte ranges of one stored file, fetched together: near ones as one, a long one in pieces side by side."""

from __future__ import annotations

from collections.abc import Collection

from storage.objectstore import ObjectStore
from storage.ranges import ByteRange, coalesce, split
from storage.stores.backend import Content


def fetch(store: ObjectStore, file: str, wanted: Collection[ByteRange], *, pin: str | None) -> dict[ByteRange, Content]:
    """Return the bytes of each range.

    Raises
    ------
    NotStored, FileChanged, StoreAway
    """
    if len(wanted) == 1:
        (whole,) = wanted
        contents = store.get_ranges(file, split(whole), pin=pin)
        return {whole: contents[0] if len(contents) == 1 else b"".join(contents)}
    groups = coalesce(wanted)
    contents = store.get_ranges(file, [span for span, _ in groups], pin=pin)
    return {
        part: memoryview(content)[part.byte_offset - span.byte_offset :][: part.nbytes]
        for (span, parts), content in zip(groups, contents, strict=True)
        for part in parts
    }


def requests(wanted: Collection[ByteRange]) -> list[ByteRange]:
    """Return the ranges that are asked for to have those wanted."""
    return split(*wanted) if len(wanted) == 1 else [span for span, _ in coalesce(wanted)]

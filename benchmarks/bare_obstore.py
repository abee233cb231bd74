"""obstore with nothing around it: what a store over it can cost at the least."""

from __future__ import annotations

import os
from collections.abc import Sequence

import obstore
from obstore.store import S3Store

from storage.ranges import ByteRange
from storage.stores.backend import Stat


class BareObstore:
    """Reads ranges one after the other; the other parts of a store are not measured."""

    def __init__(self) -> None:
        self._stores: dict[str, S3Store] = {}

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> list[bytes]:
        """Return the bytes of each range."""
        store, key = self._store(location)
        return [bytes(self._get(store, key, part, pin)) for part in ranges]

    def stat(self, location: str) -> Stat:
        """Return size and ETag."""
        store, key = self._store(location)
        found = obstore.head(store, key)
        return Stat(found["size"], str(found["e_tag"]))

    def _get(self, store: S3Store, key: str, part: ByteRange, pin: str | None) -> obstore.Bytes:
        pinned = {"if_match": pin} if pin else {}
        return obstore.get(store, key, options={"range": (part.byte_offset, part.end), **pinned}).bytes()

    def _store(self, location: str) -> tuple[S3Store, str]:
        bucket, _, key = location.partition("/")
        if bucket not in self._stores:
            endpoint, region = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_DEFAULT_REGION"]
            options = {"allow_http": True}
            self._stores[bucket] = S3Store(bucket, endpoint=endpoint, region=region, client_options=options)
        return self._stores[bucket], key

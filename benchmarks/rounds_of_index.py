"""How often building a chunk index waits for the store: requests that need no other's answer count as one.

    python -m benchmarks.rounds_of_index URL

Looks into a file in the store as registering does, and prints how many calls that took, one after another. The requests
of one call are limited in number at a time, so what a server sees of them is longer than this.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.sandbox.sandbox import sandbox
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from storage.stores.backend import Content


class CountingStore(ObjectStore):
    """Counts the calls that wait for an answer."""

    n_calls = 0

    def get_ranges(self, name: str, ranges: Sequence[ByteRange], *, pin: str | None = None) -> Sequence[Content]:
        """Count a call."""
        self.n_calls += 1
        return super().get_ranges(name, ranges, pin=pin)


def main(url: str) -> None:
    """Print the count."""
    store = CountingStore("memory://none")
    found = sandbox().inspect(store, url, store.stat(url), PlainOptions((30_000.0, "Hz"), (0.0, "s"), "mV"))
    assert found.datasets, found.refusals
    print(store.n_calls)


if __name__ == "__main__":
    main(sys.argv[1])

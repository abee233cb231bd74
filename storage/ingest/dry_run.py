"""What registering would do, found by looking into files, and written nowhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.catalog import batches
from storage.errors import StillWritten, StorageError
from storage.ingest import file_sets, sidecars
from storage.ingest.found import Found, Refusal
from storage.ingest.moved import find_moved, is_another
from storage.ingest.register import Options, Outcome, State
from storage.ingest.sandbox.sandbox import sandbox
from storage.objectstore import ObjectStore
from storage.stores.backend import Listed, Stat, file_name

SAMPLE = 200
"""Files that are looked into; of more, these are spread evenly over all ages, and the others taken to be like them."""


@dataclass(slots=True)
class DryRun:
    """What was found in some of the files, and what that means for all."""

    n_files: int
    """All that would be looked into."""
    outcomes: list[Outcome] = field(default_factory=list)
    """Of those that were: what would become of them."""
    sidecar_nbytes: int = 0
    """Of those that were looked into."""
    moved_from: list[str] = field(default_factory=list)
    """Where files that would be moved were registered."""
    lasted_s: float = 0.0

    @property
    def scale(self) -> float:
        """How many times as many files there are as were looked into."""
        return self.n_files / len(self.outcomes) if self.outcomes else 0.0


def dry_run(
    store: ObjectStore,
    engine: Engine,
    files: Sequence[Listed],
    options: Options,
    *,
    threads: int,
    progress: Callable[[int], object],
) -> DryRun:
    """Look into files as registering would, side by side.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    files : sequence of Listed
        That would be looked into.
    options : Options
    threads : int
        Files that are looked into at once.
    progress : callable
        Is told after each file how many there are.
    """
    result = DryRun(len(files))
    n_chosen = min(len(files), SAMPLE)
    chosen = [files[number * len(files) // n_chosen] for number in range(n_chosen)]
    with Session(engine) as session:
        known = batches.known_files(session, [one.name for one in chosen])
    began = time.monotonic()

    def look(one: Listed) -> tuple[Outcome, int]:
        before = known.get(one.name)
        told = options.over(before.options if before is not None else {})
        try:
            stat = file_sets.stat(store, one.name)
            if before is not None and not options.forget_corrections and _is_current(before, stat, told):
                return Outcome(one.name, "unchanged"), 0
            found = sandbox().inspect(store, one.name, stat, told.plain)
            if before is not None and is_another(before.identity, found.identity, was_asked=True):
                before = None
            with Session(engine) as session:
                moved = None
                if before is None:
                    moved = find_moved(session, store, one.name, found.identity, stat, options.owner)
                if moved is not None:
                    result.moved_from.append(moved.name)
        except StorageError as error:
            state: State = "waiting" if isinstance(error, StillWritten) else "refused"
            return Outcome(one.name, state, refusals=[Refusal(file_name(one.name), str(error))]), 0
        counts = dict(Counter(thing.type_name for thing in found.objects))
        new: State = "moved" if moved else "registered"
        state = "refused" if not found.objects else new if before is None else "updated"
        return Outcome(one.name, state, counts, found.refusals), _sidecar_nbytes(found)

    with ThreadPoolExecutor(threads) as pool:
        for outcome, nbytes in pool.map(look, chosen):
            result.outcomes.append(outcome)
            result.sidecar_nbytes += nbytes
            progress(len(chosen))
    result.lasted_s = time.monotonic() - began
    return result


def _is_current(known: batches.Known, stat: Stat, told: Options) -> bool:
    """Whether nothing would be done about a file, as far as the catalog tells."""
    return known.pin == stat.pin and not known.is_missing and known.options == told.as_json()


def _sidecar_nbytes(found: Found) -> int:
    made = (sidecars.content(found, path) for path in {array.dataset for array in found.arrays.values()})
    return sum(len(content) for content, _ in filter(None, made))

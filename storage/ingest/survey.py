"""What there is to register at some places: which files, the newest first, and which of them are known already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.catalog import batches, orders
from storage.errors import NotStored, StorageError
from storage.ingest.found import Refusal
from storage.ingest.places import recordings_at, require_some, url_of
from storage.ingest.register import Options
from storage.ingest.vanished import mark_missing
from storage.ingest.vendor import known as known_formats
from storage.objectstore import ObjectStore
from storage.stores.backend import Listed, file_name

CLOSED_REASON = "is one recording of many files, which is not served; none of them was looked at"

IMPORT = "of other formats, which are imported rather than registered: 'flask import FILE …'"

FEW = 100
"""Files of which each is looked at by itself, and told of on a line of its own."""


@dataclass(slots=True)
class Survey:
    """What lies at some places."""

    files: list[Listed] = field(default_factory=list)
    """Each once, the newest first."""
    refusals: list[Refusal] = field(default_factory=list)
    """Places at which nothing can be registered."""
    _looked_through: dict[str, set[str]] = field(default_factory=dict)
    """URLs of all files at each place that was looked through."""

    def mark_missing(self, store: ObjectStore, engine: Engine, *, is_dry: bool = False) -> list[str]:
        """Mark known files that are not at these places any more, unless it ``is_dry``; return which are missing."""
        missing: dict[str, None] = {}
        for url, names in self._looked_through.items():
            try:
                missing |= dict.fromkeys(mark_missing(store, engine, url, names, is_dry=is_dry))
            except StorageError as error:
                self.refusals.append(Refusal(url, f"what is missing there cannot be told: {error}"))
        return list(missing)


def survey(store: ObjectStore, places: Sequence[str]) -> Survey:
    """Look through places; what is wrong with one of them is told, and does not keep the others out."""
    found = Survey()
    files: dict[str, Listed] = {}
    for place in places:
        url = url_of(place, store)
        try:
            there = recordings_at(store, place)
            found.refusals += [Refusal(name, reason) for name, reason in there.left_out]
            files |= {one.name: one for one in there.files}
            found._looked_through[url] = {*there.others, *(one.name for one in there.files)}
            found.refusals += [Refusal(folder, CLOSED_REASON) for folder in there.closed]
            importable = [name for name in there.others if known_formats.may_be_imported(name)]
            if importable:
                found.refusals.append(Refusal(f"{file_name(importable[0])}{_and_more(importable)}", IMPORT))
            if not there.closed:
                require_some(there, place)
        except (StorageError, OSError) as error:
            found.refusals.append(Refusal(place, str(error)))
            if isinstance(error, NotStored):
                found._looked_through.setdefault(url, set())
    found.files = sorted(files.values(), key=lambda one: (-one.modified_s, one.name))
    return found


def _and_more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def to_do(store: ObjectStore, engine: Engine, files: Sequence[Listed], options: Options) -> tuple[list[str], int]:
    """Return the URLs of files that are to be looked into, in their order, and how many need not be.

    Of few files none is left out here: what registers one looks by itself whether anything is to be done. Of many, one
    list of the store, one of its sidecars and one question to the catalog tell which are unchanged.
    """
    urls = [one.name for one in files]
    if len(files) <= FEW or options.forget_corrections:
        return urls, 0
    with Session(engine) as session:
        known = batches.known_files(session, urls)
        same = {
            one.name: known[one.name].id
            for one in files
            if one.name in known
            and known[one.name].pin == one.stat.pin
            and not known[one.name].is_missing
            and known[one.name].options == options.over(known[one.name].options).as_json()
        }
        for url in orders.forgotten(session, list(same)):
            del same[url]
        sidecars = batches.sidecars_of(session, list(same.values()))
    stored = store.find_all("sidecars") if same else set()
    unchanged = {url for url, id_ in same.items() if sidecars[id_] <= stored}
    return [url for url in urls if url not in unchanged], len(unchanged)

"""``flask unregister``: files leave the catalog, and stay where they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import click
from flask import Flask
from flask.cli import with_appcontext
from tqdm import tqdm

from app import summary
from app.catalog_errors import catalog_errors
from app.place import PLACE
from app.services import services
from storage.ingest.places import url_of
from storage.ingest.survey import FEW
from storage.ingest.unregister import registered_at, unregister
from storage.stores.backend import file_name


def install(app: Flask) -> None:
    """Give an application the command."""
    app.cli.add_command(unregister_files)


@click.command("unregister")
@click.argument("places", nargs=-1, required=True, type=PLACE, metavar="PATH-or-URL …")
@with_appcontext
def unregister_files(places: Sequence[str]) -> None:
    """Take files, or all of folders and prefixes, out of the catalog; not one byte of them is touched.

    Their objects and arrays are archived, and what the service stored beside them is removed an hour later. Registering
    them again brings all back.
    """
    found = services()
    with catalog_errors():
        by_place = {place: registered_at(found.engine, url_of(place, found.store)) for place in places}
        for place in (place for place, files in by_place.items() if not files):
            click.echo(summary.line("left out", f"{place}: nothing there is registered"))
        files = list(dict.fromkeys(name for names in by_place.values() for name in names))
        total: Counter[str] = Counter()
        for name in tqdm(files, desc="Unregistering", unit="file", leave=False, disable=None):
            counts = unregister(found.engine, name)
            total += Counter(counts)
            if len(files) <= FEW:
                tqdm.write(summary.line("archived", f"{file_name(name)}: {summary.counted(counts)}"))
    if not files:
        raise click.ClickException("nothing is registered there")
    if len(files) > 1:
        click.echo(summary.line("archived", f"{len(files):,} files: {summary.counted(dict(total))}"))

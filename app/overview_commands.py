"""``flask overview``: what overviews of arrays would take, and making them without a worker."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import click
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session
from tqdm import tqdm

from app import summary
from app.catalog_errors import catalog_errors
from app.job_commands import one_worker
from app.services import Services, services
from storage.catalog import overviews
from storage.catalog.arrays import stored_array
from storage.catalog.base import ACTIVE
from storage.catalog.files import OVERVIEW_LEFT_OUT, READABLE, Datafile
from storage.catalog.jobs import DONE, Job
from storage.catalog.uses import MAX_ID
from storage.stores.backend import file_name

SHOWN = 20


def install(app: Flask) -> None:
    """Give an application its command."""
    app.cli.add_command(overview)


@click.command("overview")
@click.argument("ids", nargs=-1, type=click.IntRange(1, MAX_ID), metavar="DATAFILE …")
@click.option("--estimate", is_flag=True, help="Only tell what they would take; nothing is read or written.")
@click.option("--anew", is_flag=True, help="Also those that there are, such as after a change of the settings.")
@with_appcontext
def overview(ids: Sequence[int], estimate: bool, anew: bool) -> None:
    """Make the overviews of arrays that have none: of those named, or of all.

    Workers do that by themselves ('flask worker'). An overview makes few points of any length a small read.
    """
    found = services()
    with catalog_errors():
        with found.session() as session:
            rows = _wanted(session, ids, anew=anew)
            if missing := sorted(set(ids) - {row.id for row in _wanted(session, ids, anew=True)}):
                raise click.ClickException(f"there is no array {', '.join(map(str, missing))}")
        if estimate:
            click.echo("\n".join(_estimate(found, rows)))
            return
        made = _made(found, [row.id for row in rows])
    for job in made:
        if job.state != DONE or job.message != "made":
            click.echo(summary.line(job.state, f"{file_name(job.subject)}: {job.message}"))
    n_made = sum(job.message == "made" for job in made)
    click.echo(summary.line("made", f"{n_made:,} overviews"))
    if len(made) > n_made:
        raise click.exceptions.Exit(1)


def _wanted(session: Session, ids: Sequence[int], *, anew: bool) -> list[Datafile]:
    """Return the arrays that are meant."""
    rows = select(Datafile).where(Datafile.current_state == ACTIVE, Datafile.state.in_(READABLE)).order_by(Datafile.id)
    if ids:
        rows = rows.where(Datafile.id.in_(ids))
    if not anew:
        rows = rows.where(Datafile.overview.is_(None))
    return list(session.scalars(rows))


def _estimate(found: Services, rows: Sequence[Datafile]) -> list[str]:
    lines, n_overviews, n_read, n_stored = [], 0, 0, 0
    for row in rows:
        array = stored_array(row)
        form = found.settings.overviews.form(array, has_sums=True)
        if form is None:
            continue
        read = array.n_samples * array.n_channels * array.dataset.dtype.itemsize
        n_overviews, n_read, n_stored = n_overviews + 1, n_read + read, n_stored + form.nbytes()
        if n_overviews <= SHOWN:
            size = f"{summary.nbytes(form.nbytes())} of {summary.nbytes(read)}"
            lines.append(summary.line(str(row.id), f"{size}  {row.name} in {file_name(row.file.name)}"))
    if n_overviews > SHOWN:
        lines.append(summary.line("…", f"and {n_overviews - SHOWN:,} more"))
    share = f" ({n_stored / n_read:.1%})" if n_read else ""
    told = f"{n_overviews:,} overviews take about {summary.nbytes(n_stored)}{share} and read {summary.nbytes(n_read)}"
    return [*lines, summary.line("all", f"{told}; {len(rows) - n_overviews:,} arrays are left out")]


def _made(found: Services, ids: Sequence[int]) -> list[Job]:
    """Make overviews here, one after the other; return the jobs."""
    batch = secrets.token_hex(8)
    with Session(found.engine.execution_options(writes=True)) as session, session.begin():
        for id_ in ids:
            datafile = session.get(Datafile, id_, with_for_update={"of": Datafile})
            if datafile is None or found.settings.overviews.form(stored_array(datafile), has_sums=True) is None:
                if datafile is not None and datafile.overview is None:
                    datafile.overview_state = OVERVIEW_LEFT_OUT
                continue
            overviews.ask(session, datafile)
            session.flush()
            job = overviews.job_of(session, id_)
            if job is not None:
                job.batch = batch
    with found.session() as session:
        n_jobs = len(session.scalars(select(Job.id).where(Job.batch == batch)).all())
    with (
        one_worker(found) as worker,
        tqdm(total=n_jobs, desc="Making overviews", unit="array", leave=False, disable=None) as bar,
    ):
        while worker.do_next(batch=batch) is not None:
            bar.update()
    with found.session() as session:
        return list(session.scalars(select(Job).where(Job.batch == batch).order_by(Job.id)))

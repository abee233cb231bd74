"""``flask worker``, ``jobs`` and ``tidy``: what is done beside answering."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.catalog_errors import catalog_errors
from app.services import Services, services
from storage.catalog import queue
from storage.catalog.base import moment
from storage.catalog.jobs import CANCELLED, DONE, FAILED, PAUSED, QUEUED, RUNNING, Job
from storage.errors import NotFound, StorageError
from storage.ingest.found import written_out
from storage.jobs.overview import ask_for_missing
from storage.jobs.steps import FileProgress, steps
from storage.jobs.worker import Worker
from storage.progress import untold
from storage.uploads.abandoned import remove_abandoned
from storage.uploads.tidy import find_stray

log = logging.getLogger(__name__)

STATES = (QUEUED, RUNNING, PAUSED, DONE, FAILED, CANCELLED)
SHOWN = 50

jobs = AppGroup("jobs", help="See and steer what workers do.")


def install(app: Flask) -> None:
    """Give an application its commands."""
    for command in (worker, jobs, tidy):
        app.cli.add_command(command)


@click.command("worker")
@click.option("--with-parent", is_flag=True, help="End when standard input ends.")
@with_appcontext
def worker(with_parent: bool) -> None:
    """Do jobs, such as the checks of uploads, until SIGINT (which finishes those under way) or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("huey").setLevel(logging.WARNING)
    found = services()
    if with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with catalog_errors(), one_worker(found) as doing:

        def sweep() -> None:
            try:
                remove_abandoned(found.store, found.engine)
            except (StorageError, SQLAlchemyError) as error:  # the next sweep tries again
                log.warning("what was abandoned could not be removed: %s", error)
            soon = queue.next_moment(found.engine)
            if soon is not None and soon > moment():
                found.wakes.send(after=soon - moment())
            work()

        def work() -> None:
            doing.drain()
            try:
                n_asked = ask_for_missing(found.engine, found.settings.overviews)
            except SQLAlchemyError as error:  # the next sweep tries again
                log.warning("overviews could not be asked for: %s", error)
            else:
                if n_asked:
                    doing.drain()

        found.wake(found.settings.job_threads)
        sweep_soon = threading.Thread(target=sweep, daemon=True)
        sweep_soon.start()
        found.wakes.listen(work, sweep, threads=found.settings.job_threads)


def one_worker(found: Services, progress: FileProgress = untold) -> Worker:
    """Return a worker with the settings of the service."""
    settings = found.settings
    return Worker(
        found.engine,
        steps(
            found.store,
            found.engine,
            progress,
            quota_nbytes=settings.limits.quota_nbytes,
            show_subject=settings.show_subject,
            overviews=settings.overviews,
        ),
        lease=timedelta(seconds=settings.limits.lease_s),
        bulk_places=settings.job_threads - 1,
        later=lambda delay: found.wakes.send(after=delay),
    )


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1 << 16):  # not by sys.stdin, whose lock would be held when Python ends
        continue
    os.kill(os.getpid(), signal.SIGTERM)


@jobs.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=SHOWN, show_default=True)
def list_jobs(states: Sequence[str], limit: int) -> None:
    """Show jobs, the newest first."""
    with catalog_errors(), services().session() as session:
        found, total = queue.listing(session, states, limit=limit)
    for job in found:
        click.echo(written_out(_told(job)))
    click.echo(f"{len(found)} of {total} jobs" if len(found) < total else f"{total} jobs")


@jobs.command("cancel")
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(min=1), metavar="ID …")
def cancel(ids: Sequence[int]) -> None:
    """Give jobs up; those under way stop soon. 'retry' takes it back."""
    _order(ids, queue.cancel, "cancelled")


@jobs.command("pause")
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(min=1), metavar="ID …")
def pause(ids: Sequence[int]) -> None:
    """Keep jobs from being taken until 'retry'; those under way stop soon."""
    _order(ids, queue.pause, "paused")


@jobs.command("retry")
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(min=1), metavar="ID …")
def retry(ids: Sequence[int]) -> None:
    """Queue jobs anew that are paused, failed, cancelled or wait for a later attempt."""
    _order(ids, queue.retry, "queued")
    services().wake(len(ids))


@click.command("tidy")
@click.option("--remove", is_flag=True, help="Remove them.")
@with_appcontext
def tidy(remove: bool) -> None:
    """List what lies in the store and nothing in the catalog knows of, such as after an older catalog was restored."""
    found = services()
    try:
        with catalog_errors():
            stray, n_keys = find_stray(found.store, found.engine)
        for key in stray:
            if remove:
                found.store.remove(key)
            click.echo(f"{'removed' if remove else 'stray':>10}  {key}")
    except StorageError as error:
        raise click.ClickException(str(error)) from error
    told = f"{len(stray)} of {n_keys} files in the store are not known to the catalog"
    click.echo(f"nothing stray: all {n_keys} files in the store are known" if not stray else told)


def _order(ids: Sequence[int], change: Callable[[Session, list[Job]], list[Job]], done: str) -> None:
    """Change jobs, all or none, and tell of each what became of it."""
    engine = services().engine.execution_options(writes=True)
    try:
        with catalog_errors(), Session(engine, expire_on_commit=False) as session, session.begin():
            found = queue.get(session, ids)
            states = {job.id: job.state for job in found}
            changed = {job.id for job in change(session, found)}
    except NotFound as error:
        raise click.ClickException(f"{error}; nothing was changed") from error
    for job in found:
        click.echo(f"job {job.id}: {done if job.id in changed else f'stays {states[job.id]}'}  {job.subject}")


def _told(job: Job) -> str:
    percent = f"{job.progress:4.0%}" if job.state == RUNNING else "    "
    message = f"  ({job.message})" if job.message else ""
    tries = f", attempt {job.attempts}" if job.attempts > 1 else ""
    return f"{job.id:>8}  {job.state:<9} {percent}  {job.kind:<8}  {job.subject}{message}{tries}"

"""``flask import``: files of other formats become HDF5 in the store, and objects; HDF5 files are registered."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy.orm import Session
from tqdm import tqdm

from app.account_commands import USERNAME
from app.catalog_errors import catalog_errors
from app.job_commands import one_worker
from app.place import PLACE
from app.registering import tell_unseen
from app.services import Services, services
from storage.catalog import queue
from storage.catalog.jobs import DONE, IMPORT, ORDER, QUEUED, REGISTER, Job
from storage.errors import NotStored, StorageError
from storage.ingest import convert
from storage.ingest.inspect import SUFFIXES
from storage.ingest.places import url_of
from storage.ingest.register import Options, Outcome
from storage.ingest.vendor import known
from storage.ingest.vendor.beginnings import beginning
from storage.stores.backend import file_name, is_unicode

LOOK_S = 0.2
"""Between two looks at which jobs came to an end."""


def install(app: Flask) -> None:
    """Give an application its command."""
    app.cli.add_command(import_files)


@click.command("import")
@click.argument("places", nargs=-1, required=True, type=PLACE, metavar="FILE-or-URL …")
@click.option(
    "--owner", type=USERNAME, metavar="NAME", help="Username of the owner, made where there is none; nobody by default."
)
@click.option(
    "--safety-level",
    type=click.IntRange(1, 3),
    help="1 public, 2 any user, 3 private (unless told before).",
)
@with_appcontext
def import_files(places: Sequence[str], owner: str | None, safety_level: int | None) -> None:
    """Import files of other formats: ABF, BrainVision, EDF, Igor, Intan, Blackrock and more.

    They are converted to HDF5 in the store of the service, and stay where they are. The other files of a recording,
    such as the .eeg and .vmrk beside a .vhdr, are found by themselves. NWB, NIX and HDF5 files are registered in place.
    """
    found = services()
    with catalog_errors():
        jobs = _jobs(found, places, owner, safety_level)
        if not jobs:
            raise click.ClickException("nothing could be imported")
        outcomes = _done(found, jobs)
    tell_unseen(found, [one.url for one in outcomes if one.state in ("registered", "imported")])
    if not any(outcome.counts for outcome in outcomes):
        raise click.ClickException("nothing could be imported")


def _jobs(found: Services, places: Sequence[str], owner: str | None, safety_level: int | None) -> list[Job]:
    """Return a job for each recording; what cannot be imported is told, and left out."""
    jobs: dict[str, Job] = {}
    sessions: dict[tuple[str, str], Job] = {}
    reasons: dict[str, str] = {}
    parts: set[str] = set()
    for url in dict.fromkeys(map(url_of, places)):
        if url in parts:  # it comes with one that was named before
            continue
        try:
            job, others, session = _job(found, url, owner, safety_level)
        except (StorageError, OSError) as error:
            reasons[url] = str(error)
            continue
        parts |= set(others)
        if session is None or sessions.setdefault((session, _folder(url)), job) is job:
            jobs[url] = job
        else:  # files of one folder that were named together are one session
            first = sessions[session, _folder(url)]
            first.options = {**first.options, "with": [*first.options["with"], url]}
    for url, reason in reasons.items():
        if url not in parts:
            click.echo(f"{'left out':>10}  {file_name(url)}: {reason}")
    return list(jobs.values())


def _job(
    found: Services, url: str, owner: str | None, safety_level: int | None
) -> tuple[Job, Sequence[str], str | None]:
    """Return the job that imports a file, the files that it takes with it, and what it is a session of, if of any."""
    told = {"owner": owner, "safety_level": safety_level}
    name = file_name(url)
    if found.store.list(url) != [url]:
        raise NotStored("it is a folder; name the files")
    if name.lower().endswith(SUFFIXES):
        return Job(kind=REGISTER, subject=url, options=Options(owner, safety_level).as_json()), (), None
    one = known.format_of(name, beginning(found.store, url, found.store.stat(url)))
    if one is None:
        raise NotStored(f"it is {known.part(name) or 'of no format that is imported'}")
    convert.require_readers()
    beside = known.beside(one, name, _there(found, _folder(url))) if one.beside else []
    others = [f"{_folder(url)}/{other}" for other in beside]
    job = Job(kind=IMPORT, subject=url, options={**told, "with": others})
    return job, others, one.name if one.is_session else None


def _folder(url: str) -> str:
    return url.rpartition("/")[0]


def _there(found: Services, folder: str) -> list[str]:
    """Return the names of the files in a folder, without those in folders below."""
    if folder.startswith("file://"):
        there = [path.name for path in Path(folder.removeprefix("file://") or "/").iterdir() if path.is_file()]
        return [name for name in there if is_unicode(name)]
    return [file_name(url) for url in found.store.list(folder) if _folder(url) == folder]


def _done(found: Services, jobs: Sequence[Job]) -> list[Outcome]:
    """Do jobs, together with whichever workers run; return what became of each, which is also told."""
    batch = secrets.token_hex(8)
    outcomes = []
    with Session(found.engine.execution_options(writes=True)) as session, session.begin():
        for job in jobs:
            job.batch = batch
        session.add_all(jobs)
    with tqdm(total=len(jobs), desc="Importing", unit="file", leave=False, disable=None) as bar:
        for job in _ended(found, batch, len(jobs)):
            if job.state == DONE and job.result is not None:
                outcomes.append(Outcome.from_json(job.subject, job.result))
                bar.write(_told(outcomes[-1]))
            else:
                word = "later" if job.state == QUEUED else job.state
                bar.write(f"{word:>10}  {file_name(job.subject)}: {job.message or job.state}")
            bar.update()
    return outcomes


def _ended(found: Services, batch: str, n_jobs: int) -> Iterator[Job]:
    told: set[int] = set()
    try:
        with one_worker(found) as worker:
            while len(told) < n_jobs:
                done = worker.do_next(batch=batch)
                with found.session() as session:
                    # Checks that became due by registering are nobody's concern here: workers do them.
                    ended = [job for job in queue.ended(session, batch, told) if job.kind != ORDER]
                told |= {job.id for job in ended}
                yield from ended
                if done is None and not ended:
                    time.sleep(LOOK_S)
    except KeyboardInterrupt:
        with Session(found.engine.execution_options(writes=True)) as session, session.begin():
            n_left = len(queue.cancel(session, queue.batch(session, batch)))
        raise click.ClickException(f"stopped: {n_left} of {n_jobs} files were not imported") from None


def _told(outcome: Outcome) -> str:
    counts = ", ".join(f"{number} {type_name}" for type_name, number in outcome.counts.items())
    name = file_name(outcome.url)
    lines = [f"{outcome.state:>10}  {name}" + (f": {counts}" if counts else "")]
    for refusal in outcome.refusals:
        place = name if refusal.path == name else f"{name} {refusal.path}"
        lines.append(f"{'left out':>10}  {place}: {refusal.reason}")
    return "\n".join(lines)

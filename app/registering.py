"""Registering many files from a terminal: a job each, done here and by whichever workers run."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence

import click
from sqlalchemy.orm import Session
from tqdm import tqdm

from app.catalog_errors import catalog_errors
from app.job_commands import one_worker
from app.services import Services
from storage.catalog import queue
from storage.catalog.jobs import DONE, QUEUED, Job, add_registers
from storage.ingest.register import Options, Outcome
from storage.jobs.steps import FileProgress

LOOK_S = 0.2
"""Between two looks at which jobs of a batch came to an end."""


def queue_files(found: Services, files: Sequence[str], options: Options) -> str:
    """Queue the registering of files; return the name of their batch."""
    batch = secrets.token_hex(8)
    if not files:
        return batch
    with Session(found.engine.execution_options(writes=True)) as session, session.begin():
        add_registers(session, files, options.as_json(), batch)
    found.wake(min(len(files), found.settings.job_threads))
    return batch


def register_files(found: Services, files: Sequence[str], options: Options) -> list[Outcome]:
    """Register files, saying of each what became of it; return the outcomes of those that were looked into."""
    if not files:
        return []
    outcomes = []
    with catalog_errors(), tqdm(total=len(files), desc="Registering", unit="file", leave=False, disable=None) as bar:
        batch = queue_files(found, files, options)
        try:
            for job in _ended(found, batch, len(files), _shown_in(bar)):
                if job.state == DONE and job.result is not None:
                    outcomes.append(Outcome.from_json(job.subject, job.result))
                bar.write("\n".join(_told(outcomes[-1]) if job.state == DONE else [_put_off(job)]))
                bar.update()
        except KeyboardInterrupt:
            with Session(found.engine.execution_options(writes=True)) as session, session.begin():
                n_left = len(queue.cancel(session, queue.batch(session, batch)))
            told = f"stopped: {n_left} of {len(files)} files were not looked into; the same command goes on with them"
            raise click.ClickException(told) from None
    return outcomes


def _ended(found: Services, batch: str, n_jobs: int, show: FileProgress) -> Iterator[Job]:
    """Do the jobs of a batch; yield each that came to an end, by whomever, or waits for a later attempt."""
    told: set[int] = set()
    looked_s = 0.0
    with one_worker(found, show) as worker:
        while len(told) < n_jobs:
            done = worker.do_next(batch=batch)
            if done is not None and time.monotonic() < looked_s + LOOK_S:
                continue
            with found.session() as session:
                ended = queue.ended(session, batch, told)
            looked_s = time.monotonic()
            told |= {job.id for job in ended}
            yield from ended
            if done is None and not ended:
                time.sleep(LOOK_S)


def _shown_in(bar: tqdm) -> FileProgress:  # type: ignore[type-arg]
    """Return what shows, in a bar, which file is looked into and how much of which of its datasets is indexed."""

    def show(url: str, path: str, n_indexed: int, n_chunks: int) -> None:
        name = url.rpartition("/")[2]
        bar.set_postfix_str(f"{name}, {n_indexed:,} of {n_chunks:,} chunks of {path}" if n_chunks else name)

    return show


def _put_off(job: Job) -> str:
    """Say of a job that has no outcome what became of it."""
    word, more = ("later", "; a worker tries again ('flask worker')") if job.state == QUEUED else (job.state, "")
    return f"{word:>10}  {job.subject.rpartition('/')[2]}: {job.message or job.state}{more}"


def _told(outcome: Outcome) -> list[str]:
    counts = ", ".join(f"{number} {type_name}" for type_name, number in outcome.counts.items())
    name = outcome.url.rpartition("/")[2]
    lines = [f"{outcome.state:>10}  {name}" + (f": {counts}" if counts else "")]
    for refusal in outcome.refusals:
        place = name if refusal.path == name else f"{name} {refusal.path}"
        lines.append(f"{'left out':>10}  {place}: {refusal.reason}")
    return lines

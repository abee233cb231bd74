"""Registering many files from a terminal: a job each, done here and by whichever workers run."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import click
from sqlalchemy.orm import Session
from tqdm import tqdm

from app import summary
from app.catalog_errors import catalog_errors
from app.job_commands import one_worker
from app.services import Services
from storage.catalog import batches, find, orders, queue
from storage.catalog.jobs import DONE, QUEUED, REGISTER, Job
from storage.ingest.dry_run import dry_run
from storage.ingest.found import Refusal
from storage.ingest.register import Options, Outcome
from storage.ingest.survey import FEW, survey, to_do
from storage.jobs.steps import FileProgress
from storage.jobs.worker import Worker

LOOK_S = 0.2
"""Between two looks at which jobs of a batch came to an end."""


def register_places(found: Services, places: Sequence[str], options: Options, *, leave_to_workers: bool) -> None:
    """Register all that lies at some places, and tell what became of it; raises ClickException if that is nothing."""
    with catalog_errors():
        there = survey(found.store, places)
        missing = there.mark_missing(found.store, found.engine)
        _tell(there.refusals)
        files, n_unchanged = to_do(found.store, found.engine, there.files, options)
        if not there.files and not missing:
            raise click.ClickException("nothing could be registered")
        if leave_to_workers:
            queue_files(found, files, options)
            told = f"queued {len(files)} files; 'flask jobs list' tells how far it is"
            told += f"; {n_unchanged} are unchanged" if n_unchanged else ""
            click.echo(told + (f"; {len(missing)} are missing" if missing else ""))
            return
    outcomes, n_elsewhere = register_files(found, files, options, known=[one.name for one in there.files])
    if len(files) > 1 or n_unchanged or missing:
        n_later = len(files) - len(outcomes) - n_elsewhere
        missing = [url for url in missing if _is_missing(found, url)]  # some were found elsewhere meanwhile
        click.echo("\n".join(summary.summary(outcomes, n_unchanged=n_unchanged, n_later=n_later, missing=missing)))
    tell_unseen(found, [one.url for one in outcomes if one.state == "registered"])
    if n_elsewhere:
        told = "another command, which was given them as well, registers them and tells what becomes of them"
        click.echo(summary.line("elsewhere", f"{summary.files(n_elsewhere)}: {told}"))
    if not n_unchanged and not missing and not n_elsewhere and not any(outcome.counts for outcome in outcomes):
        raise click.ClickException(f"nothing {'could be' if len(outcomes) == len(files) else 'is'} registered")


def tell_what_would_be_done(found: Services, places: Sequence[str], options: Options) -> None:
    """Look into files as registering would, write nothing, and tell what would become of them."""
    with catalog_errors():
        there = survey(found.store, places)
        missing = there.mark_missing(found.store, found.engine, is_dry=True)
        _tell(there.refusals)
        urls, n_unchanged = to_do(found.store, found.engine, there.files, options)
        chosen = set(urls)
        files = [one for one in there.files if one.name in chosen]
        with tqdm(desc="Looking into files", unit="file", leave=False, disable=None) as bar:

            def show(n_all: int) -> None:
                bar.total = n_all
                bar.update()

            n_threads = max(1, found.settings.job_threads - 1)
            result = dry_run(found.store, found.engine, files, options, threads=n_threads, progress=show)
    missing = [url for url in missing if url not in result.moved_from]
    click.echo("\n".join(summary.of_dry_run(result, n_unchanged, missing)))
    if not n_unchanged and not missing and all(one.state == "refused" for one in result.outcomes):
        raise click.ClickException("nothing could be registered")


def _tell(refusals: Sequence[Refusal]) -> None:
    for refusal in refusals:
        click.echo(summary.line("left out", f"{refusal.path}: {refusal.reason}"))


def tell_unseen(found: Services, new: Sequence[str]) -> None:
    """Tell whoever has registered or imported files of nobody, and for nobody, that nobody sees them."""
    with found.session() as session:
        if find.is_any_unseen(session, new[:FEW]):
            click.echo(summary.line("note", summary.UNSEEN))


def _is_missing(found: Services, url: str) -> bool:
    with found.session() as session:
        known = find.stored_file(session, url)
    return known is not None and known.missing_since is not None


def queue_files(found: Services, files: Sequence[str], options: Options) -> str:
    """Queue the registering of files, unless they wait for it already; return the name of their batch."""
    batch = secrets.token_hex(8)
    if not files:
        return batch
    with Session(found.engine.execution_options(writes=True)) as session, session.begin():
        batches.put(session, files, options.as_json(), batch)
    found.wake(min(len(files), found.settings.job_threads))
    return batch


def register_files(
    found: Services, files: Sequence[str], options: Options, known: Sequence[str] = ()
) -> tuple[list[Outcome], int]:
    """Register files, several at once; return what became of those looked into, and how many another command took over.

    What became of each is told on a line of its own where they are few. Of these files, and of those that are known
    already, also checks of times are done that others left.
    """
    outcomes: dict[str, Outcome] = {}
    with catalog_errors(), tqdm(total=len(files), desc="Registering", unit="file", leave=False, disable=None) as bar:
        batch = queue_files(found, files, options)
        with found.transaction() as session:
            n_checks = orders.take_over(session, list({*files, *known}), batch)
        if not files and not n_checks:
            return [], 0
        try:
            with closing(_ended(found, batch, _shown_in(bar))) as ended:
                for job in ended:
                    lines = _taken(outcomes, job)
                    if len(files) <= FEW:
                        bar.write("\n".join(lines), end="\n" if lines else "")
                    if job.kind == REGISTER:
                        bar.update()
        except KeyboardInterrupt:
            raise click.ClickException(_stop(found, batch, len(files))) from None
        with found.session() as session:
            return list(outcomes.values()), len(files) - batches.n_registers(session, batch)


def _stop(found: Services, batch: str, n_files: int) -> str:
    """Give up files that were not looked into; return what is told. Of those that were, workers check what is left."""
    with found.transaction() as session:
        n_left = len(queue.cancel(session, queue.batch(session, batch)))
        n_checks = batches.n_unfinished_orders(session, batch)
    told = f"stopped: {n_left} of {n_files} files were not looked into; the same command goes on with them"
    if not n_checks:
        return told
    found.wake(min(n_checks, found.settings.job_threads))
    return f"{told}, and with {n_checks} checks whether times are sorted, unless 'flask worker' does them before"


def _taken(outcomes: dict[str, Outcome], job: Job) -> list[str]:
    """Add what a job came to; return the lines about it."""
    if job.state != DONE or job.result is None:
        return [] if job.state == DONE else [_put_off(job)]
    if job.kind == REGISTER:
        outcomes[job.subject] = Outcome.from_json(job.subject, job.result)
        return summary.told(outcomes[job.subject])
    refusals = [Refusal(path, reason) for path, reason in job.result["refusals"]]
    if job.subject in outcomes:  # else its file was looked into by an earlier command
        outcomes[job.subject].refusals.extend(refusals)
    return summary.told(Outcome(job.subject, "unchanged", {}, refusals))[1:]


def _ended(found: Services, batch: str, show: FileProgress) -> Generator[Job]:
    """Do the jobs of a batch; yield each that came to an end, by whomever, or waits for a later attempt.

    Another command may take jobs over by asking for the same files: then they are not waited for.
    """
    told: set[int] = set()
    with one_worker(found, show) as worker, _working(worker, batch, found.settings.job_threads - 1) as at_work:
        while True:
            with found.session() as session:
                # Asked before what has ended: what ends in between is seen in the next turn.
                is_open = batches.is_open(session, batch)
                ended = queue.ended(session, batch, told)
            told |= {job.id for job in ended}
            yield from ended
            if not is_open and not ended:
                return
            at_work.wait()


class _AtWork:
    """Threads that do the jobs of one batch until they are stopped."""

    def __init__(self, worker: Worker, batch: str) -> None:
        self._worker, self._batch = worker, batch
        self.stopped = threading.Event()
        self._failed = threading.Event()
        self._failures: list[BaseException] = []

    def work(self) -> None:
        """Do jobs, looking again after a while where there is none."""
        try:
            while not self.stopped.is_set():
                if self._worker.do_next(batch=self._batch) is None:
                    self.stopped.wait(LOOK_S)
        except BaseException as error:
            self._failures.append(error)
            self._failed.set()

    def wait(self) -> None:
        """Wait for a while; raises what a thread failed with."""
        if self._failed.wait(LOOK_S):
            raise self._failures[0]


@contextmanager
def _working(worker: Worker, batch: str, n_threads: int) -> Iterator[_AtWork]:
    at_work = _AtWork(worker, batch)
    threads = [threading.Thread(target=at_work.work, name="register", daemon=True) for _ in range(max(1, n_threads))]
    for thread in threads:
        thread.start()
    try:
        yield at_work
    except BaseException:  # what is under way is not waited for: it goes back to the queue
        at_work.stopped.set()
        raise
    at_work.stopped.set()
    for thread in threads:
        thread.join()


def _shown_in(bar: tqdm) -> FileProgress:  # type: ignore[type-arg]
    """Return what shows, in a bar, which file is looked into and how much of which of its datasets is indexed."""

    def show(url: str, path: str, n_indexed: int, n_chunks: int) -> None:
        name = url.rpartition("/")[2]
        bar.set_postfix_str(f"{name}, {n_indexed:,} of {n_chunks:,} chunks of {path}" if n_chunks else name)

    return show


def _put_off(job: Job) -> str:
    """Say of a job that has no outcome what became of it."""
    word, more = ("later", "; a worker tries again ('flask worker')") if job.state == QUEUED else (job.state, "")
    return summary.line(word, f"{job.subject.rpartition('/')[2]}: {job.message or job.state}{more}")

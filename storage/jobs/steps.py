"""What each kind of job does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.catalog.jobs import CHECK, IMPORT, ORDER, OVERVIEW, REGISTER, Job
from storage.ingest.register import Options, register
from storage.jobs.check import check_upload
from storage.jobs.imports import import_recording
from storage.jobs.order import check_order
from storage.jobs.overview import make_overview
from storage.jobs.worker import Held, NotYet, Outcome, Step
from storage.objectstore import ObjectStore
from storage.overviews.policy import OverviewPolicy
from storage.progress import untold

FileProgress = Callable[[str, str, int, int], None]
"""Is told the URL of a file, the path of a dataset, how many of its chunks are indexed, and how many it has."""


USUAL_QUOTA_NBYTES = 1000 * 10**9


def steps(
    store: ObjectStore,
    engine: Engine,
    progress: FileProgress = untold,
    *,
    quota_nbytes: int = USUAL_QUOTA_NBYTES,
    show_subject: bool = False,
    overviews: OverviewPolicy = OverviewPolicy(),  # noqa: B008 - it cannot be changed
) -> dict[str, Step]:
    """Return what is done for each kind of job.

    Parameters
    ----------
    store : ObjectStore
    engine : Engine
    progress : callable
        Is told, besides the catalog, how far the registering of a file is; first of all with 0 of 0 chunks.
    quota_nbytes : int
        What a user may store for whom the catalog says nothing else.
    show_subject : bool
        Whether what files say of the subject is told: as it is now, whatever it was when a job was queued.
    overviews : OverviewPolicy
        Which arrays have an overview.
    """

    def register_file(held: Held) -> Outcome:
        """Register the file at one URL, as the options say."""

        def tell(path: str, n_indexed: int, n_chunks: int) -> None:
            held.tell(n_indexed / max(n_chunks, 1))
            progress(held.job.subject, path, n_indexed, n_chunks)

        tell("/", 0, 0)
        job, options = held.job, replace(Options.from_json(held.job.options), show_subject=show_subject)
        outcome = register(store, engine, job.subject, options, tell, batch=job.batch, require_wanted=held.require)
        if outcome.state == "waiting":
            raise NotYet(outcome.refusals[0].reason)

        def write(_session: Session, job: Job) -> None:
            job.result, job.message = outcome.as_json(), outcome.state
            if outcome.state == "refused" and outcome.refusals:
                job.message += f": {outcome.refusals[0].reason}"

        return write

    return {
        REGISTER: register_file,
        CHECK: partial(check_upload, store, engine, quota_nbytes),
        ORDER: partial(check_order, store, engine),
        OVERVIEW: partial(make_overview, store, engine, overviews),
        IMPORT: partial(import_recording, store, engine, quota_nbytes),
    }

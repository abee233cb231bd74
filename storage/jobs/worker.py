"""A worker: takes jobs from the catalog, does them, and shows that it is alive."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from storage.catalog import queue
from storage.catalog.jobs import LONG, OVERVIEW, Job
from storage.catalog.queue import Lease, Lost
from storage.errors import SandboxAway, StoreAway

log = logging.getLogger(__name__)

RENEWALS = 3
"""Signs of life within the length of a lease."""


WIDE = (OVERVIEW,)
"""Kinds of jobs that take all processors: a worker does one of them at a time."""


class NotYet(Exception):
    """What a job is about is not there yet, such as the end of a recording: it is put back. The text says why."""


@dataclass(slots=True)
class Held:
    """A job while it is done."""

    job: Job
    lease: Lease
    done: float = 0.0
    lost: threading.Event = field(default_factory=threading.Event)

    def tell(self, done: float) -> None:
        """Note how far it is, 0 to 1; raises Lost where it should go no further."""
        self.done = min(max(done, 0.0), 1.0)
        if self.lost.is_set():
            raise Lost(f"job {self.job.id} was taken away")

    def require(self, session: Session) -> None:
        """Require that it stays held until a transaction ends, for what is written before it is done; raises Lost."""
        queue.mine(session, self.lease, self.job.id)


Outcome = Callable[[Session, Job], None]
"""Writes what came of a job, in the transaction that ends it."""

Step = Callable[[Held], Outcome]
"""Does one kind of job; may be repeated, side by side with itself, without harm."""


class Worker:
    """Does jobs, several side by side, each in a thread of its caller.

    Parameters
    ----------
    engine : Engine
    steps : dict of str to callable
        By kind of job.
    lease : timedelta
        How long its jobs stay its own without a sign of life.
    bulk_places : int
        How many of many it does at once, at most; beyond these it does only what somebody waits for.
    later : callable
        Is told after how long a job that was put back can be taken again.
    """

    def __init__(
        self,
        engine: Engine,
        steps: dict[str, Step],
        *,
        lease: timedelta,
        bulk_places: int,
        later: Callable[[timedelta], object] = lambda delay: None,
    ) -> None:
        self._engine, self._steps, self._later = engine, steps, later
        self._lease = Lease(f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}", lease)
        self._bulk = threading.BoundedSemaphore(bulk_places)
        self._wide = threading.BoundedSemaphore(1)
        self._held: dict[Lease, Held] = {}
        self._ended = threading.Event()
        self._alive = threading.Thread(target=self._renew, name="leases", daemon=True)

    def __enter__(self) -> Worker:
        """Begin to show signs of life."""
        self._alive.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Show none any more; what is still under way goes back to the queue."""
        self._ended.set()
        self._alive.join()
        try:
            queue.release(self._engine, list(self._held))
        except (OperationalError, InterfaceError) as error:  # the lease will end
            log.warning("jobs under way could not be put back: %s", error.orig)
        for held in dict(self._held).values():
            held.lost.set()

    def drain(self) -> int:
        """Do jobs until there is none to take; return how many."""
        number = 0
        while not self._ended.is_set() and self.do_next() is not None:
            number += 1
        return number

    def do_next(self, *, batch: str | None = None) -> Job | None:
        """Do the next job; return it as it was taken, None where there is none to take."""
        with ExitStack() as place, ExitStack() as wide:
            bulk = _taken(self._bulk, place)
            without = () if _taken(self._wide, wide) else WIDE
            job = queue.claim(self._engine, self._lease, bulk=bulk, batch=batch, without=without)
            if job is not None:
                if job.priority < LONG:
                    place.close()
                if job.kind not in WIDE:
                    wide.close()
                self._do(Held(job, replace(self._lease, worker=job.worker or "")))
            return job

    def _do(self, held: Held) -> None:
        job = held.job
        lease, began_s = held.lease, time.monotonic()
        self._held[lease] = held
        try:
            try:
                outcome = self._steps[job.kind](held)
                queue.finish(self._engine, lease, job.id, outcome)
                log.info("job %d, %s %s: done in %.1f s", job.id, job.kind, job.subject, time.monotonic() - began_s)
            except (StoreAway, SandboxAway, OperationalError, InterfaceError) as error:
                log.warning("job %d, %s: %s", job.id, job.subject, error)
                is_catalog = isinstance(error, OperationalError | InterfaceError)
                away = "the catalog did not answer" if is_catalog else str(error)
                delay = queue.try_later(self._engine, lease, job.id, away)
                if delay is not None:
                    self._later(delay)
            except NotYet as error:
                log.info("job %d, %s %s: later: %s", job.id, job.kind, job.subject, error)
                self._later(queue.put_back(self._engine, lease, job.id, str(error)))
            except Lost:
                raise
            except Exception as error:
                log.exception("job %d, %s", job.id, job.subject)
                reason = f"the service itself failed ({type(error).__name__}); its log says why"
                queue.fail(self._engine, lease, job.id, reason)
        except Lost as error:  # as whoever cancelled or took it wanted
            log.info("%s", error)
        except (OperationalError, InterfaceError) as error:  # its lease will end
            log.warning("job %d, %s: the catalog did not answer: %s", job.id, job.subject, error.orig)
        finally:
            del self._held[lease]

    def _renew(self) -> None:
        """Renew all leases; a job that is not held any more learns it when it next tells how far it is."""
        while not self._ended.wait(self._lease.duration.total_seconds() / RENEWALS):
            held = dict(self._held)
            if not held:
                continue
            try:
                mine = queue.renew(self._engine, {lease: one.done for lease, one in held.items()})
            except (OperationalError, InterfaceError) as error:
                log.warning("the leases could not be renewed: %s", error.orig)
                continue
            for lease in held.keys() - mine:
                held[lease].lost.set()


def _taken(places: threading.BoundedSemaphore, held: ExitStack) -> bool:
    """Take a place, if there is one, until what holds it is closed."""
    if not places.acquire(blocking=False):
        return False
    held.callback(places.release)
    return True

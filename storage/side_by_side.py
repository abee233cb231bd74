"""Several things done at once for one caller, and none of the callers waiting for another."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


HELPERS_NICENESS = 5


def yield_to_others() -> None:
    """Let the threads that answer go before this one, which works ahead or helps; Linux alone knows this of threads."""
    if sys.platform == "linux":
        # Counted from the first thread: others inherit from whoever began them, perhaps from one that is nice already.
        niceness = os.getpriority(os.PRIO_PROCESS, os.getpid()) + HELPERS_NICENESS
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(niceness, 19))


class SideBySide:
    """Threads that help whoever has several things to do.

    The caller's own thread works too: one thing costs no other thread, and a caller goes on when all helping
    threads are busy with the many things of others.

    Parameters
    ----------
    n_threads : int
        Of the whole process.
    per_call : int
        Things of one call that are under way at once, at the most.
    name : str
        Of the threads.
    begin : callable, optional
        What each thread does first.
    """

    def __init__(self, n_threads: int, *, per_call: int, name: str, begin: Callable[[], None] | None = None) -> None:
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix=name, initializer=begin)
        self._per_call = per_call

    def map(self, work: Callable[[In], Out], things: Sequence[In]) -> list[Out]:
        """Return what ``work`` makes of each thing, in order; what is not begun when one fails is left undone."""
        if len(things) == 1:
            return [work(things[0])]
        done: dict[int, Out] = {}
        todo = iter(range(len(things)))
        failures: list[BaseException] = []

        def take_turns() -> None:
            try:
                for number in todo:
                    if failures:
                        return
                    done[number] = work(things[number])
            except BaseException as error:
                failures.append(error)

        others = []
        with suppress(RuntimeError):  # the process is ending, and no thread begins anything any more
            for _ in range(min(len(things), self._per_call) - 1):
                others.append(self._threads.submit(take_turns))
        take_turns()
        for other in others:
            if not other.cancel():
                other.result()
        if failures:
            error = failures[0]
            failures.clear()  # its traceback holds this frame, which must not hold it
            try:
                raise error
            finally:
                del error
        return [done[number] for number in range(len(things))]


def ahead(
    threads: Executor, work: Callable[[In], Out], things: Iterable[In], *, n_ahead: int
) -> Iterator[tuple[In, Out]]:
    """Yield each thing with what ``work`` makes of it, working on the next while the caller uses one.

    The first is made by the caller's own thread before another is begun, so that it comes soon; so is any that no
    thread was free for.
    """
    todo = iter(things)
    begun: deque[tuple[In, Future[Out]]] = deque()

    def begin_more() -> None:
        while len(begun) < n_ahead:
            for thing in todo:
                begun.append((thing, _begun(threads, work, thing)))
                break
            else:
                return

    try:
        for first in todo:
            made = work(first)
            begin_more()
            yield first, made
            break
        while begun:
            thing, future = begun.popleft()
            made = work(thing) if future.cancel() else future.result()
            begin_more()
            yield thing, made
    finally:
        for _, future in begun:
            future.cancel()


def _begun(threads: Executor, work: Callable[[In], Out], thing: In) -> Future[Out]:
    """Begin something; where the process is ending and no thread begins anything any more, return it unbegun."""
    try:
        return threads.submit(work, thing)
    except RuntimeError:
        return Future()

"""Requests of one call side by side, without one call waiting for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

PER_CALL = 32
"""Requests of one call that are under way at once."""

PER_PROCESS = 128


class SideBySide:
    """Threads that help whoever has several things to do.

    The caller's own thread works too: one thing costs no other thread, and a caller goes on
    when all helping threads are busy with the many things of others.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(PER_PROCESS, thread_name_prefix="fetch")

    def map(self, work: Callable[[In], Out], things: Sequence[In]) -> list[Out]:
        """Return what ``work`` makes of each thing, in order; what is not begun when one fails is left undone."""
        if len(things) == 1:
            return [work(things[0])]
        done: dict[int, Out] = {}
        todo = iter(range(len(things)))
        failed = False

        def take_turns() -> None:
            nonlocal failed
            try:
                for number in todo:
                    if failed:
                        return
                    done[number] = work(things[number])
            except BaseException:
                failed = True
                raise

        others = [self._threads.submit(take_turns) for _ in range(min(len(things), PER_CALL) - 1)]
        try:
            take_turns()
        finally:
            begun = [other for other in others if not other.cancel()]
            for other in begun:
                other.exception()  # waits for it
        for other in begun:
            other.result()
        return [done[number] for number in range(len(things))]

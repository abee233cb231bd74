"""Callers are helped, and never wait for each other's work."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.side_by_side import HELPERS_NICENESS, SideBySide, ahead, yield_to_others

WAIT_S = 20


@pytest.fixture
def helpers():
    return SideBySide(4, per_call=3, name="helper")


def test_results_come_in_the_order_of_the_things(helpers):
    assert helpers.map(lambda number: number * number, range(100)) == [number * number for number in range(100)]
    assert helpers.map(str, []) == []


def test_things_are_done_side_by_side_up_to_a_limit(helpers):
    together, seen, lock = threading.Barrier(3), [0, 0], threading.Lock()

    def work(_):
        with lock:
            seen[0] += 1
            seen[1] = max(seen)
        together.wait(WAIT_S)  # fails unless three are under way at once
        with lock:
            seen[0] -= 1

    helpers.map(work, range(9))
    assert seen[1] == 3


def test_one_thing_is_done_by_the_callers_own_thread(helpers):
    assert helpers.map(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]


def test_a_caller_goes_on_when_all_helpers_are_busy():
    helpers, release = SideBySide(2, per_call=8, name="helper"), threading.Event()
    busy = threading.Semaphore(0)

    def hold(_):
        busy.release()
        release.wait(WAIT_S)

    with ThreadPoolExecutor(1) as other:
        holding = other.submit(helpers.map, hold, range(3))
        for _ in range(3):
            assert busy.acquire(timeout=WAIT_S)
        mine = threading.current_thread()
        assert helpers.map(lambda _: threading.current_thread(), range(5)) == [mine] * 5
        release.set()
        holding.result(WAIT_S)


def test_a_failure_is_raised_when_what_was_begun_has_ended_and_nothing_more_is_begun(helpers):
    begun, ended = [], []

    def work(number):
        begun.append(number)
        if number == 2:
            raise ValueError("two")
        ended.append(number)

    with pytest.raises(ValueError, match="two"):
        helpers.map(work, range(1000))
    assert len(begun) < 1000 and sorted(begun) == sorted([*ended, 2])


class TestAhead:
    @pytest.fixture
    def threads(self):
        with ThreadPoolExecutor(4) as threads:
            yield threads

    def test_things_come_in_order_with_what_is_made_of_them(self, threads):
        assert list(ahead(threads, str, range(50), n_ahead=3)) == [(number, str(number)) for number in range(50)]
        assert list(ahead(threads, str, [], n_ahead=3)) == []

    def test_the_first_is_made_before_any_other_is_begun(self, threads):
        begun = []
        things = ahead(threads, begun.append, range(10), n_ahead=3)
        assert begun == []
        next(things)
        assert begun[0] == 0

    def test_no_more_are_begun_than_were_asked_for_ahead(self, threads):
        begun = []
        things = ahead(threads, begun.append, range(100), n_ahead=3)
        for n_used in range(1, 20):
            next(things)
            assert n_used <= len(begun) <= n_used + 3

    def test_the_next_are_made_while_one_is_used(self, threads):
        made = threading.Semaphore(0)

        def work(number):
            made.release()
            return number

        things = ahead(threads, work, range(10), n_ahead=3)
        next(things)
        for _ in range(4):
            assert made.acquire(timeout=WAIT_S)

    def test_without_a_free_thread_the_caller_makes_them(self):
        release = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            threads.submit(release.wait, WAIT_S)
            made_by = [by for _, by in ahead(threads, lambda _: threading.current_thread(), range(5), n_ahead=2)]
            assert made_by == [threading.current_thread()] * 5
            release.set()

    def test_a_failure_comes_in_its_place(self, threads):
        def work(number):
            if number == 5:
                raise ValueError("five")
            return number

        got = []
        with pytest.raises(ValueError, match="five"):
            for number, _ in ahead(threads, work, range(10), n_ahead=3):
                got.append(number)
        assert got == [0, 1, 2, 3, 4]

    def test_who_leaves_early_leaves_nothing_to_do(self):
        release, begun = threading.Event(), []

        def work(number):
            begun.append(number)
            if number:
                release.wait(WAIT_S)

        with ThreadPoolExecutor(1) as threads:
            things = ahead(threads, work, range(10), n_ahead=5)
            next(things)
            things.close()
            release.set()
        assert len(begun) <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_helpers_let_others_go_first():
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=yield_to_others) as threads:
        theirs = threads.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result(WAIT_S)
    assert theirs == min(19, mine + HELPERS_NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, 0) == mine

"""The cache keeps what was used last, never more bytes than allowed, and fetches a thing once."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.cache import Cache


class Fetches:
    """A source that remembers what it was asked for; gives bytes as long as the key says."""

    def __init__(self):
        self.calls = []

    def __call__(self, keys):
        self.calls.append(list(keys))
        return {key: bytes(key[1]) for key in keys}


def key(name, nbytes=10):
    return (name, nbytes)


@pytest.fixture
def fetches():
    return Fetches()


def test_only_missing_keys_are_fetched_and_together(fetches):
    cache = Cache(100, len)
    cache.get_many([key("a")], fetches)
    found = cache.get_many([key("a"), key("b"), key("c"), key("b")], fetches)
    assert fetches.calls == [[key("a")], [key("b"), key("c")]]
    assert found == {key("a"): bytes(10), key("b"): bytes(10), key("c"): bytes(10)}


def test_nothing_asked_is_nothing_fetched(fetches):
    assert Cache(100, len).get_many([], fetches) == {}
    assert fetches.calls == []


def test_the_least_recently_used_goes_first(fetches):
    cache = Cache(30, len)
    for name in "abc":
        cache.get_many([key(name)], fetches)
    cache.get_many([key("a")], fetches)
    cache.get_many([key("d")], fetches)  # in place of b, the oldest now
    fetches.calls.clear()
    cache.get_many([key("a"), key("c"), key("d")], fetches)
    assert fetches.calls == []
    cache.get_many([key("b")], fetches)
    assert fetches.calls == [[key("b")]]


def test_a_value_larger_than_the_cache_is_handed_out_and_pushes_nothing_out(fetches):
    cache = Cache(30, len)
    cache.get_many([key("small")], fetches)
    assert cache.get_many([key("large", 31)], fetches) == {key("large", 31): bytes(31)}
    assert cache.nbytes == 10


def test_a_cache_of_no_bytes_keeps_nothing(fetches):
    cache = Cache(0, len)
    cache.get_many([key("a")], fetches)
    cache.get_many([key("a")], fetches)
    assert len(fetches.calls) == 2
    assert cache.nbytes == 0


def test_what_is_not_to_be_kept_is_not(fetches):
    cache = Cache(100, len)
    cache.get_many([key("a")], fetches, keep=False)
    assert cache.nbytes == 0
    cache.get_many([key("a")], fetches)
    cache.get_many([key("a")], fetches, keep=False)
    assert len(fetches.calls) == 2
    assert cache.nbytes == 10


@given(st.lists(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 40)), max_size=5), max_size=20))
def test_never_more_bytes_than_allowed_and_always_the_right_value(asked):
    cache = Cache(60, len)
    for keys in asked:
        assert cache.get_many(keys, Fetches()) == {one: bytes(one[1]) for one in keys}
        assert 0 <= cache.nbytes <= 60
    everything = {one for keys in asked for one in keys}
    fetches = Fetches()
    cache.get_many(everything, fetches, keep=False)
    kept = everything - {one for call in fetches.calls for one in call}
    assert cache.nbytes == sum(nbytes for _, nbytes in kept)


def test_what_a_failed_fetch_held_is_free_at_once():
    class Fetched:
        pass

    gone = []

    def fetch(_):
        fetched = Fetched()
        gone.append(weakref.ref(fetched))
        raise ValueError("damaged")

    cache = Cache(100, len)
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(ValueError, match="damaged"):
                cache.get_many(["a", "b"], fetch)
        assert [ref() for ref in gone] == [None] * 3
    finally:
        gc.enable()


def test_sixteen_threads_that_ask_for_one_thing_share_one_fetch():
    cache, calls = Cache(100, len), []
    all_ask, answered = threading.Barrier(16), threading.Event()

    def slow():
        calls.append(threading.get_ident())
        answered.wait(5)
        return b"value"

    def ask():
        all_ask.wait(5)
        return cache.get("one", slow)

    with ThreadPoolExecutor(16) as threads:
        asking = [threads.submit(ask) for _ in range(16)]
        threading.Timer(0.2, answered.set).start()
        assert [future.result(10) for future in asking] == [b"value"] * 16
    assert len(calls) == 1


def test_a_thread_fetches_what_it_alone_wants_and_waits_for_the_rest():
    cache = Cache(100, len)
    began, go_on = threading.Event(), threading.Event()
    asked = []

    def first(keys):
        began.set()
        go_on.wait(5)
        return dict.fromkeys(keys, b"first")

    def second(keys):
        asked.extend(keys)
        go_on.set()
        return dict.fromkeys(keys, b"second")

    with ThreadPoolExecutor(2) as threads:
        early = threads.submit(cache.get_many, ["a", "b"], first)
        began.wait(5)
        late = threads.submit(cache.get_many, ["b", "c"], second)
        assert late.result(10) == {"b": b"first", "c": b"second"}
        assert early.result(10) == {"a": b"first", "b": b"first"}
    assert asked == ["c"]


def test_all_who_wait_are_told_of_a_failure_and_the_next_tries_again():
    cache = Cache(100, len)
    all_ask, fails = threading.Barrier(8), threading.Event()
    calls = []

    def failing():
        calls.append(1)
        fails.wait(5)
        raise OSError("the store is away")

    def ask():
        all_ask.wait(5)
        return cache.get("one", failing)

    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(ask) for _ in range(8)]
        threading.Timer(0.2, fails.set).start()
        told = [str(future.exception(10)) for future in asking]
    assert told == ["the store is away"] * 8
    assert len(calls) == 1
    assert cache.get("one", lambda: b"there again") == b"there again"
    assert cache.get("one", failing) == b"there again"


def test_a_fetch_that_forgets_a_key_is_a_failure_and_leaves_nobody_waiting():
    cache = Cache(100, len)
    with pytest.raises(KeyError):
        cache.get_many(["a", "b"], lambda _: {"a": b"1"})
    assert cache.get_many(["a", "b"], lambda keys: dict.fromkeys(keys, b"2"))["b"] == b"2"
    assert cache.nbytes == 2

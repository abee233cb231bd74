"""A process that lies, dies, hangs or floods gives a refused file with a reason; nothing else notices."""

from __future__ import annotations

import logging
import time

import pytest

from storage.errors import Refused
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from storage.objectstore import ObjectStore
from tests.storage.ingest.sandbox.hostile import LIES, PROGRAM

LIMITS = Limits(cpu_s=60, wall_s=2, output_nbytes=4 << 20, more_fetched_nbytes=1 << 20)

REASONS = {
    "flood": "said more than is allowed",
    "flood_with_bytes": "does not hold together",
    "hang": "takes longer than 2 s",
    "go_silent": "went silent",
    "exit": "ended with 7 before it was done",
    "exit_as_if_all_was_said": "ended with 0 before it was done",
    "crash": "by SIGSEGV",
    "noise": "sent a message of",
    "zeros": "no JSON",
    "no_json": "no JSON",
    "a_list": "a message that is none",
    "deep": "no JSON",
    "many_parts": "a message that is none",
    "negative_parts": "not as long as it says",
    "endless": "said more than is allowed",
    "long_json": "sent a message of 2147483648 bytes",
    "pickle": "sent a message of",
    "nothing": "no finding",
    "two_things": "several things as one",
    "ask_beyond_the_end": "bytes that are not in its file",
    "ask_before_the_start": "bytes that are not in its file",
    "ask_for_nothing": "bytes that are not in its file",
    "ask_for_no_numbers": "bytes that are not in its file",
    "ask_for_another_file": "bytes that are not in its file",
    "ask_too_often": "more bytes than",
    "ask_for_too_much_at_once": "too many",
    "tell_of_odd_progress": "progress that is none",
    "refuse_with_a_page": "cannot be shown",
    "refuse_with_an_escape": "cannot be shown",
    "refuse_with_no_text": "cannot be shown",
    "importable_as_nothing": "a format that is none",
    "importable_in_one_word": "a format that is none",
    "importable_with_an_escape": "cannot be shown",
    "tell_of_parents_that_are_not_there": "object that does not hold together",
    "tell_of_endless_parents": "object that does not hold together",
    "note_arrays_that_are_not_there": "object that does not hold together",
}


@pytest.fixture(scope="module")
def sandbox():
    found = Sandbox(LIMITS, program=PROGRAM)
    found.start()
    yield found
    found.close()


@pytest.fixture
def parse(sandbox, tmp_path):
    def parse(name):
        (tmp_path / name).write_bytes(b"abc")
        store = ObjectStore(f"file://{tmp_path}")
        return sandbox.inspect(store, name, store.stat(name), progress=lambda *_: None)

    return parse


@pytest.mark.parametrize("name", REASONS)
def test_it_is_refused_with_a_reason_and_the_next_file_is_not(parse, name, caplog):
    caplog.set_level(logging.INFO)
    started = time.monotonic()
    with pytest.raises(Refused, match=REASONS[name]) as told:
        parse(name)
    assert time.monotonic() - started < 8
    assert str(told.value).isprintable() and len(str(told.value)) < 1000
    assert "\x1b" not in caplog.text and len(caplog.text) < 3000
    assert parse("end_at_once").objects == []


def test_all_of_them_were_tried():
    assert set(REASONS) | {"end_at_once"} == set(LIES)

"""The SHA-256 of stored files, beside hashlib's own of the same bytes."""

from __future__ import annotations

import hashlib

import pytest

from storage.errors import FileChanged
from storage.jobs.hashing import sha256_of
from storage.objectstore import ObjectStore

CONTENT = bytes(range(256)) * 80_000


@pytest.fixture
def store(tmp_path):
    return ObjectStore(f"file://{tmp_path}")


@pytest.mark.parametrize("nbytes", [0, 1, 4 << 20, (16 << 20) + 1, len(CONTENT)])
def test_it_is_that_of_the_bytes(store, nbytes):
    store.put("a.h5", CONTENT[:nbytes])
    told = []
    found = sha256_of(store, "a.h5", store.stat("a.h5"), told.append)
    assert found == hashlib.sha256(CONTENT[:nbytes]).hexdigest()
    assert told == sorted(told) and told[-1:] == ([1.0] if nbytes else [])


def test_a_file_that_changes_has_none(store):
    store.put("a.h5", CONTENT)
    stat = store.stat("a.h5")

    def change(_share):
        store.put("a.h5", CONTENT[::-1])

    with pytest.raises(FileChanged):
        sha256_of(store, "a.h5", stat, change)

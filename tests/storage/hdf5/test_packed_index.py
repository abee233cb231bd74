"""A short index comes back from the catalog as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from storage.errors import FileDamaged
from storage.hdf5.chunk_index import MISSING
from storage.hdf5.packed_index import MAX_NBYTES, ROW, WHOLE_ROWS, pack, unpack


@given(npst.arrays(ROW, st.integers(0, 60)))
def test_any_rows_come_back(rows):
    packed = pack(rows)
    np.testing.assert_array_equal(unpack(packed, len(rows)), rows)
    for other in (len(rows) - 1, len(rows) + 1):
        if other >= 0:
            with pytest.raises(FileDamaged):
                unpack(packed, other)


def appended(n_rows):
    """Rows as a writer leaves them who appends chunks of nearly one length, some never written."""
    rows = np.zeros(n_rows, ROW)
    rows["nbytes"] = np.random.default_rng(1).normal(158_000, 300, n_rows)
    rows["byte_offset"] = 4096 + np.cumsum(rows["nbytes"], dtype=np.uint64) - rows["nbytes"]
    rows[5:9] = (MISSING, 0, 0)
    return rows


def test_an_hour_takes_a_few_kilobytes():
    rows = appended(1648)
    packed = pack(rows)
    assert len(packed) < 3 * len(rows) < rows.nbytes / 5
    np.testing.assert_array_equal(unpack(packed, len(rows)), rows)


def test_what_is_long_is_not_kept():
    assert pack(appended(WHOLE_ROWS)) is not None
    assert pack(appended(WHOLE_ROWS + 1)) is None
    odd = np.frombuffer(np.random.default_rng(2).bytes(WHOLE_ROWS * ROW.itemsize), ROW)
    assert odd.nbytes > MAX_NBYTES and pack(odd) is None

"""Names that senders give."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.uploads.file_names import MAX_NBYTES, UNNAMED, clean_name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rat 1.h5", "rat 1.h5"),
        ("Größe µV ☃.h5", "Größe µV ☃.h5"),
        ("👩‍🔬.h5", "👩‍🔬.h5"),
        ("C:\\data\\rat.h5", "rat.h5"),
        ("/etc/passwd", "passwd"),
        ("../..", UNNAMED),
        ("a\0b\r\nc\u2028.h5", "abc.h5"),
        ("", UNNAMED),
        (" ", UNNAMED),
        (".hidden", ".hidden"),
        ("x" * 300, "x" * 255),
        ("x" * 300 + "." + "y" * 300, "x" * 255),
    ],
)
def test_what_becomes_of_a_name(name, told):
    assert clean_name(name) == told


@given(st.text(st.characters(), max_size=400))
def test_any_name_becomes_one_that_files_can_have(name):
    told = clean_name(name)
    assert 0 < len(told.encode()) <= MAX_NBYTES
    assert not set(told) & set("/\\\0\r\n") and told.strip(".")
    assert all(unicodedata.category(one) != "Cc" for one in told)
    assert clean_name(told) == told or told != told.strip()

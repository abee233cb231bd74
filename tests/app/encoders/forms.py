"""Answers of every form, and what the encoder of every format must do with them."""

from __future__ import annotations

import tracemalloc
from math import prod

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from app.encoders import ENCODERS, MEDIA_TYPES
from app.encoders.form import Form

GUID = "00ec575f2f20eae37907d1927afaabe09bab2b39"
NUMBERS = ["?", *(f"<{kind}{width}" for kind in "iu" for width in (1, 2, 4, 8)), "<f2", "<f4", "<f8"]
SHAPES = st.integers(1, 3).flatmap(lambda n_axes: st.tuples(*[st.integers(0, 5)] * n_axes))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["units", "t_start", "start_index", "method", "channels", "channel_names", "gain", "µ"]),
    st.one_of(
        NAMES,
        INT64,
        FLOATS,
        *(
            st.lists(kind, min_size=1, max_size=5)
            for kind in (NAMES, INT64, FLOATS, st.tuples(FLOATS, FLOATS).map(list))
        ),
    ),
)


def form_of(array, **attributes):
    return Form(GUID, array.shape, array.dtype, attributes)


@st.composite
def arrays(draw):
    """An array of any dtype that is served; strings are UTF-8 of one width."""
    shape = draw(SHAPES)
    if draw(st.integers(0, 3)):
        return draw(npst.arrays(np.dtype(draw(st.sampled_from(NUMBERS))), shape))
    width = draw(st.integers(1, 20))
    texts = draw(st.lists(st.text(max_size=20), min_size=prod(shape), max_size=prod(shape)))
    # A character that would be cut in two is left out.
    cut = [text.encode()[:width].decode(errors="ignore").encode() for text in texts]
    return np.array(cut, f"S{width}").reshape(shape)


@st.composite
def cut(draw, array):
    """The windows of an array: cut anywhere, empty ones too, and not all of them contiguous."""
    edges = sorted(draw(st.lists(st.integers(0, len(array)), max_size=4)))
    windows = [array[start:stop] for start, stop in zip([0, *edges], [*edges, len(array)], strict=True)]
    return [np.asfortranarray(window) for window in windows] if draw(st.booleans()) else windows


@st.composite
def answers(draw):
    """An array, its form and its windows."""
    array = draw(arrays())
    return array, form_of(array, **draw(ATTRIBUTES)), draw(cut(array))


def encoded(format, form, windows):
    """The whole body, which is as long as it says."""
    body = ENCODERS[format](form, iter(windows))
    parts = list(body.content)
    assert all(type(part) is bytes for part in parts)
    whole = b"".join(parts)
    assert body.nbytes in (None, len(whole))
    return whole


def consumed(format, form, windows):
    """The highest number of bytes in memory while a body is made and thrown away, and the body's length."""
    tracemalloc.start()
    try:
        body = ENCODERS[format](form, windows)
        nbytes = sum(len(part) for part in body.content)
        assert body.nbytes in (None, nbytes)
        return tracemalloc.get_traced_memory()[1], nbytes
    finally:
        tracemalloc.stop()


class EncoderContract:
    """What holds for every format."""

    format: str
    media_type: str
    length_is_known: bool
    n_windows: int
    """Windows of 8 MB in the test of memory: enough to show, and as few as the format's speed asks."""

    rows = np.arange(12, dtype="<f4").reshape(6, 2)

    def test_the_media_type_names_the_format(self):
        body = ENCODERS[self.format](form_of(self.rows), iter([self.rows]))
        assert body.media_type == self.media_type
        assert MEDIA_TYPES[self.media_type.partition(";")[0]] == self.format

    def test_a_body_reads_no_window_before_it_is_iterated(self):
        def unread():
            pytest.fail("a window was read")
            yield

        body = ENCODERS[self.format](form_of(self.rows), unread())
        assert (body.nbytes is not None) == self.length_is_known

    def test_a_window_is_sent_before_the_next_is_read(self):
        sent = []

        def windows():
            yield self.rows[:3]
            sent.append(len(whole))
            yield self.rows[3:]

        whole = b""
        for part in ENCODERS[self.format](form_of(self.rows), windows()).content:
            whole += part
        first = encoded(self.format, form_of(self.rows[:3]), [self.rows[:3]])
        assert sent[0] > len(first) - len(encoded(self.format, form_of(self.rows[:0]), []))
        assert sent[0] < len(whole)

    @pytest.mark.parametrize(
        "windows",
        [
            [],
            [rows[:5]],
            [rows, rows[:1]],
            [rows[:4], rows[:4]],
            [rows.astype("<f8")],
            [rows.view("<i4")],
            [rows.astype(">f4")],
            [rows[:, :1]],
            [rows[:, 0]],
            [rows[:3], rows[3:, :, None]],
        ],
        ids=lambda windows: " ".join(f"{window.dtype.str}{window.shape}" for window in windows) or "none",
    )
    def test_other_values_than_the_form_says_break_the_body(self, windows):
        sent = b""
        with pytest.raises(RuntimeError):
            for part in ENCODERS[self.format](form_of(self.rows), iter(windows)).content:
                sent += part
        assert len(sent) < len(encoded(self.format, form_of(self.rows), [self.rows]))

    def test_memory_is_bounded_by_a_window(self):
        window = np.random.default_rng(1).normal(size=(2**16, 32)).astype("<f4")
        form = Form(GUID, (self.n_windows * len(window), 32), window.dtype)
        peak_nbytes, nbytes = consumed(self.format, form, (window for _ in range(self.n_windows)))
        assert nbytes > form.nbytes
        assert peak_nbytes < 32e6

"""Slice queries mean the samples that the tables of the contract say, and no others."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from storage.errors import SelectionError
from storage.selection import RegularAxis, Selection, SliceQuery, resolve

# 20 samples at 10, 10.5, 11 … 19.5 ms.
SHORT = RegularAxis(Fraction(10), Fraction(2), 20, "ms")
EMPTY = replace(SHORT, n_samples=0)
TIMES = ("start_time", "end_time", "duration")


@dataclass(frozen=True)
class ListedTimes:
    """The axis of a few sorted times in memory."""

    times: tuple[int, ...]
    may_be_silent = True

    @property
    def n_samples(self):
        return len(self.times)

    def at_or_after(self, time):
        return bisect_left(self.times, time)

    def at_or_before(self, time):
        return bisect_right(self.times, time) - 1

    def time_of(self, index):
        return Fraction(self.times[index])

    def describe(self):
        return f"the array holds {self.n_samples} times"


SPIKES = ListedTimes((10, 20, 20, 20, 30, 50))


def asked(text):
    """The query that a URL would carry, for numbers that need no schema."""
    pairs = (part.split("=") for part in text.split("&") if part)
    return SliceQuery(**{name: Fraction(value) if name in TIMES else int(value) for name, value in pairs})


def selected(text, axis):
    selection = resolve(asked(text), axis)
    return selection.start, selection.stop


def test_the_worked_example_of_the_specification():
    axis = RegularAxis(Fraction(0), Fraction(20), 10_000, "ms")
    assert selected("start_time=50&duration=100", axis) == (1000, 3001)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 20)),
        # Times: both ends included.
        ("start_time=11&end_time=12", (2, 5)),
        ("start_time=11.1&end_time=12.4", (3, 5)),
        ("start_time=11&duration=1", (2, 5)),
        ("duration=1&end_time=12", (2, 5)),
        ("start_time=11&duration=0", (2, 3)),
        ("end_time=11&duration=0", (2, 3)),
        ("start_time=11&end_time=11", (2, 3)),
        # Indices: the end excluded.
        ("start_index=3&end_index=7", (3, 7)),
        ("start_index=3&samples_count=4", (3, 7)),
        ("samples_count=4&end_index=7", (3, 7)),
        ("start_index=0&samples_count=1", (0, 1)),
        # Mixed: each end by its own rule.
        ("start_index=2&end_time=12", (2, 5)),
        ("start_time=11&end_index=5", (2, 5)),
        ("start_time=11&samples_count=3", (2, 5)),
        ("samples_count=3&end_time=12", (2, 5)),
        ("start_index=2&duration=1", (2, 5)),
        ("duration=1&end_index=5", (2, 5)),
        ("start_index=2&duration=0", (2, 3)),
        ("duration=0&end_index=5", (4, 5)),
        # One end or only a length: the other end is the array's own.
        ("start_time=18.6", (18, 20)),
        ("end_time=11.4", (0, 3)),
        ("start_index=18", (18, 20)),
        ("end_index=3", (0, 3)),
        ("samples_count=3", (0, 3)),
        ("duration=1", (0, 3)),
        ("duration=1.4", (0, 3)),
        ("duration=0", (0, 1)),
        # The redundant one is disregarded.
        ("start_time=11&end_time=12&duration=7", (2, 5)),
        ("start_index=2&end_index=5&samples_count=9", (2, 5)),
        ("start_index=2&end_index=5&duration=9", (2, 5)),
        ("start_time=11&end_time=12&samples_count=9", (2, 5)),
        ("start_index=2&start_time=15&end_index=5", (2, 5)),
        ("start_index=2&end_index=5&end_time=18", (2, 5)),
        ("start_index=2&start_time=19&end_index=5&end_time=10", (2, 5)),
        ("start_index=2&samples_count=3&duration=9", (2, 5)),
        ("samples_count=3&duration=9", (0, 3)),
        ("end_index=5&samples_count=3&duration=9", (2, 5)),
        # Past the array: resolved on the endless axis first, then cut.
        ("start_time=8&duration=3", (0, 3)),
        ("start_time=9.5&samples_count=3", (0, 2)),
        ("start_index=18&samples_count=100", (18, 20)),
        ("start_index=18&end_index=1000000000000", (18, 20)),
        ("start_index=0&end_time=1000000000000", (0, 20)),
        ("start_time=-1000000000000", (0, 20)),
        ("end_time=20.5&duration=1.5", (18, 20)),
        ("end_index=22&samples_count=4", (18, 20)),
        ("end_index=22&duration=1.5", (18, 20)),
        ("samples_count=30", (0, 20)),
        ("duration=300", (0, 20)),
    ],
)
def test_every_row_of_the_table(text, expected):
    assert selected(text, SHORT) == expected


@pytest.mark.parametrize(
    "text",
    [
        "start_index=20",
        "start_index=20&samples_count=5",
        "start_index=5&end_index=5",
        "start_index=5&samples_count=0",
        "samples_count=0",
        "end_index=0",
        "end_index=0&duration=4",
        "start_time=20",
        "start_time=19.6",
        "end_time=9.9",
        "start_time=0&duration=9",
        "start_time=11.1&end_time=11.4",
        "start_time=11.1&duration=0",
        "end_time=11.1&duration=0",
        "end_time=30&duration=1",
        "end_index=40&samples_count=5",
    ],
)
def test_nothing_left_on_a_regular_axis_is_an_error(text):
    with pytest.raises(SelectionError, match=r"no sample lies there; the array holds samples 0 to 19, at 10"):
        resolve(asked(text), SHORT)


@pytest.mark.parametrize("axis", [SHORT, EMPTY, SPIKES], ids=["regular", "empty", "irregular"])
@pytest.mark.parametrize(
    "text", ["start_index=7&end_index=3", "start_time=12&end_time=11", "start_time=11.1&end_time=11.05"]
)
def test_a_start_after_the_end_is_an_error(text, axis):
    with pytest.raises(SelectionError, match="the start lies after the end"):
        resolve(asked(text), axis)


@pytest.mark.parametrize("text", ["start_index=7&end_time=12", "start_time=15&end_index=3"])
def test_a_start_after_the_end_is_an_error_also_where_one_is_a_time(text):
    with pytest.raises(SelectionError, match="the start lies after the end"):
        resolve(asked(text), SHORT)


def test_an_error_names_the_parameters_that_it_is_about():
    with pytest.raises(SelectionError) as caught:
        resolve(asked("start_time=30&samples_count=4"), SHORT)
    assert caught.value.parameters == ("start_time", "samples_count")
    assert str(caught.value).startswith("start_time=30&samples_count=4: ")


@pytest.mark.parametrize(
    "text",
    ["", "start_time=11&end_time=12", "start_index=0", "samples_count=5", "duration=3", "end_index=9", "end_time=1"],
)
@pytest.mark.parametrize("axis", [EMPTY, ListedTimes(())], ids=["regular", "irregular"])
def test_an_empty_array_answers_nothing_without_an_error(text, axis):
    assert selected(text, axis) == (0, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 6)),
        ("start_time=20&end_time=30", (1, 5)),
        ("start_time=20&duration=0", (1, 4)),
        ("end_time=20&duration=0", (1, 4)),
        ("start_time=11&duration=9", (1, 4)),
        ("duration=10&end_time=30", (1, 5)),
        ("start_index=1&duration=10", (1, 5)),
        ("duration=10&end_index=5", (1, 5)),
        ("duration=0&end_index=3", (1, 3)),
        ("duration=10", (0, 4)),
        ("start_index=2&end_time=30", (2, 5)),
        ("start_time=20&samples_count=2", (1, 3)),
        ("samples_count=2&end_time=30", (3, 5)),
        ("start_time=25", (4, 6)),
        ("end_time=25", (0, 4)),
        ("start_index=4&samples_count=9", (4, 6)),
        ("end_index=9&samples_count=5", (4, 6)),
        ("start_index=4&duration=1000", (4, 6)),
        ("end_index=9&duration=1000", (0, 6)),
    ],
)
def test_every_row_of_the_table_on_an_irregular_axis(text, expected):
    assert selected(text, SPIKES) == expected


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("start_time=31&end_time=49", 5),
        ("start_time=51", 6),
        ("end_time=9", 0),
        ("start_time=60&duration=5", 6),
        ("end_time=9&duration=5", 0),
        ("start_time=21&duration=0", 4),
        ("start_index=3&end_index=3", 3),
        ("start_index=6", 6),
        ("start_index=700", 6),
        ("start_index=700&duration=5", 6),
        ("start_index=700&samples_count=5", 6),
        ("end_index=0", 0),
        ("end_index=0&duration=5", 0),
        ("samples_count=0", 0),
        ("start_time=60&samples_count=5", 6),
        ("end_time=9&samples_count=5", 0),
    ],
)
def test_a_silent_window_of_an_irregular_axis_is_an_empty_answer(text, at):
    assert selected(text, SPIKES) == (at, at)


def test_a_time_within_a_millionth_of_an_interval_is_that_samples():
    near, far = Fraction(1, 2_000_000), Fraction(1, 2_000_000) + Fraction(1, 10**12)
    for time, first, last in [
        (11 - near, 2, 2),
        (11 + near, 2, 2),
        (11 - far, 2, 1),
        (11 + far, 3, 2),
    ]:
        assert (SHORT.at_or_after(time), SHORT.at_or_before(time)) == (first, last)


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_that_is_not_positive_is_refused(rate):
    with pytest.raises(ValueError, match="positive"):
        RegularAxis(Fraction(0), Fraction(rate), 5, "s")


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3)])
def test_a_selection_that_cannot_be_is_refused(start, stop):
    with pytest.raises(SelectionError):
        Selection(start, stop)


def enumerated(query, axis):
    """What a query selects, by going through all samples near the array one by one; None where it is an error."""
    near = Fraction(1, 10**6) / axis.sampling_rate
    grid = [(k, axis.t_start + k / axis.sampling_rate) for k in range(-130, 160)]

    def from_time(time):
        return min(k for k, at in grid if at >= time - near)

    def to_time(time):
        return max(k for k, at in grid if at <= time + near) + 1

    def at(index):
        return dict(grid)[index]

    start = stop = None
    if query.start_index is not None:
        start = query.start_index
    elif query.start_time is not None:
        start = from_time(query.start_time)
    if query.end_index is not None:
        stop = query.end_index
    elif query.end_time is not None:
        stop = to_time(query.end_time)
    if start is None and stop is None:
        start = 0
    if stop is None:
        if query.samples_count is not None:
            stop = start + query.samples_count
        elif query.duration is not None:
            timed = query.start_index is None and query.start_time is not None
            stop = to_time((query.start_time if timed else at(start)) + query.duration)
        else:
            stop = axis.n_samples
            start = min(start, stop)
    elif start is None:
        if query.samples_count is not None:
            start = stop - query.samples_count
        elif query.duration is not None:
            timed = query.end_index is None
            start = from_time((query.end_time if timed else at(stop - 1)) - query.duration)
        else:
            start = min(0, stop)
    by_time = query.start_index is None and query.end_index is None
    if by_time and None not in (query.start_time, query.end_time) and query.start_time > query.end_time:
        return None
    inside = [k for k in range(axis.n_samples) if start <= k < stop]
    if start > stop or (axis.n_samples and not inside):
        return None
    return Selection(inside[0], inside[-1] + 1) if inside else Selection(0, 0)


axes = st.builds(
    RegularAxis,
    st.fractions(-5, 5, max_denominator=40),
    st.sampled_from([Fraction(1), Fraction(1, 3), Fraction(7, 2), Fraction("0.7"), Fraction(4)]),
    st.integers(0, 25),
    st.just("ms"),
)
indices = st.none() | st.integers(0, 30)


@st.composite
def axes_and_queries(draw):
    axis = draw(axes)
    on_grid = st.integers(-10, 35).map(lambda k: axis.t_start + k / axis.sampling_rate)
    shifted = st.tuples(on_grid, st.sampled_from([0, 0, 1, -1])).map(lambda x: x[0] + x[1] * Fraction(1, 10**8))
    between = st.tuples(on_grid, st.sampled_from([1, 5, 9])).map(lambda x: x[0] + x[1] / (10 * axis.sampling_rate))
    times = st.none() | on_grid | shifted | between
    lengths = st.none() | st.integers(0, 40).map(lambda k: Fraction(k, 2) / axis.sampling_rate)
    return axis, SliceQuery(draw(times), draw(times), draw(lengths), draw(indices), draw(indices), draw(indices))


@given(axes_and_queries())
@settings(max_examples=1500, deadline=None)
@example((SHORT, asked("start_time=11&duration=1")))
def test_resolving_is_enumerating_all_samples(case):
    axis, query = case
    assume(query.range_parameters)
    expected = enumerated(query, axis)
    if expected is None:
        with pytest.raises(SelectionError):
            resolve(query, axis)
    else:
        assert resolve(query, axis) == expected

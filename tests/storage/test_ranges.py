"""Plans of what to fetch together: every wanted byte once, no more than the allowed gaps beside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.ranges import MAX_GAP_NBYTES, MAX_RANGE_NBYTES, ByteRange, coalesce, split

byte_ranges = st.builds(ByteRange, st.integers(0, 400), st.integers(1, 60))


def bytes_of(part):
    return set(range(part.byte_offset, part.byte_offset + part.nbytes))


@pytest.mark.parametrize(("byte_offset", "nbytes"), [(-1, 4), (0, 0), (3, -2)])
def test_a_range_that_holds_nothing_is_refused(byte_offset, nbytes):
    with pytest.raises(ValueError, match="not a byte range"):
        ByteRange(byte_offset, nbytes)


def test_a_gap_of_64_kb_is_read_over_and_one_byte_more_is_not():
    first = ByteRange(0, 100)
    near, far = ByteRange(100 + 65536, 10), ByteRange(100 + 65537, 10)
    assert coalesce([first, near]) == [(ByteRange(0, 65646), [first, near])]
    assert coalesce([first, far]) == [(first, [first]), (far, [far])]
    assert MAX_GAP_NBYTES == 65536


def test_ranges_are_asked_for_in_file_order_and_once():
    parts = [ByteRange(500, 5), ByteRange(0, 5), ByteRange(500, 5)]
    assert coalesce(parts, max_gap_nbytes=10) == [
        (ByteRange(0, 5), [ByteRange(0, 5)]),
        (ByteRange(500, 5), [ByteRange(500, 5)]),
    ]


def test_a_gap_counts_from_the_end_of_all_before_it():
    parts = [ByteRange(0, 100), ByteRange(10, 5), ByteRange(120, 10)]
    assert coalesce(parts, max_gap_nbytes=20) == [(ByteRange(0, 130), parts)]


def test_nothing_wanted_is_nothing_asked():
    assert coalesce([]) == []


@given(st.lists(byte_ranges, max_size=12), st.integers(0, 50), st.integers(1, 200))
def test_every_wanted_range_lies_whole_in_the_range_it_is_fetched_with(wanted, gap, longest):
    plan = coalesce(wanted, max_gap_nbytes=gap, max_nbytes=longest)
    listed = [part for _, parts in plan for part in parts]
    assert sorted(listed) == sorted(set(wanted))
    for span, parts in plan:
        assert all(bytes_of(part) <= bytes_of(span) for part in parts)


@given(st.lists(byte_ranges, max_size=12), st.integers(0, 50), st.integers(1, 200))
def test_unwanted_bytes_lie_in_gaps_no_longer_than_allowed(wanted, gap, longest):
    for span, parts in coalesce(wanted, max_gap_nbytes=gap, max_nbytes=longest):
        unwanted = sorted(bytes_of(span) - set().union(*(bytes_of(part) for part in parts)))
        runs = "".join("-" if place in unwanted else " " for place in range(span.end)).split()
        assert all(len(run) <= gap for run in runs)
        assert min(bytes_of(span)) not in unwanted
        assert max(bytes_of(span)) not in unwanted


@given(st.lists(byte_ranges, max_size=12), st.integers(0, 50), st.integers(1, 200))
def test_only_a_single_long_wanted_range_makes_a_long_request(wanted, gap, longest):
    for span, parts in coalesce(wanted, max_gap_nbytes=gap, max_nbytes=longest):
        assert span.nbytes <= longest or parts == [span]


@given(byte_ranges, st.integers(1, 30))
def test_a_split_run_is_the_same_bytes_in_pieces_of_bounded_length(whole, longest):
    pieces = split(whole, max_nbytes=longest)
    assert [byte for piece in pieces for byte in sorted(bytes_of(piece))] == sorted(bytes_of(whole))
    assert all(piece.nbytes <= longest for piece in pieces)


def test_requests_are_at_most_4_mib():
    assert [piece.nbytes for piece in split(ByteRange(7, MAX_RANGE_NBYTES + 1))] == [4 * 2**20, 1]

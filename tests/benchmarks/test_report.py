"""A report says what was found and whether it is enough."""

import pytest

from benchmarks.calls import late
from benchmarks.report import Report, shown


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.25, "0.25"),
        (27.04, "27"),
        (1.3456, "1.35"),
        (775.4, "775"),
        (12004.0, "12004"),
        (3, "3"),
        (None, ""),
        ("a", "a"),
    ],
)
def test_numbers_have_the_digits_that_count(cell, text):
    assert shown(cell) == text


def test_a_target_that_is_missed_is_counted(tmp_path):
    report = Report("A title")
    report.table(["", "ms"], [["ours", 27.04]])
    report.at_most("warm slice, x latency", 1.35, 1.5)
    report.at_most("given up", float("inf"), 10.0, " s")
    report.at_least("times obvious", 30.0, 30.0)
    report.write(tmp_path / "slices.md")
    assert report.failed == 1
    assert (tmp_path / "slices.md").read_text().splitlines() == [
        "## A title",
        "",
        "|      | ms |",
        "| ---- | -- |",
        "| ours | 27 |",
        "",
        "- met: warm slice, x latency: 1.35 (limit 1.5)",
        "- **missed**: given up: inf s (limit 10 s)",
        "- met: times obvious: 30 (at least 30)",
    ]


def test_95_of_100_are_not_later():
    assert late(list(range(100))) == 95
    assert late([7.0]) == 7.0

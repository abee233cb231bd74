"""Byte ranges of a stored file: which to fetch together. A plan only; nothing is fetched here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_GAP_NBYTES = 64 * 1024
"""A gap up to this is cheaper to read over than to ask for a second range."""

MAX_RANGE_NBYTES = 4 * 1024 * 1024
"""Longer runs are asked for in several ranges, which arrive side by side."""


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """A run of bytes of one file."""

    byte_offset: int
    nbytes: int

    def __post_init__(self) -> None:
        if self.byte_offset < 0 or self.nbytes <= 0:
            raise ValueError(f"not a byte range: {self.byte_offset}+{self.nbytes}")

    @property
    def end(self) -> int:
        """Offset of the first byte after the range."""
        return self.byte_offset + self.nbytes


def coalesce(
    wanted: Iterable[ByteRange],
    *,
    max_gap_nbytes: int = MAX_GAP_NBYTES,
    max_nbytes: int = MAX_RANGE_NBYTES,
) -> list[tuple[ByteRange, list[ByteRange]]]:
    """Group byte ranges that are best fetched together.

    Returns
    -------
    list of (ByteRange, list of ByteRange)
        Each range to fetch, in file order, with the wanted ranges inside it. One is longer than
        ``max_nbytes`` only if a single wanted range is.
    """
    groups: list[list[ByteRange]] = []
    end = 0
    for part in sorted(set(wanted)):
        if (
            groups
            and part.byte_offset - end <= max_gap_nbytes
            and max(end, part.end) - groups[-1][0].byte_offset <= max_nbytes
        ):
            groups[-1].append(part)
            end = max(end, part.end)
        else:
            groups.append([part])
            end = part.end
    return [(_span(group), group) for group in groups]


def split(whole: ByteRange, *, max_nbytes: int = MAX_RANGE_NBYTES) -> list[ByteRange]:
    """Cut one long run into ranges that can be fetched side by side."""
    return [
        ByteRange(offset, min(max_nbytes, whole.end - offset))
        for offset in range(whole.byte_offset, whole.end, max_nbytes)
    ]


def _span(group: list[ByteRange]) -> ByteRange:
    start = group[0].byte_offset
    return ByteRange(start, max(part.end for part in group) - start)

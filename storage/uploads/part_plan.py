"""Into which parts a file is cut that does not come in one request."""

from __future__ import annotations

from dataclasses import dataclass

from storage.stores.backend import Part

MEBIBYTE = 1 << 20
MIN_PART_NBYTES, MAX_PART_NBYTES = 5 * MEBIBYTE, 5120 * MEBIBYTE
"""What S3 takes; the last part may be shorter."""
MAX_PARTS = 10_000
USUAL_PART_NBYTES, USUAL_PARTS = 16 * MEBIBYTE, 1000
"""Unless told otherwise: what is lost when a connection breaks, and how many links a document has."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Parts of equal length, but for the last."""

    nbytes: int
    """Of the whole file."""
    part_nbytes: int

    def __post_init__(self) -> None:
        if self.nbytes < 1 or self.part_nbytes < 1:
            raise ValueError(f"no parts: {self}")

    @property
    def n_parts(self) -> int:
        """How many there are."""
        return -(-self.nbytes // self.part_nbytes)

    def part(self, number: int) -> Part:
        """Return one part, from number 1 on; raises ValueError where there is none."""
        if not 1 <= number <= self.n_parts:
            raise ValueError(f"there is no part {number}; there are parts 1 to {self.n_parts}")
        start = (number - 1) * self.part_nbytes
        return Part(number, start, min(self.part_nbytes, self.nbytes - start))

    def parts(self, start: int = 0, stop: int | None = None) -> list[Part]:
        """Return a run of the parts, all by default."""
        stop = self.n_parts if stop is None else min(stop, self.n_parts)
        return [self.part(at + 1) for at in range(start, stop)]


def usual_part_nbytes(nbytes: int) -> int:
    """Return a length of parts, in whole MiB, by which a file has not too many."""
    return max(USUAL_PART_NBYTES, -(-nbytes // (USUAL_PARTS * MEBIBYTE)) * MEBIBYTE)

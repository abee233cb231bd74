"""Tables in Markdown, and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Report:
    """What a scenario found; printed as it is found."""

    title: str
    lines: list[str] = field(default_factory=list)
    failed: int = 0
    """Targets that were missed."""

    def __post_init__(self) -> None:
        self.say(f"\n## {self.title}\n")

    def say(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)
        print(line, flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; floats are shown with three digits that count."""
        cells = [[shown(cell) for cell in row] for row in (columns, *rows)]
        widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
        head, *others = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in cells
        ]
        for line in (head, "| " + " | ".join("-" * width for width in widths) + " |", *others, ""):
            self.say(line)

    def at_most(self, claim: str, value: float, limit: float, unit: str = "") -> None:
        """Add a verdict on a figure that should be small."""
        self._verdict(value <= limit, f"{claim}: {shown(value)}{unit} (limit {shown(limit)}{unit})")

    def at_least(self, claim: str, value: float, limit: float, unit: str = "") -> None:
        """Add a verdict on a figure that should be large."""
        self._verdict(value >= limit, f"{claim}: {shown(value)}{unit} (at least {shown(limit)}{unit})")

    def _verdict(self, holds: bool, line: str) -> None:
        self.failed += not holds
        self.say(f"- {'met' if holds else '**missed**'}: {line}")

    def write(self, path: Path) -> None:
        """Write what was printed."""
        path.write_text("\n".join(self.lines).strip() + "\n")


def shown(cell: object) -> str:
    """Return a number as a person wants to read it."""
    if not isinstance(cell, float):
        return "" if cell is None else str(cell)
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"

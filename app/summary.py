"""What became of many files, in a few lines for a terminal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from storage.ingest.dry_run import DryRun
from storage.ingest.found import Refusal, written_out
from storage.ingest.register import Outcome
from storage.stores.backend import file_name

STATES = ("registered", "updated", "moved", "unchanged", "refused")
UNSEEN = "they are private and nobody's, so that nobody sees them; --owner NAME or --safety-level 1 changes that"
"""Of what was registered or imported without either."""
WOULD_BE = {
    "registered": "new",
    "updated": "update",
    "moved": "move",
    "unchanged": "unchanged",
    "waiting": "wait",
    "refused": "refuse",
}
"""What a dry run says of what registering would make of a file."""
SHOWN_REASONS = 20
NUMBER = re.compile(r"\d[\d.,]*")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def line(word: str, text: str) -> str:
    """Return one line: what, and of what; names of files may have anything in them."""
    return f"{word:>10}  {written_out(text)}"


def told(outcome: Outcome) -> list[str]:
    """Return the lines about one file."""
    name = file_name(outcome.url)
    lines = [line(outcome.state, name + (f": {counted(outcome.counts)}" if outcome.counts else ""))]
    for refusal in outcome.refusals:
        place = name if refusal.path == name else f"{name} {refusal.path}"
        lines.append(line("left out", f"{place}: {refusal.reason}"))
    return lines


def counted(counts: dict[str, int], scale: float = 1) -> str:
    """Return how many objects of each type there are."""
    return ", ".join(f"{round(number * scale):,} {type_name}" for type_name, number in counts.items())


def summary(
    outcomes: Sequence[Outcome], *, n_unchanged: int = 0, n_later: int = 0, missing: Sequence[str] = ()
) -> list[str]:
    """Return how many files came to what, and why things were left out, grouped by reason.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of files that were looked into.
    n_unchanged : int
        Files that needed no look.
    n_later : int
        Files that are left to a later attempt or to somebody else.
    missing : sequence of str
        Files that are not where they were registered.
    """
    states = Counter({"unchanged": n_unchanged}) + Counter(outcome.state for outcome in outcomes)
    lines = []
    for state in STATES:
        if states[state]:
            of_state = [outcome for outcome in outcomes if outcome.state == state]
            counts = dict(sum((Counter(one.counts) for one in of_state), Counter()))
            lines.append(line(state, f"{files(states[state])}" + (f": {counted(counts)}" if counts else "")))
    if n_later:
        lines.append(
            line("later", f"{files(n_later)}: 'flask jobs list' tells why; the same command goes on with them")
        )
    if missing:
        lines.append(_missing(missing))
    return lines + by_reason((outcome.url, refusal) for outcome in outcomes for refusal in outcome.refusals)


def by_reason(refusals: Iterable[tuple[str, Refusal]]) -> list[str]:
    """Return why things were left out: reasons that differ only in numbers and names together, the most frequent first.

    Parameters
    ----------
    refusals : iterable of (str, Refusal)
        The URL of the file, and what of it is refused.
    """
    groups: dict[str, list[tuple[str, Refusal]]] = {}
    for url, refusal in refusals:
        groups.setdefault(QUOTED.sub("…", NUMBER.sub("N", refusal.reason)), []).append((url, refusal))
    ordered = sorted(groups.values(), key=len, reverse=True)
    lines = []
    for group in ordered[:SHOWN_REASONS]:
        url, first = group[0]
        n_files = len({url for url, _ in group})
        example = file_name(url) if first.path == file_name(url) else f"{file_name(url)} {first.path}"
        such_as = f", such as {example}" if len(group) > 1 else f": {example}"
        lines.append(line("left out", f"{len(group):,} × in {files(n_files)}{such_as}: {first.reason}"))
    if len(ordered) > SHOWN_REASONS:
        lines.append(line("left out", f"and for {len(ordered) - SHOWN_REASONS} more reasons"))
    return lines


def of_dry_run(found: DryRun, n_unchanged: int, missing: Sequence[str] = ()) -> list[str]:
    """Return what registering would do; parameters are the files that need no look, and those that are gone."""
    lines = [_missing(missing)] if missing else []
    if n_unchanged:
        lines.append(line("unchanged", files(n_unchanged)))
    if not found.outcomes:
        return [*lines, line("nothing", "would be done")]
    is_sample = found.scale > 1
    about = "about " if is_sample else ""
    if is_sample:
        lines.append(
            line("looked at", f"{len(found.outcomes)} of {files(found.n_files)}; the others are taken to be like them")
        )
    states: Counter[str] = Counter(outcome.state for outcome in found.outcomes)
    for state, word in WOULD_BE.items():
        if states[state]:
            of_state = [outcome for outcome in found.outcomes if outcome.state == state]
            counts = dict(sum((Counter(one.counts) for one in of_state), Counter()))
            n_files = files(round(states[state] * found.scale))
            lines.append(line(word, f"{about}{n_files}" + (f": {counted(counts, found.scale)}" if counts else "")))
    lines += by_reason((outcome.url, refusal) for outcome in found.outcomes for refusal in outcome.refusals)
    lines.append(
        line("sidecars", f"{about}{nbytes(round(found.sidecar_nbytes * found.scale))} in the service's own store")
    )
    lines.append(line("time", f"about {duration(found.lasted_s * found.scale)} with this many at once"))
    return lines


def nbytes(number: int) -> str:
    """Return a number of bytes in the largest unit that leaves a whole one."""
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"


def duration(seconds: float) -> str:
    """Return a length of time as one reads it."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _missing(names: Sequence[str]) -> str:
    some = ", ".join(map(file_name, names[:3])) + (", …" if len(names) > 3 else "")
    return line("missing", f"{files(len(names))}, served again once they are back or found elsewhere: {some}")


def files(number: int) -> str:
    """Return a number of files in words."""
    return f"{number:,} file{'' if number == 1 else 's'}"

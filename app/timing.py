"""Where the time of an answer went."""

from __future__ import annotations

from storage.timings import Timings

PARTS = ("index", "fetch", "decode", "encode")


def server_timing(timings: Timings) -> str:
    """Return the ``Server-Timing`` header: milliseconds by part, as far as known when headers are sent."""
    return ", ".join(f"{part};dur={1000 * timings.seconds.get(part, 0.0):.1f}" for part in PARTS)

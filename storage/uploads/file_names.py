"""What an uploaded file is called: a name that senders chose, and that others read."""

from __future__ import annotations

import re
import unicodedata

MAX_NBYTES = 255
"""Of a name in UTF-8, as most file systems have it."""
MAX_ENDING = 20
UNNAMED = "unnamed"
LEFT_OUT = {"Cc", "Cs", "Zl", "Zp"}
"""Control characters, halves of characters, ends of lines and paragraphs."""
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of reading, so that ``exe.h5`` reads as another ending."""


def clean_name(name: str) -> str:
    """Return the last part of a path, without what no name should have, no longer than file systems allow."""
    shown = "".join(one for one in name if unicodedata.category(one) not in LEFT_OUT and one not in TURNING)
    last = re.split(r"[/\\]", shown)[-1].strip()
    return _shortened(last) if last.strip(".") else UNNAMED


def _shortened(name: str) -> str:
    """Cut the middle of a long name, so that its ending stays."""
    if len(name.encode()) <= MAX_NBYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > MAX_ENDING:
        stem, dot, ending = name, "", ""
    room = MAX_NBYTES - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending

"""Formats that can be imported: how their files are told from others, and which files make one recording."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

MAX_MAGIC_NBYTES = 64


@dataclass(frozen=True, slots=True)
class Format:
    """One format; ``name`` also names its reader."""

    name: str
    suffixes: tuple[str, ...]
    magics: tuple[tuple[int, bytes], ...]
    """Bytes that its files have at a place; one of these is enough. Without any the suffix must do."""
    beside: tuple[str, ...] = ()
    """Names of the files that make one recording with one; ``{stem}`` is its own name without its ending."""
    is_session: bool = False
    """Whether files of one folder that are named together are one recording."""


FORMATS = (
    Format("ABF", (".abf",), ((0, b"ABF "), (0, b"ABF2"))),
    Format(
        "BrainVision",
        (".vhdr", ".ahdr"),
        ((0, b"Brain Vision Data Exchange Header File"), (0, b"BrainVision Data Exchange Header File")),
        ("*.eeg", "*.dat", "*.avg", "*.seg", "*.vmrk", "*.amrk"),
    ),
    Format("EDF", (".edf", ".rec"), ((0, b"0       "),)),
    Format("BDF", (".bdf",), ((0, b"\xffBIOSEMI"),)),
    Format(
        "Intan",
        (".rhd", ".rhs"),
        ((0, b"\x02\x27\x91\xc6"), (0, b"\xac\x27\x91\xd6")),
        ("*.dat",),
    ),
    Format(
        "Blackrock",
        (".ns1", ".ns2", ".ns3", ".ns4", ".ns5", ".ns6", ".nev"),
        tuple((0, magic) for magic in (b"NEURALSG", b"NEURALCD", b"BRSMPGRP", b"NEURALEV", b"BREVENTS")),
        ("{stem}.ns[1-6]", "{stem}.nev"),
    ),
    Format("Neuralynx", (".ncs", ".nev", ".nse", ".ntt"), ((0, b"######## Neuralynx"),), is_session=True),
    Format("Spike2", (".smr", ".son"), ((2, b"(C) CED 87"),)),
    Format("Plexon", (".plx",), ((0, b"PLEX"),)),
    Format("Micromed", (".trc",), ((0, b"* MICROMED"),)),
    Format("NeuroExplorer", (".nex",), ((0, b"NEX1"),)),
    Format("WinWCP", (".wcp",), ((0, b"VER="),)),
    Format("WinEDR", (".edr",), ((0, b"VER="),)),
    Format("AxoGraph", (".axgd", ".axgx"), ((0, b"AxGr"), (0, b"axgx"))),
    Format("Igor", (".ibw", ".bwav"), ((0, b"\x05\x00"), (0, b"\x00\x05"), (0, b"\x02\x00"), (0, b"\x00\x02"))),
)
"""In the order in which they are looked for."""

NEEDS_SUFFIX = {"EDF", "Igor", "WinEDR", "WinWCP"}
"""Those whose first bytes are not enough to tell."""

PARTS = {
    ".vmrk": "the markers of a BrainVision recording; import its .vhdr file with it",
    ".eeg": "numbers that say nothing without their header, such as a .vhdr file; import that with it",
    ".amrk": "the markers of a BrainVision recording; import its .ahdr file with it",
}
"""Files that say nothing without another one, by suffix: what they are."""


def format_of(name: str, beginning: bytes) -> Format | None:
    """Return what a file can be imported as; None where that is nothing.

    Parameters
    ----------
    name : str
        What the file is called.
    beginning : bytes
        Its first ``MAX_MAGIC_NBYTES``, as far as it has them.
    """
    lower = name.lower()
    for one in FORMATS:
        has_magic = any(beginning[place : place + len(magic)] == magic for place, magic in one.magics)
        if has_magic and (one.name not in NEEDS_SUFFIX or lower.endswith(one.suffixes)):
            return one
    return None


def may_be_imported(name: str) -> bool:
    """Whether a file is called as one of a format that can be imported."""
    return any(name.lower().endswith(one.suffixes) for one in FORMATS)


def part(name: str) -> str | None:
    """Return what a file is that says nothing without another one; None for others."""
    return next((told for suffix, told in PARTS.items() if name.lower().endswith(suffix)), None)


def beside(one: Format, name: str, there: Sequence[str]) -> list[str]:
    """Return those files of a folder that may belong to one recording with a file, without that file itself."""
    stem = name.rpartition(".")[0] or name
    patterns = [pattern.replace("{stem}", stem.replace("[", "[[]")).lower() for pattern in one.beside]
    return [
        other
        for other in there
        if other != name and any(fnmatch.fnmatchcase(other.lower(), pattern.lower()) for pattern in patterns)
    ]

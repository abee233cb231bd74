"""Which reader a format has. All of them only read: none of those that run what a file says is among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec

from storage.errors import Refused
from storage.ingest.vendor import abf, brainvision, edf, igor, neo_files, others
from storage.ingest.vendor.files import RecordingFiles
from storage.ingest.vendor.telling import Recording

Read = Callable[[RecordingFiles, str, Recording], None]

READERS: Mapping[str, Read] = {
    "ABF": abf.read,
    "BrainVision": brainvision.read,
    "EDF": edf.read,
    "BDF": edf.read,
    "Igor": igor.read,
    **others.READERS,
}
"""By the name of the format."""

NEEDED = ("neo", "igor2")
"""Packages that only whoever imports needs."""
OF_NEO = (
    "neo.rawio.baserawio",
    "neo.rawio.utils",
    "neo.rawio.axonrawio",
    *others.OF_NEO,
)
"""Modules of Neo that open files: all that are used here."""

AT_FIRST_USE = (
    "_strptime", "dateutil.parser", "encodings.cp1252", "encodings.utf_8_sig", "igor2.binarywave", "numpy.char",
    "numpy.lib.recfunctions", "numpy.linalg", "numpy.ma", "numpy.rec", "numpy.strings",
)  # fmt: skip
"""What Python, numpy and these readers would import when they first need it."""


def missing() -> list[str]:
    """Return those of the packages that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def load() -> None:
    """Import all readers, and let them open nothing but what is handed in."""
    for name in (*AT_FIRST_USE, *OF_NEO):
        module = import_module(name)
        if name in OF_NEO:
            neo_files.stand_in(module)


def read(kind: str, files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of the recording that some files are; raises Refused."""
    reader = READERS.get(kind)
    if reader is None:
        raise Refused(f"files of the format {kind[:40]!r} are not imported here")
    neo_files.hand_in(files)
    reader(files, primary, recording)

"""Recordings of flat binary files, beside which texts say what is in them."""

from __future__ import annotations

from storage.errors import Refused
from storage.ingest.file_set import FileSet
from storage.ingest.formats import open_ephys, spikeglx
from storage.ingest.found import Found, storable

ODD = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What texts that are not as they should be bring about."""


def inspect(files: FileSet, name: str) -> Found:
    """Find everything in a recording that can be served.

    Parameters
    ----------
    files : FileSet
    name : str
        What the Block will be called.

    Raises
    ------
    Refused
        Saying what about it cannot be understood.
    StillWritten
        If it is not whole yet.
    """
    read = open_ephys.inspect if files.main == "structure.oebin" else spikeglx.inspect
    try:
        return read(files, name)
    except ODD as error:
        said = storable(f"{type(error).__name__}: {error}")[:200]
        raise Refused(f"its {files.main} is not understood ({said})") from error

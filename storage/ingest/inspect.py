"""What is in a file: which format, and what that says in Neo's words. Done by the sandbox's processes only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import h5py

from storage.errors import Refused
from storage.ingest.formats import hdf5, nwb, one_array
from storage.ingest.found import Found
from storage.progress import DatasetProgress, untold

SUFFIXES = (".nwb", ".h5", ".hdf5", ".hdf", ".he5", ".nix")
"""Files of a folder or prefix that are looked into."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCKS = (0, 512, 1024, 2048, 4096, 8192)
"""Where HDF5 looks for its signature, as far as files are made in earnest."""


def inspect(content: BinaryIO, name: str, options: hdf5.PlainOptions, progress: DatasetProgress = untold) -> Found:
    """Find everything in a file that can be served.

    Parameters
    ----------
    content : binary file
    name : str
        What the recording will be called.
    options : PlainOptions
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.

    Raises
    ------
    Refused
        If it is no HDF5 file, or libhdf5 cannot open it.
    """
    with _opened(content) as file:
        return nwb.inspect(file, name, progress) if nwb.is_nwb(file) else hdf5.inspect(file, name, options, progress)


def check(content: BinaryIO, progress: DatasetProgress = untold) -> Found:
    """Find the one array of an uploaded file; raises Refused if it is anything else."""
    with _opened(content) as file:
        return one_array.check(file, progress)


@contextmanager
def _opened(content: BinaryIO) -> Iterator[h5py.File]:
    if not _is_hdf5(content):
        raise Refused("it is not an HDF5 file")
    try:
        file = h5py.File(content, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise Refused(f"libhdf5 cannot open it: {error}") from error
    with file:
        yield file


def _is_hdf5(content: BinaryIO) -> bool:
    for offset in USER_BLOCKS:
        content.seek(offset)
        if content.read(len(SIGNATURE)) == SIGNATURE:
            return True
    return False

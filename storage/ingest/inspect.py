"""Opening a file to see what is in it: which format, and what that says in Neo's words."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import BinaryIO

import h5py

from storage.errors import Refused
from storage.hdf5.remote_file import RemoteFile, open_file
from storage.ingest.formats import hdf5, nwb
from storage.ingest.found import Found
from storage.objectstore import ObjectStore
from storage.progress import DatasetProgress, untold
from storage.stores.backend import Stat, file_name

SUFFIXES = (".nwb", ".h5", ".hdf5", ".hdf", ".he5", ".nix")
"""Files of a folder or prefix that are looked into."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCKS = (0, 512, 1024, 2048, 4096, 8192)
"""Where HDF5 looks for its signature, as far as files are made in earnest."""


def inspect(
    store: ObjectStore, url: str, stat: Stat, options: hdf5.PlainOptions, progress: DatasetProgress = untold
) -> Found:
    """Find everything in a file that can be served.

    Parameters
    ----------
    store : ObjectStore
    url : str
    stat : Stat
        Which version of the file is meant.
    options : PlainOptions
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.

    Raises
    ------
    Refused
        If it is no HDF5 file, or libhdf5 cannot open it.
    NotStored, StoreAway
    FileChanged
        If the store has another version of it by now.
    """
    with open_file(store, url, stat) as content:
        try:
            return _found_in(content, PurePosixPath(file_name(url)).stem, options, progress)
        finally:
            # What went wrong in the store passes through libhdf5, which may make it look like damage of the file.
            if isinstance(content, RemoteFile):
                content.raise_failure()


def _found_in(content: BinaryIO, name: str, options: hdf5.PlainOptions, progress: DatasetProgress) -> Found:
    if not _is_hdf5(content):
        raise Refused("it is not an HDF5 file")
    try:
        file = h5py.File(content, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise Refused(f"libhdf5 cannot open it: {error}") from error
    with file:
        return nwb.inspect(file, name, progress) if nwb.is_nwb(file) else hdf5.inspect(file, name, options, progress)


def _is_hdf5(content: BinaryIO) -> bool:
    for offset in USER_BLOCKS:
        content.seek(offset)
        if content.read(len(SIGNATURE)) == SIGNATURE:
            return True
    return False

"""What is in a file: which format, and what that says in Neo's words. Done by the sandbox's processes only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest import sorted_times
from storage.ingest.formats import attributes, hdf5, mcs, nix, nwb, nwb_tree, one_array, wavesurfer
from storage.ingest.found import Found, FoundArray, Refusal
from storage.progress import DatasetProgress, untold

SUFFIXES = (".nwb", ".h5", ".hdf5", ".hdf", ".he5", ".nix")
"""Files of a folder or prefix that are looked into."""

RUN_ENDS = "#ends"
"""What the first and last values of runs of times go by; no dataset of a file can."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCKS = (0, 512, 1024, 2048, 4096, 8192)
"""Where HDF5 looks for its signature, as far as files are made in earnest."""

ADDRESSES = {0: 24, 1: 28, 2: 12, 3: 12}
"""Where the addresses begin in each version of the super block: base, something else, end, driver."""


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
        found = _inspected(file, name, options, progress)
        found.identity = identity_of(file)
        return found


def _inspected(file: h5py.File, name: str, options: hdf5.PlainOptions, progress: DatasetProgress) -> Found:
    if nwb.is_nwb(file):
        return nwb.inspect(file, name, progress)
    if nix.is_nix(file):
        return _or_nothing(nix.inspect(file, name, progress))
    if options.mapping:  # whoever wrote it knows better
        return hdf5.inspect(file, name, options, progress)
    if mcs.is_mcs(file):
        return _or_nothing(mcs.inspect(file, name, progress))
    if wavesurfer.is_wavesurfer(file):
        return _or_nothing(wavesurfer.inspect(file, name, progress))
    return hdf5.inspect(file, name, options, progress)


def _or_nothing(found: Found) -> Found:
    """Return findings without their Blocks, Segments and groups where all that these were for is refused."""
    if found.refusals and not any(one.arrays or one.type_name in ("event", "epoch") for one in found.objects):
        found.objects.clear()
    return found


def check(content: BinaryIO, progress: DatasetProgress = untold) -> Found:
    """Find the one array of an uploaded file; raises Refused if it is anything else."""
    with _opened(content) as file:
        return one_array.check(file, progress)


def check_order(
    content: BinaryIO, path: str, runs: Sequence[tuple[int, int]], progress: DatasetProgress = untold
) -> Found:
    """Read all times of a dataset, and find which runs of them are sorted.

    Parameters
    ----------
    content : binary file
    path : str
        Of the dataset.
    runs : sequence of (start, stop)
        Rows; ``stop`` is out.
    progress : DatasetProgress
        Is told how many of its chunks are indexed.

    Returns
    -------
    Found
        The dataset with its ``blocks``; of each run, under its number, an array or the refusal; and as ``RUN_ENDS``
        the first and the last value of each run.
    """
    with _opened(content) as file:
        dataset = file.get(path)
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1 or dataset.dtype.kind not in "iuf":
            raise Refused(f"it has no times at {path}")
        found = Found(progress=progress)
        found.describe(dataset)
        starts, stops = np.array(runs, np.int64).reshape(-1, 2).T
        found.blocks[path], faults, ends = sorted_times.check_runs(dataset, found.datasets[path], starts, stops)
        for number, (fault, (start, stop)) in enumerate(zip(faults, runs, strict=True)):
            if fault is None:
                found.add_array(FoundArray(str(number), path, str(number), stop - start, first_row=start))
            else:
                found.refusals.append(Refusal(str(number), fault))
        found.whole(path, path, None)
        found.whole(found.make(RUN_ENDS, ends), RUN_ENDS, None)
        return found


def identity_of(file: h5py.File) -> str | None:
    """Return what a file calls itself, wherever it lies: NWB's ``identifier``, NIX's ``id``; None where it does not."""
    try:
        if nwb.is_nwb(file):
            said, kind = nwb_tree.texts(file, "identifier").get("identifier"), "nwb"
        else:
            is_nix = attributes.text(file.attrs.get("format")) == "nix"
            said, kind = (attributes.text(file.attrs.get("id")) if is_nix else None), "nix"
    except Exception:  # h5py raises nearly anything for damaged files; without it the file can still be served
        return None
    return f"{kind} {said.strip()}" if isinstance(said, str) and said.strip() else None


@contextmanager
def _opened(content: BinaryIO) -> Iterator[h5py.File]:
    if _signature(content) is None:
        raise Refused("it is not an HDF5 file")
    try:
        file = h5py.File(content, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise Refused(f"libhdf5 cannot open it: {error}") from error
    with file:
        yield file


def _signature(content: BinaryIO) -> int | None:
    """Return where the signature of HDF5 is."""
    for offset in USER_BLOCKS:
        content.seek(offset)
        if content.read(len(SIGNATURE)) == SIGNATURE:
            return offset
    return None


def told_end(content: BinaryIO) -> int | None:
    """Return where an HDF5 file says that it ends, beyond which libhdf5 reads nothing; None where it does not say.

    Raises
    ------
    Refused
        If it is of a driver that spreads a file over several.
    """
    start = _signature(content)
    if start is None:
        return None
    content.seek(start)
    block = content.read(64)
    if len(block) < 64 or block[8] not in ADDRESSES:
        return None
    width = block[13] if block[8] < 2 else block[9]
    if width not in (2, 4, 8):
        return None
    first = ADDRESSES[block[8]]
    base, _, end, driver = (block[place : place + width] for place in range(first, first + 4 * width, width))
    if block[8] < 2 and driver != b"\xff" * width:
        raise Refused("it is a part of an HDF5 file that is spread over several")
    # A file that lies behind other bytes than it was written behind moves with its beginning.
    return int.from_bytes(end, "little") - int.from_bytes(base, "little") + start

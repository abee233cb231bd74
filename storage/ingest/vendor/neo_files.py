"""Neo's readers, given the files of one recording instead of a file system.

They open what they read by path: with ``open``, ``numpy.memmap`` and ``numpy.fromfile``, and ask ``os.path`` and
``pathlib`` what is there. In the process that parses, these names mean the files that were handed in. This is no wall:
whatever a reader finds to open besides meets the walls, which know nothing of it.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
from collections.abc import Iterator
from pathlib import PurePosixPath
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from storage.errors import Refused
from storage.ingest.vendor.files import RecordingFiles

FOLDER = "/recording"
"""Where readers are told that the files lie."""


class _Current:
    """The files of the one recording that this process parses."""

    files: RecordingFiles | None = None


def hand_in(files: RecordingFiles) -> None:
    """Make the names that Neo's readers open files by mean these files."""
    _Current.files = files


def path_of(name: str) -> str:
    """Return the path by which readers are told of a file."""
    return posixpath.join(FOLDER, name)


def _files() -> RecordingFiles:
    if _Current.files is None:
        raise Refused("no file was handed in")
    return _Current.files


def _open(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
    return _files().open(path, mode, *more, **named)


def _memmap(
    path: Any, dtype: DTypeLike = np.uint8, mode: str = "r", offset: int = 0, shape: Any = None, order: str = "C"
) -> Any:
    if order != "C" or mode not in ("r", "readonly", "c"):
        raise Refused("its samples are stored in an order that is not known here")
    if shape is not None:
        shape = tuple(int(length) for length in shape) if isinstance(shape, tuple | list) else (int(shape),)
    return _files().array(path, dtype, int(offset), shape)


def _fromfile(file: Any, dtype: DTypeLike = float, count: int = -1, sep: str = "", offset: int = 0) -> NDArray[Any]:
    if sep:
        raise Refused("it is a file of text that is not known here")
    kind = np.dtype(dtype)
    if not hasattr(file, "read"):
        file = _open(file, "rb")
    file.seek(offset, os.SEEK_CUR)
    content = file.read() if count < 0 else file.read(count * kind.itemsize)
    return np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)


def chunk_of(
    file: Any, num_channels: int, start: int, stop: int, dtype: DTypeLike, file_offset: int = 0
) -> NDArray[Any]:
    """Return samples of an opened file, as ``neo.rawio.utils.get_memmap_chunk_from_opened_file`` does."""
    kind = np.dtype(dtype)
    row_nbytes = num_channels * kind.itemsize
    file.seek(file_offset + start * row_nbytes)
    content = file.read((stop - start) * row_nbytes)
    if len(content) != (stop - start) * row_nbytes:
        raise Refused("it is shorter than it says: it is damaged, or was cut off")
    return np.frombuffer(content, kind).reshape(stop - start, num_channels)


class Path(PurePosixPath):
    """A path of one of the files."""

    def exists(self) -> bool:
        """Whether it is there."""
        return _files().name_of(self) is not None

    is_file = exists

    def is_dir(self) -> bool:
        """Whether it is the folder of all of them."""
        return str(self).rstrip("/") == FOLDER

    def stat(self) -> Any:
        """Return its length."""
        return SimpleNamespace(st_size=_files().nbytes[_files().require(self)])

    def open(self, mode: str = "r", *more: Any, **named: Any) -> Any:
        """Open it for reading."""
        return _open(self, mode, *more, **named)

    def iterdir(self) -> Iterator[Path]:
        """Yield all files."""
        return (Path(path_of(name)) for name in sorted(_files().nbytes))

    def glob(self, pattern: str) -> Iterator[Path]:
        """Yield the files whose names match."""
        return (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern.removeprefix("**/")))


class _Standing(ModuleType):
    """A module in which some names mean something else."""

    def __init__(self, module: ModuleType, **instead: Any) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(instead)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _nbytes(path: Any) -> int:
    return _files().nbytes[_files().require(path)]


def _exists(path: Any) -> bool:
    return _files().name_of(path) is not None or str(path).rstrip("/") == FOLDER


def _listdir(_: Any = FOLDER) -> list[str]:
    return sorted(_files().nbytes)


NUMPY = _Standing(np, memmap=_memmap, fromfile=_fromfile)
OS_PATH = _Standing(
    posixpath,
    exists=_exists,
    isfile=lambda path: _files().name_of(path) is not None,
    isdir=lambda path: str(path).rstrip("/") == FOLDER,
    getsize=_nbytes,
    getmtime=lambda _: 0.0,
)
OS = _Standing(os, path=OS_PATH, listdir=_listdir)


def stand_in(module: ModuleType) -> None:
    """Make a module of Neo open the files that are handed in."""
    names = vars(module)
    names["open"] = _open
    for name, instead in (("np", NUMPY), ("os", OS), ("Path", Path), ("pathlib", SimpleNamespace(Path=Path))):
        if name in names:
            names[name] = instead
    for name, of_module in (("exists", OS_PATH), ("getsize", OS_PATH), ("isfile", OS_PATH)):
        if name in names:
            names[name] = getattr(of_module, name)
    if "get_memmap_chunk_from_opened_file" in names:
        names["get_memmap_chunk_from_opened_file"] = chunk_of

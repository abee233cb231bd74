"""What was found in a file: plain values, before any of it is in the catalog."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.calibration import AnyCalibration
from storage.errors import Refused, StillWritten
from storage.hdf5.file import MAX_INLINE_NBYTES, Description, describe
from storage.ingest import sorted_times
from storage.ingest.file_sets import Member
from storage.progress import DatasetProgress, untold

MAX_LISTS = 1_000_000
"""In the annotations of all objects of a file: half of what the service takes from whoever parses it."""

MAX_PATH_NBYTES = 2000
"""Longer ones have no place in an index of the catalog."""


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a cursor, starts a line, turns the direction of writing, or is no character."""


def storable(text: str) -> str:
    """Return text as a catalog can hold it: what is not Unicode written out, without NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "")


def written_out(text: str, pattern: re.Pattern[str] = CONTROL) -> str:
    """Return text on one line of printable characters: whatever else is in it is written out."""
    return pattern.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def as_path(name: str | bytes) -> str:
    """Return the path of an object of a file, which h5py tells as bytes where it is not Unicode."""
    return written_out(name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else storable(name))


def identity(found: h5py.Dataset | h5py.Group) -> Hashable:
    """Return what is the same for all links to one object of a file."""
    info = h5py.h5g.get_objinfo(found.id)  # h5o.get_info would measure, and so walk, the whole chunk index of a dataset
    return info.fileno, info.objno


@dataclass(frozen=True, slots=True)
class FoundArray:
    """One array that can be served: all samples of a dataset, or a run of them, of all channels or of one."""

    source_path: str
    """What of the file it is; unique among its arrays."""
    dataset: str
    """Which of the described datasets holds it."""
    name: str
    n_samples: int
    first_row: int = 0
    """Its first sample, also where the dataset is transposed."""
    units: str | None = None
    calibration: AnyCalibration | None = None
    channel_names: Sequence[str] | None = None
    is_transposed: bool = False
    """Whether the dataset is channels × samples; the array is samples × channels all the same."""
    columns: tuple[int, int] | None = None
    """The first of the channels of the dataset that the array has, and the one after its last; None is all."""
    column: int | None = None
    """The one channel that it is, with a calibration of its own; None is all of them."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One Neo object."""

    type_name: str
    source_path: str
    """Where in the file; unique among its objects of this type."""
    fields: dict[str, Any]
    """Columns of its table."""
    parents: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """``source_path`` of each parent, by its type; a tuple of them where the type can have several."""
    arrays: dict[str, str] = field(default_factory=dict)
    """``source_path`` of each array, by its field."""
    noted: dict[str, str] = field(default_factory=dict)
    """``source_path`` of arrays that annotations of these names, dictionaries, will tell the datafile of."""

    def parent_keys(self) -> set[tuple[str, str]]:
        """Return type and ``source_path`` of all parents."""
        listed = {name: (paths,) if isinstance(paths, str) else paths for name, paths in self.parents.items()}
        return {(name, path) for name, paths in listed.items() for path in paths}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something in a file that cannot be served."""

    path: str
    reason: str


@dataclass(slots=True)
class Found:
    """Everything that was found in one file; filled while the file is open."""

    objects: list[FoundObject] = field(default_factory=list)
    """Parents before children."""
    arrays: dict[str, FoundArray] = field(default_factory=dict)
    datasets: dict[str, Description] = field(default_factory=dict)
    blocks: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    """First and last value of each block of rows, of datasets of times."""
    refusals: list[Refusal] = field(default_factory=list)
    files: dict[str, Member] = field(default_factory=dict)
    """Those that datasets lie in, by name, of a recording of several; whoever had them parsed says so."""
    identity: str | None = None
    """What the file calls itself, wherever it lies."""
    progress: DatasetProgress = untold
    n_lists_left: int = field(default_factory=lambda: MAX_LISTS)
    """How many lists annotations may still have."""
    _paths: dict[Hashable, str] = field(default_factory=dict)
    _owners: dict[str, Hashable] = field(default_factory=dict)
    _checked: dict[str, tuple[NDArray[np.int64], AnyCalibration | None, list[str | None]]] = field(default_factory=dict)

    @contextmanager
    def refusing(self, path: str) -> Iterator[None]:
        """Note what cannot be served, and go on with the rest of the file."""
        n_objects, arrays = len(self.objects), set(self.arrays)
        try:
            yield
        except StillWritten:  # of the whole recording, then
            raise
        except Exception as error:
            # h5py raises nearly anything for damaged parts of a file; none of it may keep the rest from being served.
            reason = str(error) if isinstance(error, Refused) else f"it cannot be read: {error}"
            self.refusals.append(Refusal(path, storable(reason)))
            del self.objects[n_objects:]
            for source_path in self.arrays.keys() - arrays:
                del self.arrays[source_path]

    def describe(self, dataset: h5py.Dataset) -> str:
        """Describe a dataset once, whatever the number of links to it; return the path that it goes by.

        Raises
        ------
        Refused
            Saying what about it cannot be served exactly.
        """
        own = identity(dataset)
        path = self._paths.setdefault(own, as_path(dataset.name))
        if len(path.encode()) > MAX_PATH_NBYTES:
            raise Refused(f"its path has more than {MAX_PATH_NBYTES} bytes")
        if self._owners.setdefault(path, own) != own:  # as where one has in its name what is written out for another
            raise Refused("another dataset has the same path, as far as it can be written")
        if path not in self.datasets:
            self.datasets[path] = describe(dataset, partial(self.progress, path))
        return path

    def describe_times(
        self,
        dataset: h5py.Dataset,
        ends: NDArray[np.int64] | None = None,
        calibration: AnyCalibration | None = None,
        *,
        later: bool = False,
    ) -> tuple[str, list[str | None]]:
        """Describe a dataset of times that are sorted within each run of rows.

        Parameters
        ----------
        dataset : h5py.Dataset
        ends : ndarray, optional
            Where each run ends; all rows are one run without it.
        calibration : Calibration or Polynomial, optional
            By which the stored numbers are times.
        later : bool
            Whether long ones may be left to a job: then they have no ``blocks``, and nothing is wrong with them yet.

        Returns
        -------
        str
            The path that the dataset goes by.
        list of (str or None)
            For each run, why it cannot be served, or None.
        """
        if dataset.ndim != 1 or dataset.dtype.kind not in "iuf":
            raise Refused(f"its times have the shape {dataset.shape} and the type {dataset.dtype}, not one number each")
        path = self.describe(dataset)
        runs = np.array([self.datasets[path].shape[0]]) if ends is None else ends
        can_wait = later and calibration is None and dataset.name == path
        if can_wait and sorted_times.is_long(self.datasets[path]):
            return path, [None] * len(runs)
        known = self._checked.get(path)
        if known is None or known[1] != calibration or not np.array_equal(known[0], runs):
            self.blocks[path], faults = sorted_times.check(dataset, self.datasets[path], runs, calibration)
            known = self._checked[path] = runs, calibration, faults
        return path, known[2]

    def make(self, path: str, values: NDArray[np.generic], file: str | None = None) -> str:
        """Describe an array that the file only implies; the sidecar will hold it.

        Raises
        ------
        Refused
            If it is too large for that, or the file has a dataset of this name.
        """
        if values.nbytes > MAX_INLINE_NBYTES:
            raise Refused(f"{values.nbytes} bytes would have to be stored beside it, which are too many")
        if self._owners.setdefault(path, path) != path:
            raise Refused(f"a dataset has the name {path} already")
        self.datasets[path] = Description(
            values.dtype, values.shape, bytes(values.dtype.itemsize), values=np.ascontiguousarray(values), file=file
        )
        return path

    def make_times(self, path: str, times: NDArray[np.generic]) -> str:
        """Describe sorted times that the file only implies, or has in another order."""
        self.make(path, times)
        self.blocks[path] = sorted_times.blocks_of(times)
        return path

    def reshape(self, path: str, shape: tuple[int, ...], chunk_shape: tuple[int, ...] | None) -> str:
        """Describe a described dataset as one of another shape that has the same bytes in the same order."""
        own = f"{path}{list(shape)}"
        if self._owners.setdefault(own, own) != own:
            raise Refused(f"a dataset has the name {own} already")
        told = self.datasets[path]
        values = None if told.values is None else told.values.reshape(shape)
        self.datasets[own] = replace(told, shape=shape, chunk_shape=chunk_shape, values=values)
        return own

    def add_array(self, array: FoundArray) -> str:
        """Add an array, once; return the ``source_path`` that it goes by.

        Series may share one dataset and differ in what its numbers mean: each meaning is an array of its own.
        """
        path, number = array.source_path, 1
        while (known := self.arrays.get(array.source_path)) and replace(known, name=array.name) != array:
            number += 1
            array = replace(array, source_path=f"{path}#{number}")
        self.arrays.setdefault(array.source_path, array)
        return array.source_path

    def whole(self, path: str, name: str, units: str | None, *, is_transposed: bool = False, **more: Any) -> str:
        """Add all samples of a described dataset as one array."""
        n_samples = self.datasets[path].shape[1 if is_transposed else 0]
        return self.add_array(FoundArray(path, path, name, n_samples, units=units, is_transposed=is_transposed, **more))

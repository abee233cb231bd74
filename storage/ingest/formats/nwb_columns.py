"""Columns of the tables of an NWB file: plain, ragged, of rows of other tables, of choices, of references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import orjson
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_tree
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.found import Found, Refusal, as_path

MAX_VALUES = 200_000
"""Values of a whole column that are read to be told in annotations."""
MAX_CELL_VALUES = 1000
"""Values of one row that are told in annotations."""
MAX_COLUMN_NBYTES = 128 * 1024
MAX_TOLD_NBYTES = 1024 * 1024
"""JSON of one parallel column, and of all of one object; longer ones are arrays beside it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: which rows of its dataset each row of the table has."""

    name: str
    dataset: h5py.Dataset
    ends: NDArray[np.int64] | None
    """Shape (n_rows,). Where the rows end in the dataset, or in ``inner``; None where each has one."""
    inner: NDArray[np.int64] | None = None
    """Where the parts of rows of lists of lists end in the dataset."""

    def span(self, row: int) -> tuple[int, int]:
        """Return where in the dataset the values of a row begin and end."""
        if self.ends is None:
            return row, row + 1
        first, last = int(self.ends[row - 1]) if row else 0, int(self.ends[row])
        if self.inner is None:
            return first, last
        return (int(self.inner[first - 1]) if first else 0), (int(self.inner[last - 1]) if last else 0)

    def longest(self) -> int:
        """Return how many values the longest row has."""
        across = int(np.prod(self.dataset.shape[1:], dtype=np.int64))
        if self.ends is None:
            return across
        last = self.ends if self.inner is None else np.concatenate([[0], self.inner])[self.ends]
        return int(np.diff(last, prepend=0).max(initial=0)) * across

    @property
    def is_short(self) -> bool:
        """Whether its values can be told in annotations."""
        return bool(self.dataset.size <= MAX_VALUES) and self.longest() <= MAX_CELL_VALUES

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers, and no rows of another table."""
        return self.dataset.dtype.kind in "biuf" and "table" not in self.dataset.attrs

    def rows(self, tree: Tree) -> list[Any]:
        """Return what each row of the table has, as JSON tells it: a value, or a list."""
        values = _values(tree, self.dataset)
        if self.ends is None:
            return values
        if self.inner is not None:
            values = _split(values, self.inner)
        return _split(values, self.ends)


def length_of(table: h5py.Group) -> int | None:
    """Return how many rows a table has, by its ids."""
    ids = nwb_tree.dataset_in(table, "id")
    return None if ids is None or ids.ndim != 1 else len(ids)


def ids_of(table: h5py.Group, n_rows: int) -> list[Any]:
    """Return the ids of the rows; their numbers where the table tells none."""
    ids = nwb_tree.dataset_in(table, "id")
    if ids is None or ids.shape != (n_rows,) or ids.dtype.kind not in "iu":
        return list(range(n_rows))
    told: list[Any] = ids[()].tolist()
    return told


def columns(found: Found, table: h5py.Group, n_rows: int, leave_out: Iterable[str] = ()) -> list[Column]:
    """Return the columns of a table that have this many rows, by name; what is damaged is listed."""
    there: list[Column] = []
    for name in table:
        if name.endswith("_index") or name in leave_out:
            continue
        with found.refusing(f"{nwb_tree.path_of(table)}/{as_path(name)}"):
            one = column(table, name, n_rows)
            there += [] if one is None else [one]
    return there


def column(table: h5py.Group, name: str, n_rows: int | None = None) -> Column | None:
    """Return one column; None where the table has none of this name and length.

    Raises
    ------
    Refused
        If what tells the rows of it apart does not.
    """
    if not isinstance(table.get(name, getlink=True), h5py.HardLink | h5py.SoftLink):
        return None
    dataset = nwb_tree.dataset_in(table, name)
    if dataset is None or not dataset.shape:
        return None
    ends = ends_in(table, name, len(dataset))
    if ends is None:
        return Column(name, dataset, None) if n_rows in (None, len(dataset)) else None
    outer = ends_in(table, f"{name}_index", len(ends))
    found = Column(name, dataset, ends) if outer is None else Column(name, dataset, outer, inner=ends)
    return found if n_rows in (None, len(found.ends if found.ends is not None else ())) else None


def ends_in(table: h5py.Group, name: str, length: int) -> NDArray[np.int64] | None:
    """Return where each row of a ragged column ends; None where it has no index."""
    index = nwb_tree.dataset_in(table, f"{name}_index")
    if index is None:
        return None
    ends = np.atleast_1d(index[()])
    if ends.ndim != 1 or ends.dtype.kind not in "iu":
        raise Refused(f"its {name}_index is not one column of whole numbers")
    ends = ends.astype(np.int64)
    if len(ends) and (ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] > length):
        raise Refused(f"its {name}_index does not rise from 0 to {length}")
    return ends


def parallel(
    found: Found, place: str, rows_by_column: dict[str, list[Any]], order: NDArray[np.int64] | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return columns as annotations with one value for each moment, and the arrays of those that are too long for that.

    Parameters
    ----------
    found : Found
    place : str
        What the columns belong to.
    rows_by_column : dict of str to list
    order : ndarray, optional
        Which rows are told, in which order; all as they are without it.
    """
    annotations: dict[str, Any] = {}
    noted: dict[str, str] = {}
    left_nbytes = MAX_TOLD_NBYTES
    for name, rows in rows_by_column.items():
        values = rows if order is None else [rows[row] for row in order.tolist()]
        nbytes = len(orjson.dumps(values))
        if nbytes <= min(MAX_COLUMN_NBYTES, left_nbytes):
            annotations[name], left_nbytes = values, left_nbytes - nbytes
            continue
        with found.refusing(f"{place}/{name}"):
            path = found.make(f"{place}#{name}", as_array(values))
            annotations[name], noted[name] = {}, found.whole(path, path.lstrip("/"), None)
    return annotations, noted


def as_array(values: Sequence[Any]) -> NDArray[np.generic]:
    """Return numbers or texts as an array; raises Refused for what is neither."""
    if all(isinstance(one, str) for one in values):
        return as_texts(values)
    if all(one is None or isinstance(one, bool | int | float) for one in values):
        return np.array([np.nan if one is None else one for one in values], np.float64)
    raise Refused(f"its {len(values)} rows of several values are too long for annotations")


def as_texts(values: Sequence[str]) -> NDArray[np.bytes_]:
    """Return texts as an array of one width."""
    encoded = [one.encode("utf-8", "backslashreplace") for one in values]
    width = max(map(len, encoded), default=1) or 1
    return np.array(encoded, f"S{width}") if encoded else np.empty(0, "S1")


def cells(found: Found, tree: Tree, place: str, some: Iterable[Column]) -> dict[str, list[Any]]:
    """Return the rows of those columns that are short enough; what cannot be told is listed as left out."""
    told: dict[str, list[Any]] = {}
    for one in some:
        if not one.is_short:
            reason = f"its rows of up to {one.longest()} values are too long for annotations"
            found.refusals.append(Refusal(f"{place}/{one.name}", reason))
            continue
        with found.refusing(f"{place}/{one.name}"):
            rows = one.rows(tree)
            n_lists = _n_lists(rows)
            if n_lists > found.n_lists_left:
                raise Refused(
                    f"its {n_lists} lists are more than the {found.n_lists_left} that annotations may still have"
                )
            found.n_lists_left -= n_lists
            told[one.name] = rows
    return told


def _n_lists(values: list[Any]) -> int:
    return sum(1 + _n_lists(one) for one in values if isinstance(one, list))


def _values(tree: Tree, dataset: h5py.Dataset) -> list[Any]:
    """Return what each row of a dataset has, as JSON tells it."""
    if dataset.dtype.names is not None:
        return _references(tree, dataset)
    if h5py.check_ref_dtype(dataset.dtype) is h5py.Reference:
        return [_named(tree, one) for one in np.ravel(dataset[()])]
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return _nested(np.asarray(dataset[()], object))
    if dataset.dtype.kind not in "biuf":
        raise Refused(f"its type {dataset.dtype} is neither numbers nor text")
    values = dataset[()]
    meant = _meant(tree, dataset)
    if meant is None or values.ndim != 1 or values.dtype.kind not in "iu":
        return _nested(values)
    return [meant[row] if 0 <= row < len(meant) else None for row in values.tolist()]


def _meant(tree: Tree, dataset: h5py.Dataset) -> list[Any] | None:
    """Return what the numbers of a column stand for: ids of rows of another table, or choices."""
    table = tree.target(dataset.attrs.get("table"))
    if isinstance(table, h5py.Group):
        ids = nwb_tree.dataset_in(table, "id")
        return None if ids is None or ids.ndim != 1 or ids.size > MAX_VALUES else _nested(ids[()])
    elements = tree.target(dataset.attrs.get("elements"))
    if isinstance(elements, h5py.Dataset) and elements.ndim == 1 and elements.size <= MAX_VALUES:
        return _nested(np.asarray(elements[()]))
    return None


def _nested(values: NDArray[Any]) -> list[Any]:
    if values.ndim > 1:
        return [_nested(row) for row in values]
    return [attributes.plain(one) for one in values]


def _references(tree: Tree, dataset: h5py.Dataset) -> list[Any]:
    """Return rows that refer to parts of time series as ``[path, first sample, number of samples]``."""
    if not {"idx_start", "count", "timeseries"} <= {*dataset.dtype.names}:
        raise Refused("its compound type is neither numbers nor text")
    rows = dataset[()]
    return [[tree.path_to(row["timeseries"]), int(row["idx_start"]), int(row["count"])] for row in rows]


def _named(tree: Tree, reference: Any) -> str | None:
    found = tree.path_to(reference)
    return None if found is None else nwb_tree.name_of(found)


def _split(values: list[Any], ends: NDArray[np.int64]) -> list[Any]:
    starts = [0, *ends[:-1].tolist()]
    return [values[first:last] for first, last in zip(starts, ends.tolist(), strict=True)] if len(ends) else []

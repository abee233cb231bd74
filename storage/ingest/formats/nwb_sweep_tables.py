"""Tables of an NWB file that tell which intracellular series belong to one sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

import h5py
import numpy as np

from storage.errors import Refused
from storage.ingest.formats import nwb_columns, nwb_tree
from storage.ingest.formats.nwb_tree import Tree

GENERAL = "general/intracellular_ephys"


class Role(Enum):
    """What a series is in a sweep."""

    STIMULUS = "stimulus"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Recording:
    """A series, or some samples of one, in a sweep."""

    group: h5py.Group
    role: Role
    rows: tuple[int, int] | None = None
    """First sample and number of samples; None for all."""
    electrode: str | None = None
    """Where the electrode is described."""


Told = Iterator[tuple[dict[str, Any], list[Recording]]]
"""Annotations of each sweep, and what belongs to it."""


def sweep_table(tree: Tree, by_path: Mapping[str, h5py.Group]) -> Told:
    """Yield the sweeps of a table of sweeps, which several rows can tell of; by number."""
    table = _table(tree, "sweep_table")
    if table is None:
        return
    numbers, series = nwb_columns.column(table, "sweep_number"), nwb_columns.column(table, "series")
    if numbers is None or series is None:
        return
    by_number: dict[int, dict[str, None]] = defaultdict(dict)
    for number, paths in zip(numbers.dataset[()].tolist(), _paths(tree, series, len(numbers.dataset)), strict=True):
        by_number[int(number)] |= dict.fromkeys(paths)
    for number in sorted(by_number):
        groups = [by_path[path] for path in by_number[number] if path in by_path]
        yield {"sweep_number": number}, [Recording(group, role_of(group)) for group in groups]


def intracellular_recordings(tree: Tree, by_path: Mapping[str, h5py.Group]) -> Told:
    """Yield the sweeps of a table of recordings: those that are told to be simultaneous, else one for each row."""
    table = _table(tree, "intracellular_recordings")
    n_rows = None if table is None else nwb_columns.length_of(table)
    if table is None or n_rows is None:
        return
    recordings = _recordings(tree, table, n_rows, by_path)
    ids = nwb_columns.ids_of(table, n_rows)
    own = _plain_columns(tree, table, n_rows)
    for rows, told in _simultaneous(tree, n_rows):
        there = [one for row in rows if row < n_rows for one in recordings[row]]
        if there:
            more = _together((name, [values[row] for row in rows if row < n_rows]) for name, values in own.items())
            yield {"intracellular_recordings": [ids[row] for row in rows if row < n_rows], **more, **told}, there


def _recordings(tree: Tree, table: h5py.Group, n_rows: int, by_path: Mapping[str, h5py.Group]) -> list[list[Recording]]:
    """Return what each row of the table of recordings has: a response, a stimulus, or both."""
    electrodes = _member(table, "electrodes", "electrode")
    paths = [None] * n_rows if electrodes is None else [tree.path_to(one) for one in np.ravel(electrodes.dataset[()])]
    found: list[list[Recording]] = [[] for _ in range(n_rows)]
    for category, name, role in (("responses", "response", Role.RESPONSE), ("stimuli", "stimulus", Role.STIMULUS)):
        column = _member(table, category, name)
        parts = [] if column is None else column.rows(tree)
        for row, (path, first, count) in enumerate(parts[:n_rows]):
            group = by_path.get(str(path))
            if group is not None and first >= 0 and count >= 0:
                found[row].append(Recording(group, role, (first, count), paths[row]))
    return found


@dataclass(frozen=True, slots=True)
class _Level:
    """A table each of whose rows groups rows of the table below it."""

    name: str
    ids: list[Any]
    rows_below: list[list[int]]
    columns: dict[str, list[Any]]

    def annotations(self, row: int) -> dict[str, Any]:
        """Return what is told of whatever lies below a row."""
        return {self.name: self.ids[row], **{name: values[row] for name, values in self.columns.items()}}


LEVELS = (
    ("simultaneous_recordings", "recordings", "simultaneous_recording"),
    ("sequential_recordings", "simultaneous_recordings", "sequential_recording"),
    ("repetitions", "sequential_recordings", "repetition"),
    ("experimental_conditions", "repetitions", "condition"),
)
"""Names of the tables, of the columns that lead to the table below, and of what a row is."""


def _simultaneous(tree: Tree, n_rows: int) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Yield the rows of each simultaneous recording, and what the tables above it say of it."""
    lowest = _level(tree, *LEVELS[0])
    if lowest is None:
        yield from (([row], {}) for row in range(n_rows))
        return
    told = [lowest.annotations(row) for row in range(len(lowest.ids))]
    at = {row: row for row in range(len(told))}
    for names in LEVELS[1:]:
        level = _level(tree, *names)
        if level is None:
            break
        above = {below: row for row, rows in enumerate(level.rows_below) for below in rows}
        at = {lowest_row: above[row] for lowest_row, row in at.items() if row in above}
        for lowest_row, row in at.items():
            told[lowest_row] |= level.annotations(row)
    yield from zip(lowest.rows_below, told, strict=True)
    there = {row for rows in lowest.rows_below for row in rows}
    yield from (([row], {}) for row in range(n_rows) if row not in there)


def _level(tree: Tree, table_name: str, column_name: str, name: str) -> _Level | None:
    table = _table(tree, table_name)
    n_rows = None if table is None else nwb_columns.length_of(table)
    column = None if table is None else nwb_columns.column(table, column_name, n_rows)
    if table is None or n_rows is None or column is None or column.dataset.dtype.kind not in "iu":
        return None
    numbers = column.dataset[()].tolist()
    rows_below = [numbers[slice(*column.span(row))] for row in range(n_rows)]
    return _Level(name, nwb_columns.ids_of(table, n_rows), rows_below, _plain_columns(tree, table, n_rows))


def _plain_columns(tree: Tree, table: h5py.Group, n_rows: int) -> dict[str, list[Any]]:
    """Return those columns that neither are ids nor lead to another table."""
    told: dict[str, list[Any]] = {}
    for name in table:
        with suppress(Refused):  # a damaged column does not keep the sweeps from being told
            one = None if name == "id" or name.endswith("_index") else nwb_columns.column(table, name, n_rows)
            if one is not None and one.is_short and "table" not in one.dataset.attrs and _is_plain(one.dataset):
                told[name] = one.rows(tree)
    return told


def _is_plain(dataset: h5py.Dataset) -> bool:
    return dataset.dtype.kind in "biuf" or h5py.check_string_dtype(dataset.dtype) is not None


def _together(rows: Iterable[tuple[str, list[Any]]]) -> dict[str, Any]:
    """Return the values of several rows as one where they are the same."""
    return {name: values[0] if all(one == values[0] for one in values) else values for name, values in rows}


def _paths(tree: Tree, column: nwb_columns.Column, n_rows: int) -> Iterator[list[str]]:
    """Yield where the objects lie that each row refers to."""
    paths = [tree.path_to(one) for one in np.ravel(column.dataset[()])]
    for row in range(n_rows):
        yield [path for path in paths[slice(*column.span(row))] if path is not None]


def role_of(group: h5py.Group) -> Role:
    """Return whether a series was given or recorded, by its type and place."""
    path = nwb_tree.path_of(group)
    return Role.STIMULUS if "Stimulus" in nwb_tree.type_of(group) or path.startswith("/stimulus/") else Role.RESPONSE


def _table(tree: Tree, name: str) -> h5py.Group | None:
    general = nwb_tree.group_in(tree.file, GENERAL) if GENERAL in tree.file else None
    return None if general is None else nwb_tree.group_in(general, name)


def _member(table: h5py.Group, category: str, name: str) -> nwb_columns.Column | None:
    group = nwb_tree.group_in(table, category)
    return None if group is None else nwb_columns.column(group, name)

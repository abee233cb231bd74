"""Electrodes of an NWB file: a group of channels per ElectrodeGroup, a channel per row of their table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_columns, nwb_tree
from storage.ingest.formats.nwb_session import ROOT
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.found import Found, FoundObject

TABLE = "general/extracellular_ephys/electrodes"
NAMES = ("channel_name", "label", "id")
"""Columns that may name a row, best first."""
MAX_ELECTRODES = 100_000
MAX_COLUMNS_TOLD = 20
"""Series of which is told in which of their columns an electrode is."""


@dataclass(frozen=True, slots=True)
class Region:
    """Rows of a table that the columns of a series, or a unit, come from."""

    rows: list[int]
    names: list[str] | None
    """What the table calls them; None where it does not."""
    ids: list[Any]
    channels: tuple[str, ...] | None
    """``source_path`` of the recording channels; None where the rows are those of another table."""
    groups: list[str | None]
    """``source_path`` of the group of each row, as far as they have one."""

    def parents(self, n_axes: int, type_name: str) -> dict[str, str]:
        """Return what an array of these electrodes hangs on: its channel, or the group of all its channels."""
        if self.channels and len(self.channels) == 1 and n_axes == 1:
            return {"recordingchannel": self.channels[0]}
        if type_name == "irsaanalogsignal":
            return {"recordingchannel": self.channels[0]} if self.channels and len(self.channels) == 1 else {}
        together = set(self.groups)
        if n_axes == 2 and self.channels and len(together) == 1 and None not in together:
            return {"recordingchannelgroup": str(self.groups[0])}
        return {}

    def annotations(self) -> dict[str, Any]:
        """Return what is told of the electrodes of an array; groups where it spans several, as it hangs on none."""
        told: dict[str, Any] = {"electrodes": self.ids}
        groups = sorted({nwb_tree.name_of(group) for group in self.groups if group is not None})
        if len(groups) > 1:
            told["electrode_groups"] = groups
        return told


@dataclass(slots=True)
class Electrodes:
    """The table of electrodes, as far as there is one."""

    tree: Tree
    table: h5py.Group | None = None
    path: str | None = None
    n_rows: int = 0
    names: list[str] | None = None
    ids: list[Any] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    """``source_path`` of the group of each row."""

    def region(self, dataset: h5py.Dataset | None) -> Region | None:
        """Return the rows that a region means; None where it means none that are there."""
        if dataset is None or dataset.ndim != 1 or dataset.dtype.kind not in "iu":
            return None
        return self.of_rows(dataset.attrs.get("table"), dataset[()].tolist())

    def of_rows(self, reference: Any, rows: Sequence[int]) -> Region | None:
        """Return rows of the table that a reference means; None where these are not all there."""
        table = self.tree.target(reference)
        if self.path is not None and (reference is None or (table is not None and table == self.table)):
            if rows and not 0 <= min(rows) <= max(rows) < self.n_rows:
                return None
            names = None if self.names is None else [self.names[row] for row in rows]
            groups = [self.groups[row] for row in rows]
            ids = [self.ids[row] for row in rows]
            return Region(list(rows), names, ids, tuple(channel(self.path, row) for row in rows), groups)
        if not isinstance(table, h5py.Group):
            return None
        n_rows = nwb_columns.length_of(table)
        if n_rows is None or n_rows > MAX_ELECTRODES or (rows and not 0 <= min(rows) <= max(rows) < n_rows):
            return None
        every, ids = _names(table, n_rows), nwb_columns.ids_of(table, n_rows)
        names = None if every is None else [every[row] for row in rows]
        return Region(list(rows), names, [ids[row] for row in rows], None, [None] * len(rows))


def channel(table: str, row: int) -> str:
    """Return the ``source_path`` of the channel of one row."""
    return f"{table}[{row}]"


def add(found: Found, tree: Tree) -> Electrodes:
    """Add all groups and channels, and return them for those who refer to them.

    The ``index`` of a channel is its column in the series that has most columns; where no series names any electrode,
    its row in the table.
    """
    electrodes = Electrodes(tree)
    with found.refusing("/general/extracellular_ephys"):
        for group in tree.groups:
            if nwb_tree.type_of(group) == "ElectrodeGroup":
                _add_group(found, tree, group)
    with found.refusing(f"/{TABLE}"):
        table = tree.file.get(TABLE) if TABLE in tree.file else None
        if isinstance(table, h5py.Group):
            electrodes = _read(tree, table)
            _add_channels(found, table, electrodes)
    return electrodes


def _add_group(found: Found, tree: Tree, group: h5py.Group) -> None:
    path = nwb_tree.path_of(group)
    annotations = {"nwb_path": path, **nwb_tree.everything(group)}
    device = tree.linked(group, "device")
    if device is not None:
        annotations["device"] = nwb_tree.name_of(device)
    fields = {"name": nwb_tree.name_of(path), "annotations": annotations}
    found.objects.append(FoundObject("recordingchannelgroup", path, fields, {"block": ROOT}))


def _read(tree: Tree, table: h5py.Group) -> Electrodes:
    """Read what others need of the table."""
    n_rows = nwb_columns.length_of(table)
    if n_rows is None:
        raise Refused("it has no column of ids")
    if n_rows > MAX_ELECTRODES:
        raise Refused(f"it has {n_rows} electrodes, more than {MAX_ELECTRODES}")
    ids = nwb_columns.ids_of(table, n_rows)
    path = nwb_tree.path_of(table)
    return Electrodes(tree, table, path, n_rows, _names(table, n_rows), ids, _groups(tree, table, n_rows))


def _names(table: h5py.Group, n_rows: int) -> list[str] | None:
    for name in NAMES:
        dataset = nwb_tree.dataset_in(table, name)
        if dataset is not None and dataset.shape == (n_rows,):
            return [str(attributes.plain(one)) for one in dataset[()]]
    return None


def _groups(tree: Tree, table: h5py.Group, n_rows: int) -> list[str | None]:
    """Return the group of each row: by reference, else by name."""
    known = {nwb_tree.path_of(group) for group in tree.groups if nwb_tree.type_of(group) == "ElectrodeGroup"}
    by_name = {nwb_tree.name_of(path): path for path in known}
    references, names = nwb_tree.dataset_in(table, "group"), nwb_tree.dataset_in(table, "group_name")
    found: list[str | None] = [None] * n_rows
    if names is not None and names.shape == (n_rows,):
        found = [by_name.get(str(attributes.plain(one))) for one in names[()]]
    if references is not None and references.shape == (n_rows,) and h5py.check_ref_dtype(references.dtype):
        meant = [tree.path_to(one) for one in references[()]]
        found = [path if path in known else other for path, other in zip(meant, found, strict=True)]
    return found


def _add_channels(found: Found, table: h5py.Group, electrodes: Electrodes) -> None:
    path, tree = str(electrodes.path), electrodes.tree
    every = nwb_columns.columns(found, table, electrodes.n_rows, leave_out=("group",))
    told = nwb_columns.cells(found, tree, path, every)
    columns = _columns_by_row(electrodes)
    for row, group in enumerate(electrodes.groups):
        name = str(row) if electrodes.names is None else electrodes.names[row]
        own = {key: rows[row] for key, rows in told.items() if rows[row] not in (None, "", [])}
        annotations = {"nwb_path": channel(path, row), **own}
        if group is not None:
            annotations["group"] = nwb_tree.name_of(group)
        index = row if not columns else None
        if row in columns:
            index, annotations["columns"] = next(iter(columns[row].values())), columns[row]
        fields = {"name": name, "index": index, "annotations": annotations}
        parents = {} if group is None else {"recordingchannelgroup": group}
        found.objects.append(FoundObject("recordingchannel", channel(path, row), fields, parents))


def _columns_by_row(electrodes: Electrodes) -> dict[int, dict[str, int]]:
    """Return in which column of which series each electrode is, for those that are in any: widest series first."""
    columns: dict[int, dict[str, int]] = {}
    series = sorted(_series(electrodes), key=lambda one: -len(one[1].rows))
    for path, region in series:
        for number, row in enumerate(region.rows):
            told = columns.setdefault(row, {})
            if len(told) < MAX_COLUMNS_TOLD:
                told.setdefault(path, number)
    return columns


def _series(electrodes: Electrodes) -> Iterator[tuple[str, Region]]:
    for group in electrodes.tree.groups:
        region = of_series(electrodes, group) if nwb_tree.has(group, "data") else None
        if region is not None and region.channels is not None:
            yield nwb_tree.path_of(group), region


def of_series(electrodes: Electrodes, group: h5py.Group) -> Region | None:
    """Return the electrodes of the columns of a series; None where it names no one each."""
    for name in ("electrodes", "rois"):
        try:
            region = nwb_tree.dataset_in(group, name)
            data = nwb_tree.dataset_in(group, "data")
        except Refused:
            continue
        is_snippets = nwb_tree.type_of(group) == "SpikeEventSeries" and data is not None and data.ndim == 2
        n_channels = 1 if data is None or data.ndim < 2 or is_snippets else data.shape[1]
        if region is not None and data is not None and region.shape == (n_channels,):
            return electrodes.region(region)
    return None

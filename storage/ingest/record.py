"""Writing into the catalog what was found in a file, and bringing up to date what was written before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from storage.catalog import corrections, find, overviews
from storage.catalog.base import ACTIVE, ARCHIVED, new_guid, now
from storage.catalog.files import CHECKING_ORDER, READY, Datafile, StoredFile
from storage.catalog.models import TYPES
from storage.ingest.found import Found, FoundArray, FoundObject

SHARED = {name for model in TYPES.values() for name in model.several_parents}
"""Types of which an object can have several parents."""


REDUCED = ("dtype", "dataset_shape", "first_row", "n_samples", "is_transposed", "columns", "column", "calibration")
"""What of a datafile its overview and its extent were made of, besides its content."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What was stored beside a dataset."""

    key: str
    byte_offsets: dict[str, int]
    """Of each array in it."""
    packed_index: bytes | None = None
    """Its chunk index as the catalog keeps it, where it is short."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file whose findings are being written; every row gets the same owner and safety level."""

    session: Session
    file: StoredFile
    owner_id: int | None
    safety_level: int
    content_changed: bool
    """Whether the file itself is another than when it was written last."""
    _shared: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Rows that others have among several parents."""
    is_new: bool = False
    """Whether nothing of it was ever written."""

    def write(self, found: Found, sidecars: Mapping[str, Sidecar | None]) -> dict[str, int]:
        """Write all findings: rows that are there already are changed, those of what has gone are archived.

        Returns
        -------
        dict of str to int
            Ids of the datafiles by source path.
        """
        datafiles = self._datafiles(found, sidecars)
        ids: dict[tuple[str, str], int] = {}
        for type_name, model in TYPES.items():
            known = self._known(model)
            for one in found.objects:
                if one.type_name == type_name:
                    ids[type_name, one.source_path] = self._object(
                        known.pop(one.source_path, None), one, datafiles, ids
                    )
            self._archive(known)
        return datafiles

    def _datafiles(self, found: Found, sidecars: Mapping[str, Sidecar | None]) -> dict[str, int]:
        """Write all arrays; return their ids by source path."""
        known = self._known(Datafile)
        rows, times, unordered, files = {}, _times_of(found), unordered_of(found), self._files(found)
        for array in found.arrays.values():
            rows[array.source_path] = known.pop(array.source_path, None) or self._new(Datafile)
            told = datafile_columns(array, found, sidecars[array.dataset])
            told["lies_in_id"] = files.get(found.datasets[array.dataset].file)
            if array.source_path not in times and told["sidecar_offsets"] is not None:
                # Blocks on a row say that its values are sorted; other rows of the same dataset need not be.
                told["sidecar_offsets"] = {
                    name: offset for name, offset in told["sidecar_offsets"].items() if name != "blocks"
                }
            told |= {"state": CHECKING_ORDER if array.source_path in unordered else READY, "reason": None}
            row = rows[array.source_path]
            is_other = self.content_changed or any(getattr(row, name) != told[name] for name in REDUCED)
            if row.id is not None and is_other:
                overviews.drop(self.session, [row])
            self._update(row, {"source_path": array.source_path, **told}, is_other)
        self._archive(known)
        self.session.flush()
        return {path: row.id for path, row in rows.items()}

    def _files(self, found: Found) -> dict[str | None, int]:
        """Write the files that arrays of a recording of several lie in; return their ids by name."""
        rows = {}
        for name, one in found.files.items():
            rows[name] = find.stored_file(self.session, one.url) or StoredFile(name=one.url)
            self.session.add(rows[name])
            rows[name].pin, rows[name].nbytes = one.stat.pin, one.stat.nbytes
            rows[name].missing_since = None
        self.session.flush()
        return {name: row.id for name, row in rows.items()}

    def _object(
        self,
        row: Any,
        found: FoundObject,
        datafiles: Mapping[str, int],
        ids: Mapping[tuple[str, str], int],
    ) -> int:
        columns = {"source_path": found.source_path, **found.fields}
        if found.noted:
            columns["annotations"] = _with_datafiles(found, datafiles)
        columns |= {f"{parent}_id": ids[parent, path] for parent, path in found.parents.items() if type(path) is str}
        columns |= {f"{name}_id": datafiles[path] for name, path in found.arrays.items()}
        row = row or self._new(TYPES[found.type_name])
        for parent in type(row).several_parents:
            rows = [self._shared[parent, path] for path in found.parents.get(parent, ())]
            if {one.id for one in rows} != {one.id for one in getattr(row, f"{parent}s")}:
                columns[f"{parent}s"] = rows
        changed = self._update(row, columns, self.content_changed and bool(found.arrays))
        if changed:
            self.session.flush()
        if found.type_name in SHARED:
            self._shared[found.type_name, found.source_path] = row
        return int(row.id)

    def _known(self, model: type[Any]) -> dict[str, Any]:
        if self.is_new:
            return {}
        rows = self.session.scalars(select(model).where(model.file_id == self.file.id)).unique()
        # An upload that was not one array has a row without a path, which stands for the file itself.
        return {row.source_path: row for row in rows if row.source_path or model is not Datafile}

    def _new(self, model: type[Any]) -> Any:
        row = model(file_id=self.file.id, current_state=ACTIVE)
        self.session.add(row)
        return row

    def _update(self, row: Any, columns: Mapping[str, Any], anew: bool) -> bool:
        """Set what differs. A row whose guid stood for other content gets a new one."""
        columns = {
            **columns,
            "owner_id": self.owner_id,
            "safety_level": self.safety_level,
            "current_state": ACTIVE,
        }
        columns = corrections.kept(row, columns)
        differs = {name: value for name, value in columns.items() if getattr(row, name) != value}
        for name, value in differs.items():
            setattr(row, name, value)
        is_other = anew if isinstance(row, Datafile) else bool(differs) or anew
        if row.id is None or is_other:
            row.guid = new_guid()
        if differs or anew:
            row.last_modified = now()
        return row.id is None or bool(differs) or anew

    def _archive(self, rows: Mapping[str, Any]) -> None:
        """Archive what the file no longer has."""
        for row in rows.values():
            if row.current_state == ACTIVE:
                row.current_state, row.last_modified = ARCHIVED, now()
        overviews.drop(self.session, [row for row in rows.values() if isinstance(row, Datafile)])


def retell(session: Session, file: StoredFile, owner_id: int | None, safety_level: int) -> None:
    """Change whose the rows of a file are, and who may read them, where no person said otherwise."""
    for row in rows_of(session, file):
        said = corrections.kept(row, {"owner_id": owner_id, "safety_level": safety_level})
        differs = {name: value for name, value in said.items() if getattr(row, name) != value}
        for name, value in differs.items():
            setattr(row, name, value)
        if differs:
            row.last_modified = now()
            if not isinstance(row, Datafile):
                row.guid = new_guid()


def take_back(session: Session, file: StoredFile) -> None:
    """Give all rows of a file what it says in them, whatever persons changed."""
    for row in rows_of(session, file):
        if corrections.take_back(row):
            row.guid, row.last_modified = new_guid(), now()


def rows_of(session: Session, file: StoredFile) -> Iterator[Any]:
    """Yield all that was made from a file, also what is archived: objects, then arrays."""
    models: tuple[type[Any], ...] = (*TYPES.values(), Datafile)
    for model in models:
        yield from session.scalars(select(model).where(model.file_id == file.id)).unique()


def count(session: Session, file: StoredFile) -> dict[str, int]:
    """Return how many active objects of each type a file has."""
    queries = (
        select(literal(name), func.count(model.id)).where(model.file_id == file.id, model.current_state == ACTIVE)
        for name, model in TYPES.items()
    )
    found = {name: number for name, number in session.execute(union_all(*queries)) if number}
    return {name: found[name] for name in TYPES if name in found}


def _with_datafiles(found: FoundObject, datafiles: Mapping[str, int]) -> dict[str, Any]:
    """Return the annotations of an object, with the ids of the arrays that some of them are about."""
    annotations: dict[str, Any] = found.fields["annotations"]
    noted = {name: {**annotations[name], "datafile": datafiles[path]} for name, path in found.noted.items()}
    return {**annotations, **noted}


def _times_of(found: Found) -> set[str]:
    """Return the source paths of all arrays that objects have as their times."""
    fields = ((one, TYPES[one.type_name].time_field) for one in found.objects)
    return {one.arrays[field] for one, field in fields if field is not None and field in one.arrays}


def unordered_of(found: Found) -> set[str]:
    """Return the source paths of those times whose order a job is still to check."""
    return {
        path
        for path in _times_of(found)
        if found.arrays[path].n_samples and found.arrays[path].dataset not in found.blocks
    }


def datafile_columns(array: FoundArray, found: Found, sidecar: Sidecar | None) -> dict[str, Any]:
    """Return what the catalog says of an array that was found."""
    description = found.datasets[array.dataset]
    return {
        "name": array.name,
        "dtype": description.dtype.str,
        "dataset_shape": list(description.shape),
        "first_row": array.first_row,
        "n_samples": array.n_samples,
        "is_transposed": array.is_transposed,
        "columns": None if array.columns is None else list(array.columns),
        "column": array.column,
        "fill": description.fill.hex(),
        "byte_offset": description.byte_offset,
        "chunk_shape": None if description.chunk_shape is None else list(description.chunk_shape),
        "filters": [[one.id, list(one.values)] for one in description.filters],
        "sidecar": None if sidecar is None else sidecar.key,
        "sidecar_offsets": None if sidecar is None else sidecar.byte_offsets,
        "units": array.units,
        "calibration": None if array.calibration is None else array.calibration.as_json(),
        "channel_names": None if array.channel_names is None else list(array.channel_names),
    }

"""What a child says it found, believed only as far as it holds together: the parent's side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, NoReturn

import numpy as np
from sqlalchemy import JSON, BigInteger, Float, Integer, String

from storage.calibration import AnyCalibration, Calibration, Polynomial
from storage.catalog.base import Owned, UTCDateTime
from storage.catalog.models import TYPES
from storage.errors import Refused
from storage.hdf5.file import Description
from storage.hdf5.filters import Filter
from storage.hdf5.packed_index import ROW
from storage.ingest.found import Found, FoundArray, FoundObject, Refusal
from storage.ingest.sandbox import sound
from storage.ingest.sandbox.limits import Limits

DTYPE = re.compile(r"[<>|][biufS][1-9]\d{0,8}", re.ASCII)
NOT_FOUND_IN_FILES = {"id", "file_id", "source_path", "corrections", *(name for name in Owned.__annotations__)}
"""Columns that no file may tell: whose a row is, who may read it, its ids."""
MAX_DEPTH = 8


class Lie(Exception):
    """A finding that no honest child sends; the text says which, and follows "it"."""


class Findings:
    """Findings of one file, as they come in.

    Parameters
    ----------
    file_nbytes : int
    limits : Limits
    several : mapping of str to int, optional
        Lengths of the files of a recording of several, by name.
    """

    def __init__(self, file_nbytes: int, limits: Limits, several: Mapping[str, int] | None = None) -> None:
        self.found = Found()
        self._file_nbytes, self._limits, self._several = file_nbytes, limits, several
        self._known: set[tuple[str, str]] = set()
        self._n_containers = 0
        self._take = {
            "identity": self._identity,
            "refusal": self._refusal,
            "dataset": self._dataset,
            "blocks": self._blocks,
            "array": self._array,
            "object": self._object,
        }

    def take(self, kind: str, told: Any, parts: Sequence[memoryview]) -> None:
        """Add one finding; raises Lie unless it is sound, and stands on what came before."""
        if kind not in self._take:
            raise Lie("sent what is no finding")
        try:
            self._take[kind](told, parts)
        except (Refused, KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise Lie(f"told of {kind} that does not hold together: {str(error)[:200]!r}") from error

    def prose(self, text: Any) -> str:
        """Return one line of prose; raises Lie where it is none."""
        try:
            return printable(text, self._limits)
        except (TypeError, ValueError) as error:
            raise Lie(f"told something that cannot be shown: {error}") from error

    def _identity(self, told: Any, _: Sequence[memoryview]) -> None:
        if self.found.identity is not None or not isinstance(told, str) or len(told) > self._limits.identity_length:
            raise ValueError("what the file calls itself")
        self.found.identity = self._name(told)

    def _refusal(self, told: Any, _: Sequence[memoryview]) -> None:
        path, reason = told
        self._require_room(self.found.refusals, self._limits.refusals)
        self.found.refusals.append(Refusal(self._name(path), printable(reason, self._limits)))

    def _dataset(self, told: Any, parts: Sequence[memoryview]) -> None:
        path = self._name(told["path"])
        self._require_room(self.found.datasets)
        if path in self.found.datasets or not DTYPE.fullmatch(told["dtype"]):
            raise ValueError("its path or its type")
        dtype, shape = np.dtype(told["dtype"]), _lengths(told["shape"])
        chunk_shape = None if told["chunk_shape"] is None else _lengths(told["chunk_shape"])
        samples = told["is_inline"] is True
        if len(parts) != (samples or chunk_shape is not None):
            raise ValueError("its rows")
        description = Description(
            dtype,
            shape,
            bytes.fromhex(told["fill"]),
            byte_offset=None if told["byte_offset"] is None else _whole(told["byte_offset"]),
            chunk_shape=chunk_shape,
            filters=tuple(Filter(_whole(one), _lengths(values)) for one, values in told["filters"]),
            chunks=np.frombuffer(parts[0], ROW) if parts and not samples else None,
            values=np.frombuffer(parts[0], dtype).reshape(shape) if samples else None,
            file=told["file"],
        )
        sound.require_dataset(description, self._nbytes_of(told["file"]), self._limits)
        self.found.datasets[path] = description

    def _nbytes_of(self, file: Any) -> int:
        """Return the length of the file that a dataset lies in."""
        if self._several is None:
            return self._file_nbytes if file is None else _no("file")
        return self._several[file] if isinstance(file, str) else _no("file")

    def _blocks(self, told: Any, parts: Sequence[memoryview]) -> None:
        (part,) = parts
        dataset = self.found.datasets[told]
        blocks = np.frombuffer(part, dataset.dtype).reshape(-1, 2)
        sound.require_blocks(dataset, blocks)
        self.found.blocks[told] = blocks

    def _array(self, told: Any, _: Sequence[memoryview]) -> None:
        self._require_room(self.found.arrays)
        names = told["channel_names"]
        array = FoundArray(
            source_path=self._name(told["source_path"]),
            dataset=told["dataset"],
            name=self._name(told["name"]),
            n_samples=_whole(told["n_samples"]),
            first_row=_whole(told["first_row"]),
            units=None if told["units"] is None else self._name(told["units"]),
            calibration=_calibration(told["calibration"]),
            channel_names=None if names is None else [self._name(name) for name in names],
            is_transposed=_truth(told["is_transposed"]),
            columns=None if told["columns"] is None else _pair(told["columns"]),
            column=None if told["column"] is None else _whole(told["column"]),
        )
        if array.source_path in self.found.arrays:
            raise ValueError("there are two of it")
        sound.require_array(array, self.found.datasets[array.dataset], self._limits)
        self.found.arrays[array.source_path] = array

    def _object(self, told: Any, _: Sequence[memoryview]) -> None:
        self._require_room(self.found.objects)
        model = TYPES[told["type_name"]]
        key = told["type_name"], self._name(told["source_path"])
        parents = {name: _parent(model, name, paths) for name, paths in told["parents"].items()}
        arrays, noted = dict(told["arrays"]), dict(told["noted"])
        if not set(arrays) <= {*model.array_fields} or any(path not in self.found.arrays for path in arrays.values()):
            raise ValueError("its arrays")
        fields = _fields(model, told["fields"], self._limits)
        # Each takes many times the room of the text that tells of it.
        self._n_containers += _n_containers(told["fields"])
        if self._n_containers > self._limits.containers:
            raise ValueError("its annotations, with those before, are too many")
        sound.require_fields(fields)
        sound.require_arrays(arrays, self.found)
        if any(path not in self.found.arrays for path in noted.values()):
            raise ValueError("its noted arrays")
        if not all(isinstance(fields["annotations"][name], dict) for name in noted):
            raise ValueError("its annotations of arrays")
        one = FoundObject(*key, fields, parents, arrays, noted)
        if key in self._known or not one.parent_keys() <= self._known:
            raise ValueError("its parents")
        self._known.add(key)
        self.found.objects.append(one)

    def _require_room(self, some: Sequence[Any] | dict[str, Any], limit: int | None = None) -> None:
        if len(some) >= (self._limits.items if limit is None else limit):
            raise Lie("told of more than is allowed of one file")

    def _name(self, text: Any) -> str:
        if not isinstance(text, str):
            raise TypeError("a name is no text")
        sound.require_name(text, "name", self._limits)
        return text


def _calibration(told: Any) -> AnyCalibration | None:
    """Return a calibration of whose numbers each is one; how many there may be is looked at where the channels are."""
    if told is None:
        return None
    if "coefficients" in told:
        rows = tuple(tuple(map(_number, row)) for row in told["coefficients"])
        return Polynomial(rows, tuple(map(_number, told["origin"])))
    return Calibration(tuple(map(_number, told["gain"])), _number(told["offset"]))


def _parent(model: type[Any], name: str, paths: Any) -> str | tuple[str, ...]:
    """Return the path of a parent, or those of several where the type can have them."""
    if name not in model.parent_fields or isinstance(paths, list) != (name in model.several_parents):
        raise ValueError("its parents")
    if not isinstance(paths, list):
        return str(paths)
    if len(set(paths)) != len(paths):
        raise ValueError("a parent twice")
    return tuple(map(str, paths))


def printable(text: Any, limits: Limits) -> str:
    """Return prose that came from a child; raises TypeError or ValueError."""
    if not isinstance(text, str):
        raise TypeError("prose is no text")
    if len(text) > limits.text_length or sound.CONTROL_BUT_LINES.search(text):
        raise ValueError("prose is too long, or cannot be printed")
    return text


def _fields(model: type[Any], told: Any, limits: Limits) -> dict[str, Any]:
    """Return the columns of an object, each of its type; whatever is no such column is a lie."""
    columns = {
        column.name: column
        for column in model.__table__.columns
        if column.name not in NOT_FOUND_IN_FILES and not column.foreign_keys
    }
    missing = {name for name, column in columns.items() if not column.nullable and column.default is None}
    if not missing <= set(told) <= set(columns):
        raise ValueError("its fields")
    return {name: _value(columns[name], value, limits) for name, value in told.items()}


def _value(column: Any, value: Any, limits: Limits) -> Any:
    if value is None and column.nullable:
        return None
    if isinstance(column.type, JSON):
        return _annotations(value, limits)
    if isinstance(column.type, Float):
        return _number(value)
    if isinstance(column.type, UTCDateTime):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo is not None else _no(column.name)
    if isinstance(column.type, Integer | BigInteger):
        return value if type(value) is int and abs(value) < 2**31 else _no(column.name)
    if isinstance(column.type, String):
        text = printable(value, limits)
        return text if len(text) <= (column.type.length or limits.text_length) else _no(column.name)
    return _no(column.name)


def _annotations(told: Any, limits: Limits) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise TypeError("annotations are no dictionary")
    _require_plain(told, limits, 0)
    return told


def _require_plain(value: Any, limits: Limits, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("annotations are nested too deeply")
    if isinstance(value, str):
        printable(value, limits)
    elif isinstance(value, dict):
        for key, one in value.items():
            sound.require_name(key, "key", limits)
            _require_plain(one, limits, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _require_plain(one, limits, depth + 1)


def _n_containers(told: Any) -> int:
    """Return how many lists and dictionaries there are in a value of JSON."""
    if not isinstance(told, dict | list):
        return 0
    return 1 + sum(map(_n_containers, told.values() if isinstance(told, dict) else told))


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a whole number is none, or too large")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("a truth is none")
    return value


def _pair(values: Any) -> tuple[int, int]:
    first, last = _lengths(values)
    return first, last


def _lengths(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or len(values) > 1000:
        raise ValueError("lengths are no list")
    return tuple(map(_whole, values))


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError("a number is none")
    return float(value)


def _no(name: str) -> NoReturn:
    raise ValueError(f"its {name}")

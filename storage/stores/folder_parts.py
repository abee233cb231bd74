"""A file in a folder that comes in parts, in any order, by several processes at once.

Beside where ``a.h5`` will be lie two hidden files. ``.a.h5.part`` has the bytes, each part at its place.
``.a.h5.parts`` has one record for each part: who writes it, and its length once it is whole. Whoever writes bytes
first looks, under its lock, whether the part is still theirs: of two who send the same part the later counts, and a
caller who was thought gone cannot change a part that is whole, nor the complete file.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import Superseded
from storage.stores.backend import Part, Pieces, exactly, require_parts

RECORD = struct.Struct("<16sQ")
"""Of one part at ``number``: the token of who writes it, and its length once it is whole."""
CLOSED = 0
"""The record, of no part, that says that the file is complete."""
NOBODY = bytes(16)


def part_path(path: Path) -> Path:
    """Return where the bytes are while a file is not whole."""
    return path.with_name(f".{path.name}.part")


def table_path(path: Path) -> Path:
    """Return where it is told which parts are whole."""
    return path.with_name(f".{path.name}.parts")


def begin(path: Path) -> None:
    """Make both files; again does nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for one in (part_path(path), table_path(path)):
        os.close(os.open(one, os.O_CREAT | os.O_WRONLY, 0o666))


def put_part(path: Path, part: Part, pieces: Pieces) -> None:
    """Write a part at its place; raises Superseded once another writes it, or the file is complete."""
    token = secrets.token_bytes(len(NOBODY))
    with _opened(table_path(path)) as table, _opened(part_path(path)) as file:
        with _locked(table):
            _require_open(table, part)
            _write_record(table, part.number, token, 0)
        offset = part.byte_offset
        for piece in exactly(pieces, part):
            with _locked(table):
                _require_mine(table, part, token)
                write_at(file, piece, offset)
            offset += len(piece)
        os.fsync(file)  # a record never says more than the disk has
        with _locked(table):
            _require_mine(table, part, token)
            _write_record(table, part.number, token, part.nbytes)


def list_parts(path: Path) -> dict[int, int]:
    """Return the lengths of the parts that are whole, by number."""
    with _opened(table_path(path)) as table, _locked(table):
        return _whole_parts(table)


def complete(path: Path, parts: Sequence[Part]) -> None:
    """Make the file of its parts, unless that is done already."""
    nbytes = sum(part.nbytes for part in parts)
    try:
        with _opened(table_path(path)) as table, _opened(part_path(path)) as file, _locked(table):
            require_parts(path.name, parts, _whole_parts(table))
            _write_record(table, CLOSED, secrets.token_bytes(len(NOBODY)), 0)
            os.fsync(file)
            settle(part_path(path), path)
    except FileNotFoundError:
        if not path.exists() or path.stat().st_size != nbytes:
            raise
    with suppress(FileNotFoundError):
        table_path(path).unlink()


def settle(temporary: Path, path: Path) -> None:
    """Give a whole file its name, so that it has it also after a loss of power."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_at(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of some bytes at their place."""
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _whole_parts(table: int) -> dict[int, int]:
    content = os.pread(table, os.fstat(table).st_size, 0)
    records = enumerate(RECORD.iter_unpack(content[: len(content) // RECORD.size * RECORD.size]))
    return {number: nbytes for number, (_, nbytes) in records if nbytes and number != CLOSED}


def _require_open(table: int, part: Part) -> None:
    if _token(table, CLOSED) != NOBODY:
        raise Superseded(f"part {part.number} comes too late: the file is complete")


def _require_mine(table: int, part: Part, token: bytes) -> None:
    _require_open(table, part)
    if _token(table, part.number) != token:
        raise Superseded(f"part {part.number} is being sent again; that counts, and not this")


def _token(table: int, number: int) -> bytes:
    return os.pread(table, len(NOBODY), number * RECORD.size).ljust(len(NOBODY), b"\0")


def _write_record(table: int, number: int, token: bytes, nbytes: int) -> None:
    write_at(table, RECORD.pack(token, nbytes), number * RECORD.size)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _locked(table: int) -> Iterator[None]:
    """Hold the lock of a table; of each opened descriptor by itself, so threads exclude each other as well."""
    fcntl.flock(table, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(table, fcntl.LOCK_UN)

"""The parent of the processes that import: hands out ranges of a recording's files, and writes what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import cache
from typing import IO, Any

from storage.errors import Refused, SandboxAway
from storage.ingest.file_sets import Member
from storage.ingest.found import Found
from storage.ingest.imported_file import ImportedFile, Misfit
from storage.ingest.sandbox import sound, walls
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.messages import Channel
from storage.ingest.sandbox.process import ServerGone
from storage.ingest.sandbox.sandbox import Sandbox, sandbox
from storage.ingest.sandbox.serving import OpenedSet
from storage.ingest.sandbox.verified import Findings, Lie
from storage.objectstore import ObjectStore

PROGRAM = ("storage.ingest.sandbox.import_child", "main")
MAX_FILES = 4096
MAX_NAME = 255


class Importer(Sandbox):
    """Imports recordings, each in a process of its own. Parameters are those of ``Sandbox``."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        required: bool = False,
        raised: Collection[str] = tuple(walls.ORDER),
        program: Sequence[str] = PROGRAM,
    ) -> None:
        super().__init__(limits, required=required, raised=raised, program=program)

    def convert(
        self,
        store: ObjectStore,
        files: Sequence[Member],
        *,
        kind: str,
        name: str,
        content: IO[bytes],
        progress: Callable[[float], object] = lambda done: None,
    ) -> tuple[Found, list[Member]]:
        """Write an HDF5 file of all samples of a recording; return what is in it, and which files were read.

        Parameters
        ----------
        store : ObjectStore
        files : sequence of Member
            The one to begin with first.
        kind, name : str
            Format, and what the Block will be called.
        content : file object
            Binary, to be read and written: what it becomes. What is in it before is lost.
        progress : callable
            Is told how much is done, 0 to 1.

        Raises
        ------
        Refused
            If it is not of the format, or cannot be parsed within the limits.
        NotStored, StoreAway, FileChanged, SandboxAway
        """
        if len(files) > MAX_FILES:
            raise Refused(f"it has more than {MAX_FILES} files")
        nbytes = sum(one.stat.nbytes for one in files)
        limits = self.limits.for_import(nbytes)
        task = {
            "kind": kind,
            "primary": files[0].name,
            "name": name,
            "files": [{"name": one.name, "nbytes": one.stat.nbytes} for one in files],
            "nbytes": nbytes,
            "limits": asdict(limits),
            "walls": self.raised,
        }
        max_nbytes = limits.imported_nbytes_for(nbytes)
        for _ in range(2):  # a server that has died is started again, once
            content.truncate(0)
            with OpenedSet(store, files, limits) as opened, ImportedFile(content, max_nbytes) as target:
                arriving = Arriving(Findings(nbytes, limits), target, limits)

                def listen(channel: Channel, opened: OpenedSet = opened, arriving: Arriving = arriving) -> Found:
                    return arriving.listen(channel, opened, progress)

                try:
                    with self.server.new_child() as child:
                        found = self.talk(
                            child, task, [b""], listen, files[0].name, limits, limits.output_nbytes + max_nbytes
                        )
                except ServerGone:
                    continue
                return found, opened.used
        raise SandboxAway("no process can be started that would import files; try again later")


class Arriving:
    """What a process tells of a recording, checked as it comes.

    Parameters
    ----------
    findings : Findings
    target : ImportedFile
    limits : Limits
    """

    def __init__(self, findings: Findings, target: ImportedFile, limits: Limits) -> None:
        self._findings, self._target, self._limits = findings, target, limits

    def listen(self, channel: Channel, opened: OpenedSet, progress: Callable[[float], object]) -> Found:
        """Answer and take until all was said; raises Refused, Lie, Overasked, and what a channel raises."""
        while True:
            told, parts = channel.receive()
            kind, *more = told.keys() - {"parts"} or [""]
            if more or bool(parts) != (kind == "samples"):
                raise Lie("sent several things as one")
            if kind == "read":
                channel.send({}, opened.answer(told[kind]))
            elif kind == "progress":
                progress(_share(told[kind]))
            elif kind == "refused":
                raise Refused(self._findings.prose(told[kind]))
            elif kind == "end":
                return self._all()
            else:
                try:
                    self._take(kind, told.get(kind), parts)
                except Misfit as error:
                    raise Lie(f"told of {error}") from error

    def _take(self, kind: str, told: Any, parts: Sequence[memoryview]) -> None:
        found = self._findings.found
        if kind == "samples":
            if not isinstance(told, str) or len(parts) != 1:
                raise Misfit("samples of no array")
            self._target.append(told, parts[0])
            self._note_times(told)
        elif kind == "dataset":
            self._findings.take(kind, told, ())
            path = told["path"]
            form = found.datasets[path]
            if form.byte_offset is not None or form.chunk_shape is not None or form.values is not None:
                raise Misfit("an array that is stored somewhere")
            self._target.create(path, form.dtype, form.shape)
            if self._target.n_open > self._limits.open_arrays:
                raise Misfit("too many arrays at once")
            self._note_times(path)
        elif kind in ("array", "object", "refusal"):
            self._findings.take(kind, told, ())
            if kind == "object":
                arrays = found.objects[-1].arrays.values()
                if not all(self._target.is_whole(found.arrays[path].dataset) for path in arrays):
                    raise Misfit("an object before all of its samples")
        else:
            raise Lie("sent what is no finding")

    def _note_times(self, path: str) -> None:
        """Note an array that may be times once all of it has come."""
        blocks = self._target.blocks_of(path)
        if blocks is not None:
            self._findings.found.blocks[path] = blocks

    def _all(self) -> Found:
        """Return everything, with what reading it takes."""
        found = self._findings.found
        if self._target.n_open:
            raise Lie("ended before all samples")
        used = {path for one in found.objects for path in one.arrays.values()}
        found.arrays = {path: array for path, array in found.arrays.items() if path in used}
        if not found.arrays:
            raise Refused("there is nothing in it that could be served")
        attributes = {array.dataset: _attributes(array) for array in found.arrays.values()}
        written = self._target.describe(attributes)
        for told in written.datasets.values():
            sound.require_dataset(told, 1 << 62, self._limits)
        found.datasets, found.blocks = written.datasets, written.blocks
        return found


def _share(told: Any) -> float:
    is_known = isinstance(told, list) and len(told) == 3 and all(type(number) is int for number in told[1:])
    if not is_known or not 0 <= told[1] <= told[2] or not told[2]:
        raise Lie("told of progress that is none")
    return float(told[1] / told[2])


def _attributes(array: Any) -> dict[str, Any]:
    """Return what a file says of one of its arrays, for whoever opens it without this service."""
    told: dict[str, Any] = {"name": array.name}
    if array.units is not None:
        told["units"] = array.units
    if array.calibration is not None:
        told["gain"], told["offset"] = list(array.calibration.gain), array.calibration.offset
    return told


@cache
def importer() -> Importer:
    """Return the one that this process shares, with the limits of ``sandbox()``."""
    shared = sandbox()
    return Importer(shared.limits, required=shared.required)

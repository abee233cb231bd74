"""The parent of the processes that parse files: it hands out byte ranges, and believes nothing."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from storage.errors import NotOneArray, Refused, SandboxAway, StillWritten
from storage.ingest import file_sets
from storage.ingest.file_sets import Member, SetStat
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.formats.one_array import FORMATS
from storage.ingest.found import Found
from storage.ingest.inspect import RUN_ENDS
from storage.ingest.sandbox import walls
from storage.ingest.sandbox.findings import cleaned
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.messages import Channel, Closed, Garbage, TooLate
from storage.ingest.sandbox.process import SERVER, Child, ServerGone, ServerProcess
from storage.ingest.sandbox.serving import OpenedSet, Overasked
from storage.ingest.sandbox.verified import Findings, Lie
from storage.ingest.sorted_times import UNSORTED
from storage.ingest.vendor.beginnings import told_by_format
from storage.objectstore import ObjectStore
from storage.progress import DatasetProgress, untold
from storage.stores.backend import Content, Stat, file_name

log = logging.getLogger(__name__)

Heard = TypeVar("Heard")

MAX_COUNT = 2**63
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of times once all of them were read."""

    found: Found
    """The dataset, with its ``blocks``."""
    faults: list[str | None]
    """For each run, why it cannot be served, or None."""
    ends: NDArray[np.generic]
    """Shape (n_runs, 2), in the stored dtype: first and last value of each run."""

    @classmethod
    def of(cls, found: Found, path: str, n_runs: int) -> Order:
        """Take what a child found; raises Refused where it is anything else."""
        told = found.datasets.get(RUN_ENDS)
        ends = None if told is None else told.values
        dataset = found.datasets.get(path)
        if found.objects or dataset is None or path not in found.blocks or ends is None:
            raise Refused("the process that parsed it told of other things than the order of its times")
        if ends.shape != (n_runs, 2) or ends.dtype != dataset.dtype:
            raise Refused("the process that parsed it told of other runs of times than those asked for")
        reasons = {refusal.path: refusal.reason for refusal in found.refusals}
        faults = [
            None if str(number) in found.arrays and str(number) not in reasons else reasons.get(str(number), UNSORTED)
            for number in range(n_runs)
        ]
        return cls(found, faults, ends)


class Sandbox:
    """Parses files, each in a process of its own; any number of threads may ask at once.

    Parameters
    ----------
    limits : Limits, optional
    required : bool
        Whether to parse nothing where Linux cannot refuse calls and files (``walls.BY_KERNEL``).
    raised : collection of str
        Names of the walls; fewer than all only in tests of single ones.
    program : sequence of str
        Module and function that serve; another only in tests.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        required: bool = False,
        raised: Collection[str] = tuple(walls.ORDER),
        program: Sequence[str] = SERVER,
    ) -> None:
        self.limits, self.required = limits or Limits(), required
        self.server = ServerProcess(program)
        self.raised, self._told_missing = list(raised), False

    def start(self) -> None:
        """Start the server, so that the first file need not wait for it."""
        self.server.start()

    def close(self) -> None:
        """End the server and all its processes; the next file starts another."""
        self.server.close()

    def inspect(
        self,
        store: ObjectStore,
        url: str,
        stat: Stat,
        options: PlainOptions | None = None,
        progress: DatasetProgress = untold,
        *,
        name: str | None = None,
    ) -> Found:
        """Find everything in a file that can be served.

        Parameters
        ----------
        store : ObjectStore
        url : str
        stat : Stat
            Which version of the file is meant; of a recording of several, as ``file_sets.stat`` tells it.
        options : PlainOptions, optional
        progress : DatasetProgress
            Is told how many chunks of which dataset are indexed.
        name : str, optional
            What the file is called, where its key is not that.

        Raises
        ------
        Refused
            If it is of no known format, or cannot be parsed within the limits.
        StillWritten
            If a recording of several files is not whole yet.
        NotStored, StoreAway
        FileChanged
            If the store has another version of it by now.
        SandboxAway
            If no process can be started, or it has not the walls that are required.
        """
        several = isinstance(stat, SetStat)
        called = cleaned(file_sets.title(url) if several else PurePosixPath(file_name(name or url)).stem, MAX_NAME)
        told = {"do": "inspect", "name": called, "options": asdict(options or PlainOptions())}
        if not isinstance(stat, SetStat):
            try:
                return self._run(told, store, url, stat, progress)
            except Refused as error:
                raise told_by_format(store, url, stat, error) from None
        alone = {"is_left_alone": stat.is_left_alone}
        try:
            found = self._run({"do": "inspect several", "name": called, **alone}, store, url, stat, progress)
        except StillWritten:
            if stat.is_left_alone:
                raise Refused("the process that parsed it waits for what nobody writes") from None
            raise
        used = {one.file for one in found.datasets.values()}
        found.files = {one.name: one for one in stat.members if one.name in used}
        return found

    def check(self, store: ObjectStore, key: str, stat: Stat, progress: DatasetProgress = untold) -> Found:
        """Find the one array in the root of an uploaded file; parameters and exceptions are those of ``inspect``."""
        found = self._run({"do": "check"}, store, key, stat, progress)
        if len(found.arrays) != 1 or found.objects:
            raise Refused("the process that parsed it told of other things than one array")
        return found

    def order(
        self,
        store: ObjectStore,
        url: str,
        stat: Stat,
        path: str,
        runs: Sequence[tuple[int, int]],
        progress: DatasetProgress = untold,
    ) -> Order:
        """Find which runs of times of a dataset are sorted; other parameters and exceptions are those of ``inspect``.

        Parameters
        ----------
        path : str
            Of the dataset.
        runs : sequence of (start, stop)
            Rows; ``stop`` is out.
        """
        told = {"do": "order", "dataset": path, "runs": list(runs)}
        return Order.of(self._run(told, store, url, stat, progress), path, len(runs))

    def _run(self, told: dict[str, Any], store: ObjectStore, name: str, stat: Stat, progress: DatasetProgress) -> Found:
        members = stat.members if isinstance(stat, SetStat) else (Member(file_name(name), name, stat),)
        with OpenedSet(store, members, self.limits) as files:
            told = {**told, "files": [[one.name, one.stat.nbytes, one.is_read] for one in members]}
            task = {**told, "nbytes": files.nbytes, "limits": asdict(self.limits), "walls": self.raised}
            beginning = files.beginning()
            for _ in range(2):  # a server that has died is started again, once
                try:
                    with self.server.new_child() as child:
                        return self._found(child, task, beginning, files, progress)
                except ServerGone:
                    log.warning("the server of the sandbox has ended")
        raise SandboxAway("no process can be started that would parse files; try again later")

    def _found(
        self, child: Child, task: dict[str, Any], beginning: Content, files: OpenedSet, progress: DatasetProgress
    ) -> Found:
        """Let one process parse one recording."""

        def listen(channel: Channel) -> Found:
            several = {one.name: one.stat.nbytes for one in files.members} if len(files.members) > 1 else None
            return _listen(channel, Findings(task["nbytes"], self.limits, several), files, progress)

        name, limits = files.members[0].name, self.limits
        return self.talk(child, task, [beginning], listen, name, limits, limits.output_nbytes)

    def talk(
        self,
        child: Child,
        task: dict[str, Any],
        parts: Sequence[Content],
        listen: Callable[[Channel], Heard],
        name: str,
        limits: Limits,
        max_nbytes: int,
    ) -> Heard:
        """Give a process its task, and listen to it; whatever it does instead is a reason to refuse the file.

        Parameters
        ----------
        child : Child
        task : dict
        parts : sequence of bytes
            What comes with the task.
        listen : callable
            Hears what the process says, until that was all.
        name : str
            Of the file, for the log.
        limits : Limits
        max_nbytes : int
            Of all that the process says.

        Raises
        ------
        Refused, SandboxAway, ServerGone
        """
        channel = Channel(
            child.end,
            max_message_nbytes=limits.message_nbytes,
            max_nbytes=max_nbytes,
            deadline=time.monotonic() + limits.wall_s,
        )
        try:
            channel.send(task, parts)
            self._require_walls(channel.receive()[0])
            channel.send({"begin": True})
            return listen(channel)
        except TooLate:
            raise Refused(f"parsing it takes longer than {limits.wall_s:g} s") from None
        except Closed:
            raise Refused(_ended(child.status(), limits.cpu_s_for(task["nbytes"]))) from None
        except (Garbage, Overasked, Lie) as error:
            log.warning("the process that parsed %s %s", cleaned(name, MAX_NAME), error)
            raise Refused(f"the process that parsed it {error}") from error

    def _require_walls(self, told: dict[str, Any]) -> None:
        """Tell once which walls are missing; raise SandboxAway where that is not allowed."""
        missing = {name: told.get("walls", {}).get(name, "nothing is said of it") for name in self.raised}
        missing = {name: reason for name, reason in missing.items() if reason is not None}
        if self.required and not walls.BY_KERNEL.isdisjoint({*missing, *(walls.BY_KERNEL - {*self.raised})}):
            raise SandboxAway(f"nothing is parsed without the walls {', '.join(sorted(walls.BY_KERNEL))}: {missing}")
        if missing and not self._told_missing:
            self._told_missing = True
            log.warning("files are parsed without some walls, see docs/security.md: %s", missing)


def _listen(channel: Channel, findings: Findings, files: OpenedSet, progress: DatasetProgress) -> Found:
    """Answer what a process asks for, and take what it finds, until it says that this was all."""
    while True:
        told, parts = channel.receive()
        kind, *more = told.keys() - {"parts"} or [""]
        if more or (parts and kind not in ("dataset", "blocks")):
            raise Lie("sent several things as one")
        if kind == "read":
            channel.send({}, files.answer(told[kind]))
        elif kind == "progress":
            progress(*_progress(told[kind], findings))
        elif kind == "refused":
            raise Refused(findings.prose(told[kind]))
        elif kind == "growing":
            raise StillWritten(findings.prose(told[kind]))
        elif kind == "importable":
            raise _not_one_array(told[kind], findings)
        elif kind == "end":
            return findings.found
        else:
            findings.take(kind, told.get(kind), parts)


def _not_one_array(told: Any, findings: Findings) -> NotOneArray:
    if not isinstance(told, list) or len(told) != 2 or told[0] not in FORMATS:
        raise Lie("told of a format that is none")
    return NotOneArray(findings.prose(told[1]), told[0])


def _progress(told: Any, findings: Findings) -> tuple[str, int, int]:
    is_known = isinstance(told, list) and len(told) == 3 and all(type(number) is int for number in told[1:])
    if not is_known or not 0 <= told[1] <= told[2] < MAX_COUNT:
        raise Lie("told of progress that is none")
    return findings.prose(told[0]), told[1], told[2]


def _ended(status: int | None, cpu_s: int) -> str:
    """Return why a file is refused whose process ended; None is one that only stopped talking."""
    if status is None:
        return "the process that parsed it went silent"
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if number == signal.SIGXCPU:
        return f"parsing it takes more than {cpu_s} s of processor time"
    if number is not None:
        return f"parsing it ended the process by {signal.Signals(number).name}: it is damaged, or needs too much memory"
    return f"the process that parsed it ended with {os.waitstatus_to_exitcode(status)} before it was done"


@cache
def sandbox() -> Sandbox:
    """Return the one that this process shares; its limits can be set."""
    return Sandbox()

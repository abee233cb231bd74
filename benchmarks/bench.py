"""What all scenarios share: the folder of the data, the S3 server, and how thoroughly to measure."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.recordings import Recording
from benchmarks.s3.server import S3, serving

FOLDER = ROOT / ".bench"
BUCKET = "bench"
LATENCY_S = 0.02


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmark."""

    folder: Path
    s3: S3
    quick: bool
    limit_s: float
    """After which a step that may take very long is given up."""

    @property
    def recordings(self) -> Path:
        """Folder of the recordings, which is the bucket ``bench``."""
        return self.folder / "s3" / BUCKET

    @property
    def logs(self) -> Path:
        """Folder of what the processes complain about."""
        return self.folder / "logs"

    @property
    def rounds(self) -> int:
        """How often contestants take turns."""
        return 2 if self.quick else 6

    def make(self, *recordings: Recording) -> None:
        """Make recordings that are missing."""
        for recording in recordings:
            recording.made(self.recordings)


class Busy(Exception):
    """Another benchmark runs in this checkout."""


@contextmanager
def opened(*, quick: bool, limit_s: float) -> Iterator[Bench]:
    """Start the S3 server over the folder of the data; raises Busy."""
    for name in (f"s3/{BUCKET}", "logs", "results"):
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another benchmark runs in this checkout") from None
        for left in (FOLDER / "s3" / BUCKET / "store", *FOLDER.glob("archive-*")):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        with serving(FOLDER / "s3", FOLDER / "logs") as s3:
            yield Bench(FOLDER, s3, quick, limit_s)

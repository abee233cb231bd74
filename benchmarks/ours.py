"""This service as a contestant."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.answers import hdf5_samples, npy_samples
from benchmarks.bench import BUCKET, Bench
from benchmarks.processes import run
from benchmarks.recordings import RATE, Recording
from benchmarks.service import Contestant

NO_CHUNKS = {"EPHYSTORE_CHUNK_CACHE_MB": "0"}
"""Every slice fetches and decodes its chunk."""
NOTHING = {**NO_CHUNKS, "EPHYSTORE_INDEX_CACHE_MB": "0"}
"""And its part of the index before."""
DEFAULT: dict[str, str] = {}


class Archive:
    """A catalog of its own, and the recordings registered there, numbered in this order."""

    def __init__(self, bench: Bench, folder: Path, *, over_s3: bool) -> None:
        self._bench, self._over_s3 = bench, over_s3
        store = {"EPHYSTORE_STORE_URL": f"s3://{BUCKET}/store/{folder.name}"} if over_s3 else {}
        self.variables = {"EPHYSTORE_DATA": str(folder), **store}
        self._registered: list[Recording] = []
        self._flask("init")

    def register(self, recording: Recording, timeout_s: float = 600) -> None:
        """Register a recording; raises subprocess.TimeoutExpired where it takes longer than that."""
        place = f"s3://{BUCKET}/{recording.name}.h5"
        if not self._over_s3:
            place = str(self._bench.recordings / f"{recording.name}.h5")
        rate = ("--sampling-rate", f"{RATE / 1000:g} kHz", "--t-start", "0 ms", "--units", "mV")
        self._flask("register", "--safety-level", "1", *rate, place, timeout_s=timeout_s)
        self._registered.append(recording)

    def make_overviews(self, timeout_s: float = 1200) -> None:
        """Make the overviews of all recordings."""
        self._flask("overview", timeout_s=timeout_s)

    def contestant(
        self, name: str, recording: Recording, caches: dict[str, str], *, steps: int = 1, form: str = "hdf5"
    ) -> Contestant:
        """Return the service over this archive.

        Parameters
        ----------
        name : str
        recording : Recording
            Which is asked for.
        caches : dict
            ``NO_CHUNKS``, ``NOTHING`` or ``DEFAULT``.
        steps : int
            1 asks for samples by number; 2 asks the object for a time, then its link.
        form : str
            ``hdf5``, as when nothing is asked, or ``npy``.
        """
        number = self._registered.index(recording) + 1

        def targets(start: int, stop: int) -> Sequence[str]:
            by_time, by_number = addresses(number, start, stop)
            return [by_time, by_number][-steps:] if form == "hdf5" else [f"{by_number}&format={form}"]

        variables = {**self.variables, **caches}
        samples = hdf5_samples if form == "hdf5" else npy_samples
        return Contestant(name, "wsgi:app", targets, samples, recording, variables)

    def _flask(self, *arguments: str, timeout_s: float = 120) -> None:
        variables = {**self._bench.s3.variables, **self.variables}
        run([sys.executable, "-m", "flask", "--app", "wsgi", *arguments], variables, timeout_s)


@contextmanager
def archive(bench: Bench, *recordings: Recording, over_s3: bool = True) -> Iterator[Archive]:
    """Make an archive for as long as the block runs, and register recordings without delay."""
    bench.make(*recordings)
    bench.s3.delay(0)
    with tempfile.TemporaryDirectory(prefix="archive-", dir=bench.folder) as folder:
        made = Archive(bench, Path(folder), over_s3=over_s3)
        for recording in recordings:
            made.register(recording)
        yield made


def addresses(number: int, start: int, stop: int) -> tuple[str, str]:
    """Return where to ask for a signal by time, and the link in the answer."""
    begin_ms, duration_ms = 1000 * start / RATE, 1000 * (stop - start - 1) / RATE
    by_time = f"/electrophysiology/analogsignal/{number}/?start_time={begin_ms:.10g}&duration={duration_ms:.10g}"
    return by_time, f"/datafiles/{number}?start_index={start}&end_index={stop}"

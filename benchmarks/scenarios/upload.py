"""Somebody sends one long file: to a folder and to S3, and beside that straight to the same S3."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from benchmarks import processes
from benchmarks.bench import BUCKET, Bench
from benchmarks.processes import HOST, cpu_s, free_port, running, wait_for
from benchmarks.report import Report
from benchmarks.sender import DIRECT
from storage.catalog.database import connect
from storage.catalog.migrate import migrate
from tests.people import session_of

NBYTES, QUICK_NBYTES = 2_000_000_000, 300_000_000
COLUMNS = ["", "MB/s", "x the best direct way", "peak MB of the worker", "CPU s of the worker"]
TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Receiver:
    """The service, in one process."""

    port: int
    cookie: str
    worker: int

    @property
    def peak_nbytes(self) -> int:
        """The most memory that the process ever had."""
        status = Path(f"/proc/{self.worker}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@dataclass(frozen=True, slots=True)
class Sent:
    """What one run took."""

    seconds: float
    cpu_s: float = 0.0


def run_once(bench: Bench, variables: Mapping[str, str], nbytes: int, receiver: Receiver | None, way: str) -> Sent:
    """Send once, and remove what was sent from the disk's way."""
    more = [] if receiver is None else [str(receiver.port), receiver.cookie]
    before = 0.0 if receiver is None else cpu_s(receiver.worker)
    told = processes.run([sys.executable, "-m", "benchmarks.sender", way, str(nbytes), *more], variables, TIMEOUT_S)
    spent = 0.0 if receiver is None else cpu_s(receiver.worker) - before
    (bench.folder / "s3" / BUCKET / "store" / "sent-directly.h5").unlink(missing_ok=True)
    return Sent(json.loads(told)["seconds"], spent)


@contextmanager
def receiving(bench: Bench, variables: Mapping[str, str], *, over_s3: bool) -> Iterator[Receiver]:
    """Serve while the block runs; what was sent is removed after."""
    with tempfile.TemporaryDirectory(prefix="archive-", dir=bench.folder) as made:
        folder, port, log = Path(made), free_port(), bench.logs / "upload.log"
        store = {"EPHYSTORE_STORE_URL": f"s3://{BUCKET}/store/{folder.name}"} if over_s3 else {}
        engine = connect(f"sqlite:///{folder}/catalog.sqlite")
        migrate(engine)
        cookie = session_of(engine, "bench")
        own = {**variables, **store, "EPHYSTORE_DATA": made, "EPHYSTORE_WORKERS": "1"}
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", f"{HOST}:{port}", "wsgi:app"]
        with running(gunicorn, log, **own) as process:
            wait_for(process, port, log)
            while not (workers := psutil.Process(process.pid).children()):
                continue
            yield Receiver(port, cookie, workers[0].pid)
        shutil.rmtree(bench.folder / "s3" / BUCKET / "store" / folder.name, ignore_errors=True)


def run(bench: Bench) -> Report:
    """Send in turn by each way."""
    nbytes = QUICK_NBYTES if bench.quick else NBYTES
    report = Report(f"Upload: one file of {nbytes / 1e9:g} GB by one caller")
    # Straight to rclone: the proxy, which is Python, would be what is measured.
    variables = {**bench.s3.variables, "AWS_ENDPOINT_URL": f"http://{HOST}:{bench.s3.rclone_port}"}
    direct: dict[str, list[Sent]] = {way: [] for way in DIRECT}
    rounds = 2 if bench.quick else 3
    with (
        receiving(bench, variables, over_s3=True) as over_s3,
        receiving(bench, variables, over_s3=False) as into_folder,
    ):
        found: dict[str, list[Sent]] = {"to S3": [], "to a folder": []}
        for _ in range(rounds):
            for way, runs in direct.items():
                runs.append(run_once(bench, variables, nbytes, None, way))
            found["to S3"].append(run_once(bench, variables, nbytes, over_s3, "service"))
            found["to a folder"].append(run_once(bench, variables, nbytes, into_folder, "service"))
        peaks = {"to S3": over_s3.peak_nbytes / 1e6, "to a folder": into_folder.peak_nbytes / 1e6}
    rates = {name: nbytes / 1e6 / median(one.seconds for one in runs) for name, runs in (found | direct).items()}
    best = max(rates[way] for way in direct)
    rows: list[list[object]] = [
        [f"ours, {name}", rates[name], rates[name] / best, peaks[name], median(one.cpu_s for one in found[name])]
        for name in found
    ]
    report.table(
        COLUMNS, rows + [[f"straight to S3, {way}", rates[way], rates[way] / best, None, None] for way in direct]
    )
    report.at_most("peak of a worker", max(peaks.values()), 150, " MB")
    report.at_least("to S3, times the best direct way", rates["to S3"] / best, 0.7)
    report.at_least("to a folder", rates["to a folder"], 250, " MB/s")
    return report

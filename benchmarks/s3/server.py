"""rclone's S3 server with the proxy before it, as one S3 at one address."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import HOST, free_port, running, wait_for
from benchmarks.s3.journal import Asked

# No read-ahead, no waiting for reads in sequence and no checksums of whole files: ranges are all that is asked.
RCLONE_OPTIONS = (
    "--etag-hash=",
    "--buffer-size=0",
    "--vfs-read-wait=0",
    "--no-checksum",
    "--vfs-fast-fingerprint",
    "--dir-cache-time=1s",  # sees files that come to its folder by other ways
    "--log-level=ERROR",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was asked since the last ``clear``."""

    n_requests: int
    nbytes: int
    """Of answered bodies."""


class S3:
    """An S3 whose buckets are the folders in ``root`` at its start."""

    def __init__(self, port: int, control: int, rclone_port: int, rclone_pid: int, proxy_pid: int) -> None:
        self.port, self.rclone_port = port, rclone_port
        self.url = f"http://{HOST}:{port}"
        self.rclone_pid, self.proxy_pid = rclone_pid, proxy_pid
        self._control = socket.create_connection((HOST, control), timeout=60)
        self._lines = self._control.makefile("r")

    @property
    def variables(self) -> dict[str, str]:
        """The environment that leads clients here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def delay(self, delay_s: float) -> None:
        """Make every answer from now on begin this much later."""
        self._ask(f"delay {delay_s}")

    def clear(self) -> None:
        """Forget what was asked."""
        self._ask("clear")

    @property
    def counts(self) -> Counts:
        """How much was asked."""
        told = self._ask("counts")
        return Counts(told["n_requests"], told["nbytes"])

    @property
    def requests(self) -> list[Asked]:
        """What was asked, each request by itself; ``tests.s3.rounds`` counts the dependent ones."""
        return [Asked(**one) for one in self._ask("requests")]

    def _ask(self, command: str) -> Any:
        self._control.sendall(command.encode() + b"\n")
        return json.loads(self._lines.readline())

    def close(self) -> None:
        """End the conversation with the proxy."""
        self._lines.close()
        self._control.close()


@contextmanager
def serving(root: Path, logs: Path) -> Iterator[S3]:
    """Serve the folders in ``root`` as buckets while the block runs."""
    rclone_port = free_port()
    rclone_log, proxy_log = logs / "rclone.log", logs / "proxy.log"
    rclone = [_rclone(), "serve", "s3", str(root), f"--addr={HOST}:{rclone_port}", *RCLONE_OPTIONS]
    proxy = [sys.executable, "-m", "benchmarks.s3.proxy", f"--store-port={rclone_port}", f"--root={root}"]
    with running(rclone, rclone_log, GOGC="400") as store:
        wait_for(store, rclone_port, rclone_log)
        with running(proxy, proxy_log) as before:
            assert before.stdout is not None
            told = before.stdout.readline()
            if not told:
                raise RuntimeError(f"the proxy does not start: {proxy_log.read_text()[-2000:]}")
            found = S3(**json.loads(told), rclone_port=rclone_port, rclone_pid=store.pid, proxy_pid=before.pid)
            try:
                yield found
            finally:
                found.close()


def _rclone() -> str:
    beside_python = Path(sys.executable).with_name("rclone")
    found = str(beside_python) if beside_python.exists() else shutil.which("rclone")
    if found is None:
        raise RuntimeError("rclone is not installed")
    return found

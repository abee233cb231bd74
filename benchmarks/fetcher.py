"""A process that fetches ranges through one backend, and prints as JSON how many and at what cost.

    python -m benchmarks.fetcher MODULE:NAME THREADS SECONDS

Every range is compared with the local file, after the time was taken.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time

from benchmarks.backends import maker
from benchmarks.bench import BUCKET, FOLDER
from benchmarks.recordings import HOUR
from storage.ranges import ByteRange
from storage.stores.backend import Backend

NBYTES = 1 << 16
LOCATION = f"{BUCKET}/{HOUR.name}.h5"
WARMING = 4


def cpu_s() -> float:
    """Return the CPU time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def fetch(backend: Backend, pin: str, starts: list[int], seconds: float, got: list[tuple[int, bytes]]) -> None:
    """Fetch one range after the other for a while."""
    deadline = time.perf_counter() + seconds
    for start in starts:
        if time.perf_counter() >= deadline:
            return
        (content,) = backend.get_ranges(LOCATION, [ByteRange(start, NBYTES)], pin)
        got.append((start, content))


def side_by_side(backend: Backend, pin: str, n_threads: int, seconds: float, count: int) -> list[tuple[int, bytes]]:
    """Fetch from several threads."""
    got: list[tuple[int, bytes]] = []
    threads = [
        threading.Thread(target=fetch, args=(backend, pin, HOUR.places(number, count), seconds, got))
        for number in range(n_threads)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return got


def main() -> None:
    """Measure one backend."""
    make, n_threads, seconds = maker(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    assert make is not None
    backend = make()
    pin = backend.stat(LOCATION).pin
    side_by_side(backend, pin, n_threads, 60, WARMING)
    cpu_before_s, began_s = cpu_s(), time.perf_counter()
    got = side_by_side(backend, pin, n_threads, seconds, 5000)
    elapsed_s, spent_s = time.perf_counter() - began_s, cpu_s() - cpu_before_s
    with (FOLDER / "s3" / LOCATION).open("rb") as file:
        for start, content in got:
            assert content == os.pread(file.fileno(), NBYTES, start), start
    print(json.dumps({"n_requests": len(got), "elapsed_s": elapsed_s, "cpu_s": spent_s}))


if __name__ == "__main__":
    main()

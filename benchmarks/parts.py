"""CPU time of one slice by part, in one process and without a socket.

    python -m benchmarks.parts FILE

Prints JSON: microseconds by part, statements, and memory. Each part is carried out many times by itself, so its code
and data are at hand in the processor's caches; in a whole answer they are not, which is told as a part, too.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from flask import Flask, Response
from sqlalchemy import event
from werkzeug.test import create_environ

from app.answers import ArrayAnswer, answer_array
from app.encoders import ENCODERS
from app.services import Services
from benchmarks.recordings import SLICE_SAMPLES
from schemas.queries import DATAFILE, load
from storage.catalog.uses import datafile_and_uses
from storage.hdf5.chunk import decoded
from storage.hdf5.layout import Chunked
from storage.ranges import ByteRange
from tests.archive import Archive

N_RUNS = 400


def cpu_us(work: Callable[[], object]) -> float:
    """Return the CPU time of one call, of all threads of this process."""
    for _ in range(20):
        work()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(N_RUNS):
        work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return 1e6 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / N_RUNS


def answered(app: Flask, target: str, query: str = "") -> int:
    """Let an application answer as a server would; return the bytes of the answer."""
    content = app(create_environ(target, query_string=query), lambda status, headers, error=None: None)
    nbytes = sum(len(part) for part in content)
    content.close()
    return nbytes


def bare_flask() -> Flask:
    """Return an application that does nothing."""
    app = Flask("bare", static_folder=None)
    app.add_url_rule("/datafiles/<int:number>", "nothing", lambda number: Response(b""))
    return app


def measured(place: str, folder: Path) -> dict[str, float]:
    """Return the figures of slices of a registered file."""
    archive = Archive(folder, EPHYSTORE_CHUNK_CACHE_MB="0")
    outcome = archive.register(place, sampling_rate=(30.0, "kHz"), t_start=(0.0, "ms"), units="mV")
    assert outcome.state == "registered", outcome
    services, target = archive.services, "/datafiles/1"
    starts = random.Random(5)

    def query() -> str:
        start = starts.randrange(100_000_000)
        return f"start_index={start}&end_index={start + SLICE_SAMPLES}"

    def catalog() -> object:
        with services.connection() as connection:
            return datafile_and_uses(connection, 1)

    pairs = [("start_index", "1000000"), ("end_index", str(1_000_000 + SLICE_SAMPLES))]
    datafile, uses = datafile_and_uses(services.connection(), 1)
    bare = bare_flask()
    found: dict[str, float] = {"flask and werkzeug": cpu_us(lambda: answered(bare, target))}
    found["query string"] = cpu_us(lambda: load(DATAFILE, pairs))
    found["catalog: the one statement"] = cpu_us(catalog)
    asked = load(DATAFILE, pairs)
    with archive.app.test_request_context(target):

        def planned() -> ArrayAnswer:
            return answer_array(datafile, uses, asked, services)

        found["axis, selection, ETag"] = cpu_us(planned)
        answer = planned()
        found["fetch"], found["inflate"] = _fetched_and_inflated(answer, services)
        found["read, all of it"] = cpu_us(lambda: list(services.reader.read(answer.answer)))
        found["encode"] = cpu_us(
            lambda: list(ENCODERS["hdf5"](answer.form, services.reader.read(answer.answer)).content)
        )
    found["encode"] -= found["read, all of it"]
    found["chunks, cache, unshuffle"] = found.pop("read, all of it") - found["fetch"] - found["inflate"]
    whole = cpu_us(lambda: answered(archive.app, target, query()))
    found["rest, and caches of the processor"] = whole - sum(found.values())
    found["a slice without sockets"] = whole
    return found | _counted(archive, lambda: answered(archive.app, target, query()))


def _fetched_and_inflated(answer: ArrayAnswer, services: Services) -> tuple[float, float]:
    """Return the times of one chunk."""
    dataset = answer.answer.array.dataset
    reader = services.reader.datasets
    assert isinstance(dataset.layout, Chunked)
    layout = dataset.layout
    (row,) = layout.index.rows(
        np.array([answer.answer.request.selection.start // layout.chunk_shape[0]]), reader.indices
    )
    part = ByteRange(int(row["byte_offset"]), int(row["nbytes"]))

    def fetch() -> bytes | memoryview:
        (content,) = reader.store.get_ranges(dataset.file, [part], pin=dataset.pin)
        return content

    raw, form = fetch(), {"dtype": dataset.dtype, "shape": layout.chunk_shape}
    return cpu_us(fetch), cpu_us(lambda: decoded(raw, layout.filters, filter_mask=0, **form))


def _counted(archive: Archive, work: Callable[[], object]) -> dict[str, float]:
    """Return statements, and what one slice allocates at its peak."""
    statements: list[str] = []
    event.listen(archive.services.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    blocks = sys.getallocatedblocks()
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "statements beside the one": len(statements),
        "peak kB of memory": peak / 1000,
        "blocks that stay": sys.getallocatedblocks() - blocks,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(sys.argv[1], Path(folder))))

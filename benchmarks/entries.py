"""The contestants beside ours, and how each is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.answers import hdf5_samples, npy_samples
from benchmarks.bench import BUCKET, Bench
from benchmarks.contestants.references import write_references
from benchmarks.recordings import DATASET, Recording
from benchmarks.service import Contestant


def _by_slice(start: int, stop: int) -> Sequence[str]:
    return [f"/slice?start={start}&stop={stop}"]


def _over_s3(name: str, module: str, recording: Recording, **more: str) -> Contestant:
    variables = {"BENCH_FILE": f"{BUCKET}/{recording.name}.h5", "BENCH_DATASET": DATASET, **more}
    return Contestant(name, f"benchmarks.contestants.{module}:app", _by_slice, hdf5_samples, recording, variables)


def obvious(recording: Recording) -> Contestant:
    """Return what one writes first: Flask, s3fs as it is, the file opened for each request."""
    return _over_s3("obvious: h5py over s3fs", "obvious", recording)


def cached(recording: Recording, cache: Mapping[str, Any]) -> Contestant:
    """Return the same with another cache: one of ``choices``, or one that the scenario ``caches`` tries."""
    kept = "kept open" if cache["keep_open"] else "opened anew"
    told = f"h5py over s3fs, {cache['cache_type']} {cache['block_size'] >> 10} kB, {kept}"
    return _over_s3(told, "cached", recording, BENCH_CACHE=json.dumps(cache))


def kerchunk_zarr(bench: Bench, recording: Recording) -> Contestant:
    """Return zarr 3 over references that kerchunk made before."""
    path = bench.folder / f"{recording.name}.references.json"
    if not path.exists():
        write_references(bench.recordings / f"{recording.name}.h5", f"s3://{BUCKET}/{recording.name}.h5", path)
    return _over_s3("kerchunk and zarr 3", "kerchunk_zarr", recording, BENCH_REFERENCES=str(path))


def h5grove(bench: Bench, recording: Recording) -> Contestant:
    """Return h5grove over the folder of the recordings; it knows no S3."""

    def targets(start: int, stop: int) -> Sequence[str]:
        return [f"/data?file={recording.name}.h5&path=/{DATASET}&selection={start}:{stop}&format=npy"]

    variables = {"BENCH_FOLDER": str(bench.recordings)}
    return Contestant(
        "h5grove, local file", "benchmarks.contestants.grove:app", targets, npy_samples, recording, variables
    )

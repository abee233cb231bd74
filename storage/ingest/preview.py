"""What the service would make of a file, and what reading it would cost: found without a catalog, stored nowhere."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from storage.answer import ReadRequest, StoredArray, prepare
from storage.cache import Cache
from storage.catalog.arrays import stored_array
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.models import TYPES
from storage.errors import Refused
from storage.hdf5 import sidecar
from storage.hdf5.chunk import Chunk
from storage.hdf5.chunk_index import IndexSource
from storage.hdf5.dataset import DatasetReader
from storage.hdf5.filters import NAMES
from storage.ingest import file_sets, record, sidecars
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.found import Found, FoundArray, FoundObject, Refusal
from storage.ingest.record import Sidecar
from storage.ingest.sandbox.sandbox import sandbox
from storage.objectstore import ObjectStore
from storage.progress import DatasetProgress, untold
from storage.reader import Reader
from storage.selection import Selection
from storage.side_by_side import SideBySide
from storage.stores.backend import Stat, file_name
from storage.timings import Timings
from storage.units import hertz, seconds

INDICES_NBYTES = 64 << 20
ONE_SECOND = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What reading asks of the store, where nothing is cached."""

    requests: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class SeenArray:
    """One array of an object."""

    field: str
    path: str
    """Of its dataset."""
    shape: tuple[int, ...]
    dtype: str
    """As stored, …"""
    answered_dtype: str
    """… and as it is answered."""
    units: str | None
    chunk_shape: tuple[int, ...] | None
    filters: tuple[str, ...]
    one_channel: Cost | None = None
    """Of one second, or of all where it is shorter; of signals only."""
    all_channels: Cost | None = None


@dataclass(slots=True)
class Seen:
    """One object, and what belongs to it."""

    type_name: str
    name: str
    fields: Mapping[str, Any]
    arrays: list[SeenArray] = field(default_factory=list)
    children: list[Seen] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """What the service would make of a file."""

    url: str
    nbytes: int
    roots: list[Seen]
    refusals: list[Refusal]
    sidecar_nbytes: int
    """What the service would store beside it."""


def preview(store: ObjectStore, url: str, plain: PlainOptions, progress: DatasetProgress = untold) -> Preview:
    """Look into a file as registering does, times included.

    Parameters
    ----------
    store : ObjectStore
    url : str
    plain : PlainOptions
    progress : DatasetProgress
        Is told how many chunks of which dataset are indexed.

    Raises
    ------
    Refused
        If nothing of it can be served.
    NotStored, StoreAway, FileChanged, SandboxAway
    """
    stat = file_sets.stat(store, url)
    found = sandbox().inspect(store, url, stat, plain, progress)
    refusals = [*found.refusals, *_check_order(found, store, url, stat, progress)]
    with _stored(found) as (indices, keys):
        file = StoredFile(name=url, pin=stat.pin, nbytes=stat.nbytes)
        others = {
            name: StoredFile(name=one.url, pin=one.stat.pin, nbytes=one.stat.nbytes)
            for name, one in found.files.items()
            if one.url != url
        }
        rows = {
            path: Datafile(
                **record.datafile_columns(array, found, keys[array.dataset]),
                file=file,
                lies_in=others.get(found.datasets[array.dataset].file or ""),
            )
            for path, array in found.arrays.items()
        }
        reader = _reader(indices)
        nodes = {(one.type_name, one.source_path): _seen(one, found, rows, reader) for one in found.objects}
    roots: list[Seen] = []
    for one in found.objects:
        node = nodes[one.type_name, one.source_path]
        above = [nodes[parent] for parent in one.parents.items() if parent in nodes]
        (above[0].children if above else roots).append(node)
    made = [sidecars.content(found, path) for path in {array.dataset for array in found.arrays.values()}]
    return Preview(url, stat.nbytes, roots, refusals, sum(len(one[0]) for one in made if one is not None))


def _check_order(
    found: Found, store: ObjectStore, url: str, stat: Stat, progress: DatasetProgress
) -> Iterator[Refusal]:
    """Check long times as the job does that follows; objects whose times are not sorted are taken out and told."""
    by_dataset: dict[str, list[FoundArray]] = {}
    for path in sorted(record.unordered_of(found)):
        by_dataset.setdefault(found.arrays[path].dataset, []).append(found.arrays[path])
    for dataset, arrays in by_dataset.items():
        runs = [(one.first_row, one.first_row + one.n_samples) for one in arrays]
        try:
            order = sandbox().order(store, url, stat, dataset, runs, progress)
        except Refused as error:
            faults: list[str | None] = [str(error)] * len(runs)
        else:
            found.blocks[dataset], faults = order.found.blocks[dataset], order.faults
        for array, fault in zip(arrays, faults, strict=True):
            if fault is None:
                continue
            bad = {one.source_path for one in found.objects if _times(one) == array.source_path}
            found.objects[:] = [
                one for one in found.objects if not (one.source_path in bad and one.type_name in _timed_or_unit())
            ]
            yield from (Refusal(path, fault) for path in sorted(bad))


def _timed_or_unit() -> set[str]:
    return {"unit", *(name for name, model in TYPES.items() if model.time_field is not None)}


def _times(one: FoundObject) -> str | None:
    return one.arrays.get(TYPES[one.type_name].time_field or "")


@contextmanager
def _stored(found: Found) -> Iterator[tuple[ObjectStore, dict[str, Sidecar | None]]]:
    """Keep the sidecars of all datasets in memory, so that reading is planned by what the service itself would read."""
    store = ObjectStore(f"memory://check-{secrets.token_hex(8)}")
    keys: dict[str, Sidecar | None] = {}
    try:
        for path in {array.dataset for array in found.arrays.values()}:
            made = sidecars.content(found, path)
            keys[path] = None if made is None else Sidecar(sidecar.new_key(), made[1])
            if made is not None:
                store.put(keys[path].key, made[0])  # type: ignore[union-attr]
        yield store, keys
    finally:
        for one in keys.values():
            if one is not None:
                store.remove(one.key)


def _reader(store: ObjectStore) -> Reader:
    indices = IndexSource(
        store=store, cache=Cache(INDICES_NBYTES, lambda rows: rows.nbytes), short_index=lambda _key: None
    )
    decoders = SideBySide(1, per_call=1, name="decode")
    chunks: Cache[Chunk] = Cache(0, lambda chunk: chunk.nbytes)
    return Reader(
        DatasetReader(store=store, indices=indices, chunk_cache=chunks, decoders=decoders, ahead=ThreadPoolExecutor(1))
    )


def _seen(one: FoundObject, found: Found, rows: Mapping[str, Datafile], reader: Reader) -> Seen:
    arrays = [_seen_array(name, found.arrays[path], one, found, rows, reader) for name, path in one.arrays.items()]
    name = one.fields.get("name") or file_name(one.source_path)
    return Seen(one.type_name, str(name), one.fields, arrays)


def _seen_array(
    name: str, array: FoundArray, one: FoundObject, found: Found, rows: Mapping[str, Datafile], reader: Reader
) -> SeenArray:
    described = found.datasets[array.dataset]
    stored = stored_array(rows[array.source_path])
    rate = _rate_hz(one, found) if name == "signal" else None
    costs = (None, None) if rate is None else _costs(stored, rate, reader)
    return SeenArray(
        field=name,
        path=array.dataset,
        shape=stored.shape,
        dtype=described.dtype.name if described.dtype.kind != "S" else described.dtype.str[1:],
        answered_dtype=stored.dtype.name if stored.dtype.kind != "S" else stored.dtype.str[1:],
        units=array.units,
        chunk_shape=described.chunk_shape,
        filters=tuple(NAMES.get(step.id, str(step.id)) for step in described.filters),
        one_channel=costs[0],
        all_channels=costs[1],
    )


def _rate_hz(one: FoundObject, found: Found) -> float | None:
    """Return the sampling rate of an object, on average where it has times; None where it has none."""
    if "sampling_rate" in one.fields:
        return float(one.fields["sampling_rate"]) * float(hertz(one.fields["sampling_rate_units"]))
    times = found.arrays.get(_times(one) or "")
    blocks = None if times is None else found.blocks.get(times.dataset)
    if times is None or blocks is None or not len(blocks):
        return None
    lasts_s = (float(blocks[-1, 1]) - float(blocks[0, 0])) * float(seconds(times.units or "s"))
    return (times.n_samples - 1) / lasts_s if lasts_s > 0 else float(times.n_samples)


def _costs(array: StoredArray, rate_hz: float, reader: Reader) -> tuple[Cost | None, Cost | None]:
    """Return what one second in the middle costs: of the first channel, and of all."""
    n_samples = min(array.n_samples, max(1, round(rate_hz * ONE_SECOND)))
    start = (array.n_samples - n_samples) // 2
    selection = Selection(start, start + n_samples)
    everything = _cost(array, selection, None, reader)
    is_2d = len(array.shape) == 2
    return (_cost(array, selection, (0,), reader) if is_2d and array.shape[1] else everything), everything


def _cost(array: StoredArray, selection: Selection, channels: Sequence[int] | None, reader: Reader) -> Cost:
    chosen = None if channels is None else tuple(channels)
    plan = reader.plan(prepare(array, ReadRequest(selection, channels=chosen), Timings()))
    return Cost(len(plan.ranges), sum(part.nbytes for part in plan.ranges))

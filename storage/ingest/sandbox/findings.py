"""What the child found, made fit to be sent: without what is unsound, and what stands on that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from storage.errors import Refused
from storage.hdf5.file import Description
from storage.ingest.found import CONTROL, Found, FoundArray, FoundObject, Refusal, written_out
from storage.ingest.sandbox import sound
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.messages import Channel

CUT = " … (cut)"
MAX_DEPTH = 6
"""Of an annotation."""
WHOLE_NUMBERS = range(-(2**63), 2**64)
"""What JSON tells exactly."""


def cleaned(text: str, max_length: int, *, lines: bool = False) -> str:
    """Return text cut to a length, with whatever cannot be printed written out."""
    written = written_out(text[: max_length + 1], sound.CONTROL_BUT_LINES if lines else CONTROL)
    return written if len(written) <= max_length else written[: max_length - len(CUT)] + CUT


def fit(found: Found, file_nbytes: int, limits: Limits, several: Mapping[str, int] | None = None) -> Found:
    """Return those findings that the parent will take; what is left out is among their refusals.

    Parameters
    ----------
    found : Found
    file_nbytes : int
    limits : Limits
    several : mapping of str to int, optional
        Lengths of the files of a recording of several, by name.

    Raises
    ------
    Refused
        If there are more of them than it will take.
    """
    for some, what in ((found.objects, "objects"), (found.arrays, "arrays"), (found.datasets, "datasets")):
        if len(some) > limits.items:
            raise Refused(f"it has more than {limits.items} {what}")
    kept = Found(refusals=list(found.refusals))
    arrays = {path: _with_clean_texts(array, limits) for path, array in found.arrays.items()}
    used = {array.dataset for array in arrays.values()}
    for path, told in found.datasets.items():
        nbytes = file_nbytes if several is None or told.file is None else several[told.file]
        if path in used and _stands(kept, path, partial(_require_dataset, found, path, told, nbytes, limits)):
            kept.datasets[path] = told
    kept.blocks = {path: blocks for path, blocks in found.blocks.items() if path in kept.datasets}
    for path, array in arrays.items():
        dataset = kept.datasets.get(array.dataset)
        if dataset is not None and _stands(kept, path, partial(sound.require_array, array, dataset, limits)):
            kept.arrays[path] = array
    _keep_objects(found, kept, limits)
    _leave_out_remains(found, kept)
    if found.identity is not None and len(found.identity) <= limits.identity_length:
        kept.identity = found.identity if CONTROL.search(found.identity) is None else None
    kept.refusals = [_fit_refusal(one, limits) for one in kept.refusals[: limits.refusals]]
    if len(found.refusals) > limits.refusals:
        kept.refusals[-1] = Refusal("/", f"there is more that cannot be served: {len(found.refusals)} in all")
    return kept


def _stands(kept: Found, path: str, check: Callable[[], None]) -> bool:
    """Tell whether a check raises nothing, and note what it says."""
    try:
        check()
    except Refused as error:
        kept.refusals.append(Refusal(path, str(error)))
        return False
    return True


def _require_dataset(found: Found, path: str, told: Description, file_nbytes: int, limits: Limits) -> None:
    sound.require_name(path, "path", limits)
    sound.require_dataset(told, file_nbytes, limits)
    if path in found.blocks:
        sound.require_blocks(told, found.blocks[path])


def _with_clean_texts(array: FoundArray, limits: Limits) -> FoundArray:
    """Return an array whose unit and channels' names, which are only shown, can be printed."""
    units = None if array.units is None else cleaned(array.units, limits.label_length)
    names = array.channel_names
    if names is not None:
        names = [cleaned(name, limits.label_length) for name in names]
    return replace(array, units=units, channel_names=names)


def _keep_objects(found: Found, kept: Found, limits: Limits) -> None:
    """Keep those objects whose parents and arrays are kept."""
    there: set[tuple[str, str]] = set()
    for one in found.objects:
        if not one.parent_keys() <= there:
            continue
        if not all(path in kept.arrays for path in one.arrays.values()):
            continue
        if (one.type_name, one.source_path) in there:
            kept.refusals.append(Refusal(one.source_path, "another has the same path, as far as it can be written"))
        elif _stands(kept, one.source_path, partial(_keep_sound_object, kept, one, limits)):
            there.add((one.type_name, one.source_path))


def _leave_out_remains(found: Found, kept: Found) -> None:
    """Leave out arrays all of whose objects were left out, and what only these needed."""
    needed = {path for one in kept.objects for path in (*one.arrays.values(), *one.noted.values())}
    told = {path for one in found.objects for path in (*one.arrays.values(), *one.noted.values())}
    for path in told - needed:
        kept.arrays.pop(path, None)
    datasets = {array.dataset for array in kept.arrays.values()}
    kept.datasets = {path: told for path, told in kept.datasets.items() if path in datasets}
    kept.blocks = {path: blocks for path, blocks in kept.blocks.items() if path in datasets}


def _keep_sound_object(kept: Found, one: FoundObject, limits: Limits) -> None:
    sound.require_arrays(one.arrays, kept)
    _keep_object(kept, one, limits)


def _keep_object(kept: Found, one: FoundObject, limits: Limits) -> None:
    sound.require_name(one.source_path, "path", limits)
    sound.require_fields(one.fields)
    noted = {name: path for name, path in one.noted.items() if path in kept.arrays}
    fit_one = replace(one, fields={name: _plain(value, limits) for name, value in one.fields.items()}, noted=noted)
    if len(orjson.dumps(_object(fit_one))) > limits.message_nbytes:
        raise Refused(f"its annotations are longer than {limits.message_nbytes >> 20} MiB")
    kept.objects.append(fit_one)


def _plain(value: Any, limits: Limits, depth: int = 0) -> Any:
    """Return a value as JSON has it; numbers that JSON cannot tell are None."""
    if depth > MAX_DEPTH:
        raise Refused("its annotations are nested too deeply")
    if isinstance(value, str):
        return cleaned(value, limits.text_length, lines=True)
    if isinstance(value, dict):
        return {cleaned(str(key), limits.label_length): _plain(one, limits, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, limits, depth + 1) for one in value]
    if value is None or isinstance(value, bool | datetime):
        return value
    if isinstance(value, int | np.integer):
        return int(value) if int(value) in WHOLE_NUMBERS else None
    if isinstance(value, float | np.floating):
        return float(value) if isfinite(value) else None
    raise Refused(f"it has an annotation of the type {type(value).__name__}")


def _fit_refusal(one: Refusal, limits: Limits) -> Refusal:
    return Refusal(cleaned(one.path, limits.label_length), cleaned(one.reason, limits.reason_length))


def send(channel: Channel, found: Found) -> None:
    """Send findings: what others stand on before these."""
    if found.identity is not None:
        channel.send({"identity": found.identity})
    for refusal in found.refusals:
        channel.send({"refusal": [refusal.path, refusal.reason]})
    for path, told in found.datasets.items():
        samples = told.values if told.chunks is None else told.chunks
        channel.send({"dataset": _dataset(path, told)}, [] if samples is None else [_bytes(samples)])
    for path, blocks in found.blocks.items():
        channel.send({"blocks": path}, [_bytes(blocks)])
    for array in found.arrays.values():
        channel.send({"array": asdict(array)})
    for one in found.objects:
        channel.send({"object": _object(one)})
    channel.send({"end": True})


def _dataset(path: str, told: Description) -> dict[str, Any]:
    """Return a dataset as JSON; its rows or samples follow as bytes."""
    return {
        "path": path,
        "dtype": told.dtype.str,
        "shape": told.shape,
        "fill": told.fill.hex(),
        "byte_offset": told.byte_offset,
        "chunk_shape": told.chunk_shape,
        "filters": [[step.id, step.values] for step in told.filters],
        "is_inline": told.values is not None,
        "file": told.file,
    }


def _object(one: FoundObject) -> dict[str, Any]:
    return {
        "type_name": one.type_name,
        "source_path": one.source_path,
        "fields": one.fields,
        "parents": one.parents,
        "arrays": one.arrays,
        "noted": one.noted,
    }


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


def send_array(channel: Channel, array: FoundArray, told: Description, limits: Limits) -> None:
    """Send the form of an array whose samples will follow; raises Refused where the parent would not take it."""
    fit_array = _with_clean_texts(array, limits)
    sound.require_name(array.dataset, "path", limits)
    sound.require_dataset(told, 0, limits)
    sound.require_array(fit_array, told, limits)
    channel.send({"dataset": _dataset(array.dataset, told)})
    channel.send({"array": asdict(fit_array)})


def send_samples(channel: Channel, path: str, samples: NDArray[Any]) -> None:
    """Send the next samples of an array."""
    channel.send({"samples": path}, [_bytes(samples)])


def send_object(channel: Channel, one: FoundObject, limits: Limits) -> None:
    """Send one object; raises Refused where the parent would not take it."""
    kept = Found()
    _keep_object(kept, one, limits)
    channel.send({"object": _object(kept.objects[0])})

"""``flask check``: what the service would make of files, told without a catalog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import click
from flask import Flask
from flask.cli import with_appcontext
from tqdm import tqdm

from app import summary
from app.commands import Quantity, Unit
from app.place import PLACE
from app.services import services
from schemas.numbers import plain
from storage.errors import StorageError
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.places import files_at, url_of
from storage.ingest.preview import Cost, Preview, Seen, SeenArray, preview
from storage.stores.backend import file_name
from storage.units import hertz, seconds

SHOWN = 8
"""Siblings of one type that are shown; the rest are counted."""
INDENT = "  "


def install(app: Flask) -> None:
    """Give an application the command."""
    app.cli.add_command(check)


@click.command("check")
@click.argument("places", nargs=-1, required=True, type=PLACE, metavar="FILE …")
@click.option("--sampling-rate", type=Quantity(hertz), help='Of plain HDF5, such as "20000 Hz".')
@click.option("--t-start", type=Quantity(seconds), help='Of plain HDF5, such as "0 ms".')
@click.option("--units", type=Unit(), help="Of plain HDF5, such as mV.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object per file and line.")
@click.option("--all", "show_all", is_flag=True, help="Show every object, also of many alike.")
@with_appcontext
def check(
    places: Sequence[str],
    sampling_rate: tuple[float, str] | None,
    t_start: tuple[float, str] | None,
    units: str | None,
    as_json: bool,
    show_all: bool,
) -> None:
    """Tell what the service would make of files: objects, rates, units, chunks, and what a second of them costs.

    Neither a running service nor a catalog is needed, and nothing is written. Ends with 1 if nothing could be served.
    """
    n_served = 0
    told = PlainOptions(sampling_rate, t_start, units)
    for place in places:
        try:
            files = files_at(services().store, place)
        except (StorageError, OSError) as error:
            _tell_refused(url_of(place, services().store), str(error), as_json=as_json)
            continue
        for url in files:
            try:
                seen = _looked_into(url, told)
            except StorageError as error:
                _tell_refused(url, str(error), as_json=as_json)
                continue
            n_served += bool(seen.roots)
            click.echo(json.dumps(_as_json(seen)) if as_json else "\n".join(lines(seen, show_all=show_all)) + "\n")
    if not n_served:
        raise click.exceptions.Exit(1)


def _looked_into(url: str, told: PlainOptions) -> Preview:
    with tqdm(desc=file_name(url), unit="chunk", leave=False, disable=None) as bar:

        def show(path: str, n_indexed: int, n_chunks: int) -> None:
            bar.total, bar.n = n_chunks, n_indexed
            bar.set_postfix_str(path)

        return preview(services().store, url, told, show)


def _tell_refused(url: str, reason: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps({"file": url, "served": False, "objects": [], "refusals": [{"path": "/", "reason": reason}]})
        )
    else:
        click.echo(f"{file_name(url)}\n{INDENT}cannot be served: {reason}\n")


def lines(seen: Preview, *, show_all: bool = False) -> list[str]:
    """Return what a person is told of a file."""
    told = [f"{file_name(seen.url)}  {summary.nbytes(seen.nbytes)}"]
    told += _tree(seen.roots, INDENT, None if show_all else SHOWN)
    if not seen.roots:
        told.append(f"{INDENT}nothing of it can be served")
    if seen.refusals:
        told.append(f"{INDENT}left out")
        told += [f"{INDENT * 2}{one.path}: {one.reason}" for one in seen.refusals]
    if seen.roots:
        told.append(f"{INDENT}beside it the service would store {summary.nbytes(seen.sidecar_nbytes)}")
    return told


def _tree(nodes: Sequence[Seen], indent: str, n_shown: int | None) -> list[str]:
    told = []
    n_of_type: dict[str, int] = {}
    for node in nodes:
        n_of_type[node.type_name] = n_of_type.get(node.type_name, 0) + 1
        if n_shown is not None and n_of_type[node.type_name] > n_shown:
            continue
        told.append(f"{indent}{node.type_name} {node.name}{_axis(node)}")
        for array in node.arrays:
            told += [f"{indent}{INDENT * 2}{one}" for one in _array(array)]
        told += _tree(node.children, indent + INDENT, n_shown)
    for type_name, number in n_of_type.items():
        if n_shown is not None and number > n_shown:
            told.append(f"{indent}{type_name}: and {number - n_shown:,} more (--all shows them)")
    return told


def _axis(node: Seen) -> str:
    """Return where an object lies in time, in words."""
    fields = node.fields
    if "sampling_rate" in fields and node.arrays:
        rate, unit = fields["sampling_rate"], fields["sampling_rate_units"]
        lasts_s = node.arrays[0].shape[0] / (rate * float(hertz(unit)))
        start = f"{plain(fields['t_start'])} {fields['t_start_units']}"
        return f"  {plain(rate)} {unit}, {summary.duration(lasts_s)} from {start} on"
    if "t_stop" in fields:
        return f"  from {plain(fields['t_start'])} to {plain(fields['t_stop'])} {fields['t_stop_units']}"
    return ""


def _array(array: SeenArray) -> list[str]:
    shape = " × ".join(f"{length:,}" for length in array.shape)
    kind = array.dtype if array.dtype == array.answered_dtype else f"{array.dtype}, answered as {array.answered_dtype}"
    stored = "in one piece"
    if array.chunk_shape is not None:
        stored = f"chunks of {' × '.join(f'{length:,}' for length in array.chunk_shape)}"
        stored += f", {' + '.join(array.filters)}" if array.filters else ", no filters"
    elif "#" in array.path:
        stored = "made from it"
    units = array.units or ("" if array.dtype.startswith("S") else "no unit")
    told = [f"{array.field}: {shape} {kind}{f', {units}' if units else ''}; {stored}"]
    if array.all_channels is not None and array.one_channel is not None:
        n_channels = prod(array.shape[1:])
        told.append(
            f"a second of one channel: {_cost(array.one_channel)}; of all {n_channels}: {_cost(array.all_channels)}"
            if n_channels != 1
            else f"a second: {_cost(array.all_channels)}"
        )
    return told


def _cost(cost: Cost) -> str:
    return f"{cost.requests} request{'' if cost.requests == 1 else 's'}, {summary.nbytes(cost.nbytes)}"


def _as_json(seen: Preview) -> dict[str, Any]:
    return {
        "file": seen.url,
        "nbytes": seen.nbytes,
        "served": bool(seen.roots),
        "sidecar_nbytes": seen.sidecar_nbytes,
        "objects": [_node_as_json(node) for node in seen.roots],
        "refusals": [asdict(one) for one in seen.refusals],
    }


def _node_as_json(node: Seen) -> dict[str, Any]:
    fields = {name: value if _is_plain(value) else str(value) for name, value in node.fields.items()}
    return {
        "type": node.type_name,
        "name": node.name,
        "fields": fields,
        "arrays": [asdict(array) for array in node.arrays],
        "children": [_node_as_json(child) for child in node.children],
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool | list | dict)

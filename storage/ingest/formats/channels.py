"""Signals of several channels, each with a unit and a calibration of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from storage.calibration import AnyCalibration, Calibration, Polynomial
from storage.ingest.found import Found, FoundArray, FoundObject, written_out

Entry = TypeVar("Entry")


def add_group(
    found: Found, path: str, block: str, told: dict[str, Any], names: Sequence[str], about: Sequence[dict[str, Any]]
) -> None:
    """Add a recordingchannelgroup with a recordingchannel for each column of its signals.

    Parameters
    ----------
    found : Found
    path : str
        Its ``source_path``; that of a channel has its number in brackets behind.
    block : str
        ``source_path`` of its Block.
    told : dict
        Its name and annotations.
    names : sequence of str
        Of the channels.
    about : sequence of dict
        Annotations of each channel.
    """
    found.objects.append(FoundObject("recordingchannelgroup", path, told, {"block": block}))
    for index, (name, of_channel) in enumerate(zip(names, about, strict=True)):
        fields = {"name": name, "index": index, "annotations": of_channel}
        parents = {"recordingchannelgroup": path}
        found.objects.append(FoundObject("recordingchannel", f"{path}[{index}]", fields, parents))


def add_signal(
    found: Found,
    array: FoundArray,
    units: Sequence[str | None],
    fields: dict[str, Any],
    parents: dict[str, str],
    group: str | None,
) -> None:
    """Add a two-dimensional array as one signal, or, where the units of its channels differ, as one for each.

    Parameters
    ----------
    found : Found
    array : FoundArray
        All channels, with their names.
    units : sequence of (str or None)
        Of each channel.
    fields : dict
        Of the signal, all but its name, with annotations.
    parents : dict
    group : str or None
        ``source_path`` of the recordingchannelgroup.
    """
    names = list(array.channel_names or ())
    array = replace(array, name=written_out(array.name))
    if len(set(units)) <= 1:
        own = found.add_array(replace(array, units=units[0] if units else None))
        told = {**fields, "name": array.name, "annotations": {**fields["annotations"], "channel_names": names}}
        more = {} if group is None else {"recordingchannelgroup": group}
        found.objects.append(
            FoundObject("analogsignalarray", array.source_path, told, {**parents, **more}, {"signal": own})
        )
        return
    for column, (name, unit) in enumerate(zip(names, units, strict=True)):
        path = f"{array.source_path}[{column}]"
        one = replace(array, source_path=path, name=written_out(name), units=unit, channel_names=None, column=column)
        one = replace(one, calibration=calibration_of(array.calibration, column))
        more = {} if group is None else {"recordingchannel": f"{group}[{column}]"}
        told = {**fields, "name": name, "annotations": {**fields["annotations"], "channel": column}}
        arrays = {"signal": found.add_array(one)}
        found.objects.append(FoundObject("analogsignal", path, told, {**parents, **more}, arrays))


def calibration_of(calibration: AnyCalibration | None, column: int) -> AnyCalibration | None:
    """Return the calibration of one channel."""
    if isinstance(calibration, Calibration):
        return Calibration(_entry(calibration.gain, column), calibration.offset)
    if isinstance(calibration, Polynomial):
        return Polynomial(_entry(calibration.coefficients, column), _entry(calibration.origin, column))
    return None


def _entry(every: tuple[Entry, ...], column: int) -> tuple[Entry, ...]:
    return every if len(every) == 1 else every[column : column + 1]

"""Objects as documents tell them: one schema per Neo type, and the datafile's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import Schema, fields, post_dump

from schemas.numbers import plain
from schemas.permalinks import datafile_permalink, object_permalink, user_permalink
from storage.catalog.arrays import stored_array
from storage.catalog.files import READY, Datafile
from storage.catalog.models import ALIASES

DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
LAST = ("annotations", "owner", "safety_level", "current_state", "date_created", "last_modified")
"""What all types have stands after what is each type's own."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the catalog with all that its document needs beside it."""

    row: Any
    links: Mapping[str, str] = field(default_factory=dict)
    """Of arrays of which a part was asked, by field; whole ones have their permalink."""
    reason: str | None = None
    """Why no part of the arrays could be linked."""
    changed: Mapping[str, float] = field(default_factory=dict)
    """Quantities that differ for the asked part, such as ``t_start``."""
    downsampled: Mapping[str, Any] | None = None
    children: Mapping[str, Sequence[int]] = field(default_factory=dict)
    progress: float = 1
    """Of the check of a datafile, 0 to 1."""


class Text(fields.Field[str]):
    """Text, or null."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:
        """Return the column as it is."""
        return getattr(obj.row, attr)


class Number(Text):
    """A number without a unit; integral ones without a point."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:
        """Return the column as documents tell numbers."""
        return plain(getattr(obj.row, attr))


class Moment(fields.Field[datetime]):
    """A date, in UTC."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> str | None:
        """Return the moment to the second."""
        moment = getattr(obj.row, attr)
        return None if moment is None else str(moment.strftime(DATE_FORMAT))


class Quantity(fields.Field[float]):
    """A number with its unit, both null where unset."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return the number that holds for the asked part, in the unit it was saved in."""
        value = obj.changed.get(attr, getattr(obj.row, attr))
        return {"units": getattr(obj.row, f"{attr}_units"), "data": plain(value)}


class Parent(fields.Field[str]):
    """The permalink of a parent, or null."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> str | None:
        """Return the permalink."""
        id_ = getattr(obj.row, f"{attr}_id")
        return None if id_ is None else object_permalink(attr, id_)


class Parents(fields.Field[list[str]]):
    """The permalinks of several parents of one type."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> list[str]:
        """Return the permalinks, by id."""
        ids = sorted(parent.id for parent in getattr(obj.row, f"{attr}s"))
        return [object_permalink(attr, id_) for id_ in ids]


class Owner(fields.Field[str]):
    """The permalink of a user, or null."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> str | None:
        """Return the permalink."""
        return None if obj.row.owner_id is None else user_permalink(obj.row.owner_id)


class Array(fields.Field[str]):
    """An array: where to fetch the asked part of it, and what to plan for."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return link, unit, guid, shape of the whole array and dtype."""
        datafile: Datafile | None = getattr(obj.row, attr)
        if datafile is None:
            return {"units": None, "data": None}
        array = stored_array(datafile)
        told: dict[str, Any] = {
            "units": datafile.units,
            "data": None if obj.reason else obj.links.get(attr, datafile_permalink(datafile.id)),
            "guid": datafile.guid,
            "shape": list(array.shape),
            "dtype": dtype_name(array.dtype),
        }
        return told | ({"reason": obj.reason} if obj.reason else {})


def dtype_name(dtype: Any) -> str:
    """Return how documents spell a dtype: ``float32``, ``int16``; strings by their width in bytes, ``S12``."""
    return f"S{dtype.itemsize}" if dtype.kind == "S" else str(dtype.newbyteorder("="))


class NeoSchema(Schema):
    """What all types have."""

    id = Number()
    guid = Text()
    annotations = Text()
    owner = Owner()
    safety_level = Number()
    current_state = Number()
    date_created = Moment()
    last_modified = Moment()

    @post_dump(pass_original=True)
    def arrange(self, data: dict[str, Any], original: Shown, **kwargs: Any) -> dict[str, Any]:
        """Put what all types have last; add what only some answers have."""
        common = {name: data.pop(name) for name in LAST}
        if original.downsampled is not None:
            data["downsampled"] = original.downsampled
        sets = {f"{kind}_set": [object_permalink(kind, id_) for id_ in ids] for kind, ids in original.children.items()}
        return data | sets | common


class BlockSchema(NeoSchema):
    """A recording."""

    name = Text()
    filedatetime = Moment()
    index = Number()


class SegmentSchema(BlockSchema):
    """A run of time in which all clocks agree."""

    block = Parent()


class RecordingChannelGroupSchema(NeoSchema):
    """Channels that belong together."""

    name = Text()
    block = Parent()


class RecordingChannelSchema(NeoSchema):
    """One electrode contact."""

    name = Text()
    index = Number()
    recordingchannelgroup = Parent()


class UnitSchema(NeoSchema):
    """A neuron."""

    name = Text()
    recordingchannel = Parents()


class AnalogSignalSchema(NeoSchema):
    """One regularly sampled signal."""

    name = Text()
    signal = Array()
    t_start = Quantity()
    sampling_rate = Quantity()
    segment = Parent()
    recordingchannel = Parent()


class AnalogSignalArraySchema(NeoSchema):
    """Regularly sampled signals of one clock."""

    name = Text()
    signal = Array()
    t_start = Quantity()
    sampling_rate = Quantity()
    segment = Parent()
    recordingchannelgroup = Parent()


class IrSaAnalogSignalSchema(NeoSchema):
    """Signals whose samples each have a time."""

    name = Text()
    signal = Array()
    times = Array()
    t_start = Quantity()
    segment = Parent()
    recordingchannel = Parent()


class SpikeTrainSchema(NeoSchema):
    """The times at which one unit fired."""

    name = Text()
    times = Array()
    waveforms = Array()
    t_start = Quantity()
    t_stop = Quantity()
    segment = Parent()
    unit = Parent()


class SpikeSchema(NeoSchema):
    """One spike and its waveform."""

    time = Quantity()
    sampling_rate = Quantity()
    left_sweep = Quantity()
    waveform = Array()
    segment = Parent()
    unit = Parent()


class EventArraySchema(NeoSchema):
    """Labelled moments."""

    labels = Array()
    times = Array()
    segment = Parent()


class EventSchema(NeoSchema):
    """One labelled moment."""

    label = Text()
    time = Quantity()
    segment = Parent()
    eventarray = Parent()


class EpochArraySchema(NeoSchema):
    """Labelled stretches of time."""

    labels = Array()
    times = Array()
    durations = Array()
    segment = Parent()


class EpochSchema(NeoSchema):
    """One labelled stretch of time."""

    label = Text()
    time = Quantity()
    duration = Quantity()
    segment = Parent()
    epocharray = Parent()


class DatafileDocumentSchema(Schema):
    """An array's own document."""

    id = Number()
    guid = Text()
    name = Text()
    type = Number()
    state = Text()
    reason = Text()
    units = Text()
    owner = Owner()
    safety_level = Number()
    date_created = Moment()
    last_modified = Moment()

    @post_dump(pass_original=True)
    def add_form(self, data: dict[str, Any], original: Shown, **kwargs: Any) -> dict[str, Any]:
        """Add what the array is, and the length of the file that it lies in."""
        row = original.row
        stored = {"progress": original.progress, "nbytes": row.file.nbytes, "sha256": row.file.sha256}
        if row.state != READY:
            return data | {"shape": None, "dtype": None, **stored}
        array = stored_array(row)
        return data | {"shape": list(array.shape), "dtype": dtype_name(array.dtype), **stored}


SCHEMAS: dict[str, NeoSchema] = {
    "block": BlockSchema(),
    "segment": SegmentSchema(),
    "recordingchannelgroup": RecordingChannelGroupSchema(),
    "recordingchannel": RecordingChannelSchema(),
    "unit": UnitSchema(),
    "analogsignal": AnalogSignalSchema(),
    "irsaanalogsignal": IrSaAnalogSignalSchema(),
    "analogsignalarray": AnalogSignalArraySchema(),
    "spiketrain": SpikeTrainSchema(),
    "spike": SpikeSchema(),
    "eventarray": EventArraySchema(),
    "event": EventSchema(),
    "epocharray": EpochArraySchema(),
    "epoch": EpochSchema(),
}
"""By the name of the type."""


def type_name(spelled: str) -> str | None:
    """Return the name of a type as its table has it, also of an alias; None for what is no type."""
    name = ALIASES.get(spelled, spelled)
    return name if name in SCHEMAS else None

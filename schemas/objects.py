"""Objects as documents tell them: one schema per Neo type, and the datafile's."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, post_dump

from schemas.fields import (
    Annotations,
    Array,
    Corrections,
    Moment,
    Number,
    Owner,
    Parent,
    Parents,
    Quantity,
    Shown,
    Text,
    dtype_name,
)
from schemas.numbers import plain
from schemas.permalinks import object_permalink
from storage.catalog import forms
from storage.catalog.arrays import stored_array
from storage.catalog.files import MISSING, READABLE, Datafile
from storage.catalog.find import child_types
from storage.catalog.models import ALIASES, TYPES
from storage.writing.given import Given

MAX_LABEL_NBYTES = 10_000
MAX_UNKNOWN_TOLD = 10
LAST = ("annotations", "owner", "safety_level", "current_state", "date_created", "last_modified")
"""What all types have stands after what is each type's own."""


class NeoSchema(Schema):
    """What all types have."""

    id = Number(dump_only=True)
    guid = Text(dump_only=True)
    annotations = Annotations()
    owner = Owner(dump_only=True)
    safety_level = Number(bounds=(1, 3))
    current_state = Number(dump_only=True)
    date_created = Moment(dump_only=True)
    last_modified = Moment(dump_only=True)
    corrections = Corrections()

    @post_dump(pass_original=True)
    def arrange(self, data: dict[str, Any], original: Shown, **kwargs: Any) -> dict[str, Any]:
        """Put what all types have last; add what only some answers have."""
        common = {name: data.pop(name) for name in LAST}
        corrected = data.pop("corrections")
        if corrected:
            common["corrections"] = corrected
        if original.downsampled is not None:
            data["downsampled"] = original.downsampled
        sets = {f"{kind}_set": [object_permalink(kind, id_) for id_ in ids] for kind, ids in original.children.items()}
        return data | sets | common


class BlockSchema(NeoSchema):
    """A recording."""

    name = Text(required=True)
    filedatetime = Moment()
    index = Number()


class SegmentSchema(BlockSchema):
    """A run of time in which all clocks agree."""

    block = Parent()


class RecordingChannelGroupSchema(NeoSchema):
    """Channels that belong together."""

    name = Text(required=True)
    block = Parent()


class RecordingChannelSchema(NeoSchema):
    """One electrode contact."""

    name = Text(required=True)
    index = Number()
    recordingchannelgroup = Parent()


class UnitSchema(NeoSchema):
    """A neuron."""

    name = Text(required=True)
    recordingchannel = Parents()


class AnalogSignalSchema(NeoSchema):
    """One regularly sampled signal."""

    name = Text(required=True)
    signal = Array(forms.SIGNAL, required=True)
    t_start = Quantity("time", required=True)
    sampling_rate = Quantity("rate", required=True)
    segment = Parent()
    recordingchannel = Parent()


class AnalogSignalArraySchema(NeoSchema):
    """Regularly sampled signals of one clock."""

    name = Text()
    signal = Array(forms.SIGNALS, required=True)
    t_start = Quantity("time", required=True)
    sampling_rate = Quantity("rate", required=True)
    segment = Parent()
    recordingchannelgroup = Parent()


class IrSaAnalogSignalSchema(NeoSchema):
    """Signals whose samples each have a time."""

    name = Text(required=True)
    signal = Array(forms.UNEVEN_SIGNAL, required=True)
    times = Array(forms.TIMES, required=True)
    t_start = Quantity("time", required=True)
    segment = Parent()
    recordingchannel = Parent()


class SpikeTrainSchema(NeoSchema):
    """The times at which one unit fired."""

    name = Text()
    times = Array(forms.TIMES, required=True)
    waveforms = Array(forms.WAVEFORMS)
    t_start = Quantity("time", required=True)
    t_stop = Quantity("time", required=True)
    segment = Parent()
    unit = Parent()


class SpikeSchema(NeoSchema):
    """One spike and its waveform."""

    time = Quantity("time", required=True)
    sampling_rate = Quantity("rate", required=True)
    left_sweep = Quantity("time")
    waveform = Array(forms.WAVEFORM, required=True)
    segment = Parent()
    unit = Parent()


class EventArraySchema(NeoSchema):
    """Labelled moments."""

    labels = Array(forms.LABELS, required=True)
    times = Array(forms.TIMES, required=True)
    segment = Parent()


class EventSchema(NeoSchema):
    """One labelled moment."""

    label = Text(required=True, max_nbytes=MAX_LABEL_NBYTES)
    time = Quantity("time", required=True)
    segment = Parent()
    eventarray = Parent()


class EpochArraySchema(NeoSchema):
    """Labelled stretches of time."""

    labels = Array(forms.LABELS, required=True)
    times = Array(forms.TIMES, required=True)
    durations = Array(forms.DURATIONS, required=True)
    segment = Parent()


class EpochSchema(NeoSchema):
    """One labelled stretch of time."""

    label = Text(required=True, max_nbytes=MAX_LABEL_NBYTES)
    time = Quantity("time", required=True)
    duration = Quantity("time", required=True, at_least=0)
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
        stored = {"progress": plain(original.progress), "nbytes": row.stored_in.nbytes, "sha256": row.stored_in.sha256}
        if row.state not in (*READABLE, MISSING):
            return data | {"shape": None, "dtype": None, **stored}
        array = stored_array(row)
        form = {"shape": list(array.shape), "dtype": dtype_name(array.dtype)}
        return data | form | stored | _overview(row)


def _overview(row: Datafile) -> dict[str, Any]:
    """Return what is told of an array once it has an overview."""
    if row.overview is None:
        return {"minimum": None, "maximum": None, "overview_entry": None}
    ends = {name: None if (value := getattr(row, name)) is None else plain(value) for name in ("minimum", "maximum")}
    return {**ends, "overview_entry": (row.overview_form or {}).get("finest")}


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


def load_object(type_name: str, sent: dict[str, Any], *, is_new: bool) -> Given:
    """Return what was sent of an object as values, with everything that is wrong with any of them.

    Parameters
    ----------
    type_name : str
    sent : dict
        Fields as documents tell them.
    is_new : bool
        Whether what is required must be there; a change names some fields only.
    """
    schema = SCHEMAS[type_name]
    sets = [f"{kind}_set" for kind in child_types(TYPES[type_name])]
    read_only = {*schema.dump_fields} - {*schema.load_fields} | {*sets}
    arrays = {name: one.form for name, one in schema.load_fields.items() if isinstance(one, Array)}
    given = Given(told={name: value for name, value in sent.items() if name in read_only}, forms=arrays)
    known = {name: value for name, value in sent.items() if name in schema.load_fields}
    for name in list(sent.keys() - known.keys() - given.told.keys())[:MAX_UNKNOWN_TOLD]:
        given.fault(name[:40], f"is no field of a {type_name}; known are {', '.join(schema.load_fields)}")
    try:
        values = schema.load(known, partial=not is_new)
    except ValidationError as error:
        values = error.valid_data if isinstance(error.valid_data, dict) else {}
        given.faults |= {str(name): list(map(str, said)) for name, said in _said(error).items()}
    for name, value in values.items():
        _put(given, schema.load_fields[name], name, value)
    return given


def _said(error: ValidationError) -> dict[Any, Any]:
    messages: dict[Any, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return messages


def _put(given: Given, kind: Any, name: str, value: Any) -> None:
    """Put the value of a field where the catalog has it."""
    if isinstance(kind, Corrections):
        given.corrections = value or ()
    elif isinstance(kind, Parents):
        given.several[name] = value
    elif isinstance(kind, Parent):
        given.parents[name] = value
    elif isinstance(kind, Array):
        given.arrays[name] = value
    elif isinstance(kind, Quantity):
        given.columns[name], given.columns[f"{name}_units"] = value or (None, None)
    elif value is not None or name not in ("annotations", "safety_level"):
        given.columns[name] = value
    else:
        given.fault(name, "may not be null")

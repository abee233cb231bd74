"""The tables of Neo's object types, and how these hang together."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from storage.catalog.base import Base, Owned
from storage.catalog.files import Datafile


class NeoObject(Owned):
    """What every Neo object has."""

    type_name: ClassVar[str]
    array_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that are a datafile; all of one object are sliced alike."""
    parent_fields: ClassVar[tuple[str, ...]] = ()
    several_parents: ClassVar[tuple[str, ...]] = ()
    """Those of the types of parents of which an object can have more than one."""
    time_field: ClassVar[str | None] = None
    """The array field by which a time window selects, on irregular axes."""

    annotations: Mapped[dict[str, Any]] = mapped_column(default=dict)
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"), index=True)
    """The registered file that it was found in."""
    source_path: Mapped[str | None] = mapped_column(Text)
    """Where in that file."""


class Named:
    """A name that is required."""

    name: Mapped[str] = mapped_column(Text, index=True)


class Labelled:
    """The text of one event or epoch."""

    label: Mapped[str] = mapped_column(Text)


def _parent(table: str) -> Mapped[int | None]:
    return mapped_column(ForeignKey(f"{table}.id"), index=True)


def _array() -> Mapped[int | None]:
    return mapped_column(ForeignKey("datafile.id"), index=True)


def _linked(column: str) -> Mapped[Any]:
    """Return the relationship from an array column to its datafile."""
    return relationship(Datafile, foreign_keys=column, lazy="joined")


class InSegment:
    """A child of a segment."""

    @declared_attr
    def segment_id(cls) -> Mapped[int | None]:
        """The segment, if any."""
        return _parent("segment")


class Sampled:
    """A start in time and a rate, each with the unit it was given in."""

    t_start: Mapped[float]
    t_start_units: Mapped[str] = mapped_column(String(16))
    sampling_rate: Mapped[float]
    sampling_rate_units: Mapped[str] = mapped_column(String(16))


class Block(NeoObject, Named, Base):
    """A recording."""

    __tablename__ = type_name = "block"
    filedatetime: Mapped[datetime | None]
    index: Mapped[int | None]


class Segment(NeoObject, Named, Base):
    """A run of time in which all clocks agree."""

    __tablename__ = type_name = "segment"
    parent_fields = ("block",)
    filedatetime: Mapped[datetime | None]
    index: Mapped[int | None]
    block_id: Mapped[int | None] = _parent("block")


class RecordingChannelGroup(NeoObject, Named, Base):
    """Channels that belong together, such as a probe."""

    __tablename__ = type_name = "recordingchannelgroup"
    parent_fields = ("block",)
    block_id: Mapped[int | None] = _parent("block")


class RecordingChannel(NeoObject, Named, Base):
    """One electrode contact."""

    __tablename__ = type_name = "recordingchannel"
    parent_fields = ("recordingchannelgroup",)
    index: Mapped[int | None]
    recordingchannelgroup_id: Mapped[int | None] = _parent("recordingchannelgroup")


unit_recordingchannel = Table(
    "unit_recordingchannel",
    Base.metadata,
    Column("unit_id", ForeignKey("unit.id"), primary_key=True),
    Column("recordingchannel_id", ForeignKey("recordingchannel.id"), primary_key=True, index=True),
)


class Unit(NeoObject, Named, Base):
    """A neuron, or what a sorter took for one."""

    __tablename__ = type_name = "unit"
    parent_fields = several_parents = ("recordingchannel",)
    recordingchannels: Mapped[list[RecordingChannel]] = relationship(secondary=unit_recordingchannel, lazy="selectin")


class AnalogSignal(NeoObject, Named, InSegment, Sampled, Base):
    """One regularly sampled signal."""

    __tablename__ = type_name = "analogsignal"
    array_fields = ("signal",)
    parent_fields = ("segment", "recordingchannel")
    signal_id: Mapped[int | None] = _array()
    recordingchannel_id: Mapped[int | None] = _parent("recordingchannel")
    signal: Mapped[Datafile | None] = _linked("AnalogSignal.signal_id")


class AnalogSignalArray(NeoObject, InSegment, Sampled, Base):
    """Regularly sampled signals of one clock: samples × channels."""

    __tablename__ = type_name = "analogsignalarray"
    array_fields = ("signal",)
    parent_fields = ("segment", "recordingchannelgroup")
    name: Mapped[str | None] = mapped_column(Text, index=True)
    signal_id: Mapped[int | None] = _array()
    recordingchannelgroup_id: Mapped[int | None] = _parent("recordingchannelgroup")
    signal: Mapped[Datafile | None] = _linked("AnalogSignalArray.signal_id")


class IrSaAnalogSignal(NeoObject, Named, InSegment, Base):
    """Signals whose samples each have a time."""

    __tablename__ = type_name = "irsaanalogsignal"
    array_fields = ("signal", "times")
    parent_fields = ("segment", "recordingchannel")
    time_field = "times"
    t_start: Mapped[float]
    t_start_units: Mapped[str] = mapped_column(String(16))
    signal_id: Mapped[int | None] = _array()
    times_id: Mapped[int | None] = _array()
    recordingchannel_id: Mapped[int | None] = _parent("recordingchannel")
    signal: Mapped[Datafile | None] = _linked("IrSaAnalogSignal.signal_id")
    times: Mapped[Datafile | None] = _linked("IrSaAnalogSignal.times_id")


class SpikeTrain(NeoObject, InSegment, Base):
    """The times at which one unit fired, within ``t_start`` and ``t_stop``."""

    __tablename__ = type_name = "spiketrain"
    array_fields = ("times", "waveforms")
    parent_fields = ("segment", "unit")
    time_field = "times"
    name: Mapped[str | None] = mapped_column(Text, index=True)
    t_start: Mapped[float]
    t_start_units: Mapped[str] = mapped_column(String(16))
    t_stop: Mapped[float]
    t_stop_units: Mapped[str] = mapped_column(String(16))
    times_id: Mapped[int | None] = _array()
    waveforms_id: Mapped[int | None] = _array()
    unit_id: Mapped[int | None] = _parent("unit")
    times: Mapped[Datafile | None] = _linked("SpikeTrain.times_id")
    waveforms: Mapped[Datafile | None] = _linked("SpikeTrain.waveforms_id")


class Spike(NeoObject, InSegment, Base):
    """One spike and its waveform."""

    __tablename__ = type_name = "spike"
    array_fields = ("waveform",)
    parent_fields = ("segment", "unit")
    time: Mapped[float]
    time_units: Mapped[str] = mapped_column(String(16))
    sampling_rate: Mapped[float]
    sampling_rate_units: Mapped[str] = mapped_column(String(16))
    left_sweep: Mapped[float | None]
    left_sweep_units: Mapped[str | None] = mapped_column(String(16))
    waveform_id: Mapped[int | None] = _array()
    unit_id: Mapped[int | None] = _parent("unit")
    waveform: Mapped[Datafile | None] = _linked("Spike.waveform_id")


class EventArray(NeoObject, InSegment, Base):
    """Labelled moments."""

    __tablename__ = type_name = "eventarray"
    array_fields = ("labels", "times")
    parent_fields = ("segment",)
    time_field = "times"
    labels_id: Mapped[int | None] = _array()
    times_id: Mapped[int | None] = _array()
    labels: Mapped[Datafile | None] = _linked("EventArray.labels_id")
    times: Mapped[Datafile | None] = _linked("EventArray.times_id")


class Event(NeoObject, Labelled, InSegment, Base):
    """One labelled moment."""

    __tablename__ = type_name = "event"
    parent_fields = ("segment", "eventarray")
    time: Mapped[float]
    time_units: Mapped[str] = mapped_column(String(16))
    eventarray_id: Mapped[int | None] = _parent("eventarray")


class EpochArray(NeoObject, InSegment, Base):
    """Labelled stretches of time."""

    __tablename__ = type_name = "epocharray"
    array_fields = ("labels", "times", "durations")
    parent_fields = ("segment",)
    time_field = "times"
    labels_id: Mapped[int | None] = _array()
    times_id: Mapped[int | None] = _array()
    durations_id: Mapped[int | None] = _array()
    labels: Mapped[Datafile | None] = _linked("EpochArray.labels_id")
    times: Mapped[Datafile | None] = _linked("EpochArray.times_id")
    durations: Mapped[Datafile | None] = _linked("EpochArray.durations_id")


class Epoch(NeoObject, Labelled, InSegment, Base):
    """One labelled stretch of time."""

    __tablename__ = type_name = "epoch"
    parent_fields = ("segment", "epocharray")
    time: Mapped[float]
    time_units: Mapped[str] = mapped_column(String(16))
    duration: Mapped[float]
    duration_units: Mapped[str] = mapped_column(String(16))
    epocharray_id: Mapped[int | None] = _parent("epocharray")


TYPES: dict[str, type[Any]] = {
    model.type_name: model
    for model in (
        Block, Segment, RecordingChannelGroup, RecordingChannel, Unit,
        AnalogSignal, IrSaAnalogSignal, AnalogSignalArray, SpikeTrain, Spike,
        EventArray, Event, EpochArray, Epoch,
    )
}  # fmt: skip
"""Every Neo type by the name it has in the API."""

ALIASES = {"irregularlysampledsignal": "irsaanalogsignal"}

_SOURCED: tuple[type[Any], ...] = (*TYPES.values(), Datafile)
for _model in _SOURCED:
    Index(f"uq_{_model.__tablename__}_source", _model.file_id, _model.source_path, unique=True)

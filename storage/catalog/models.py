"""The tables: Neo's object types, the arrays they link, the files these lie in, and users."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, MetaData, String, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship
from sqlalchemy.types import DateTime, TypeDecorator

ACTIVE = 10
ARCHIVED = 20
PUBLIC = 1
PRIVATE = 3

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def new_guid() -> str:
    """Return a global id: 40 hex digits that nothing else has."""
    return secrets.token_hex(20)


def now() -> datetime:
    """Return the time in UTC, to the second, as documents tell it."""
    return datetime.now(UTC).replace(microsecond=0)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment; SQLite forgets zones, so it is stored as UTC without one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Turn a moment of any zone into UTC without a zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Say again that it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[int]: JSON,
        datetime: UTCDateTime,
    }


class User(Base):
    """Somebody who may log in."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(150), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    date_created: Mapped[datetime] = mapped_column(default=now)


class StoredFile(Base):
    """One file in the store, or a registered one wherever it lies."""

    __tablename__ = "stored_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    """Key in the service's own store, or the whole URL of a registered file."""
    pin: Mapped[str | None] = mapped_column(String(255))
    """What the store says of the version that was indexed."""
    nbytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How it was registered; registering it again in the same way does nothing."""
    refusals: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    """What of it cannot be served: path and reason each."""


class Owned:
    """What objects and datafiles have in common."""

    id: Mapped[int] = mapped_column(primary_key=True)
    guid: Mapped[str] = mapped_column(String(40), default=new_guid, index=True)
    safety_level: Mapped[int] = mapped_column(default=PRIVATE)
    current_state: Mapped[int] = mapped_column(default=ACTIVE)
    date_created: Mapped[datetime] = mapped_column(default=now)
    last_modified: Mapped[datetime] = mapped_column(default=now)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), index=True)

    @declared_attr
    def owner(cls) -> Mapped[User | None]:
        """Whose it is."""
        return relationship(User, lazy="joined")


class Datafile(Owned, Base):
    """One array the API can serve: where it lies, what it is, how to read it as units."""

    __tablename__ = "datafile"

    name: Mapped[str] = mapped_column(Text)
    type: Mapped[int] = mapped_column(default=5)
    """5: an array."""
    state: Mapped[str] = mapped_column(String(16), default="ready")
    reason: Mapped[str | None] = mapped_column(Text)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"), index=True)
    source_path: Mapped[str] = mapped_column(Text)
    """What of the file it is: the path of the dataset, and of a run of rows ``[start:stop]``."""
    dtype: Mapped[str] = mapped_column(String(16))
    """As stored, as numpy spells it; its byte order included."""
    dataset_shape: Mapped[list[int]]
    """Of the whole dataset."""
    first_row: Mapped[int] = mapped_column(BigInteger, default=0)
    n_samples: Mapped[int] = mapped_column(BigInteger)
    column: Mapped[int | None]
    fill: Mapped[str] = mapped_column(Text)
    """One element, as stored, in hex."""
    byte_offset: Mapped[int | None] = mapped_column(BigInteger)
    """Of a contiguous dataset; None where nothing was ever written, or where it is chunked."""
    chunk_shape: Mapped[list[int] | None] = mapped_column(JSON)
    filters: Mapped[list[Any] | None] = mapped_column(JSON)
    sidecar: Mapped[str | None] = mapped_column(String(64))
    """Key; several runs of rows of one dataset share it."""
    sidecar_offsets: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Byte offsets of ``chunks``, ``blocks`` and ``values``, and ``rows_per_block``."""
    units: Mapped[str | None] = mapped_column(String(64))
    calibration: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """``gain``: list of one number or one per channel; ``offset``."""
    channel_names: Mapped[list[str] | None] = mapped_column(JSON)

    file: Mapped[StoredFile] = relationship(StoredFile, lazy="joined")


class NeoObject(Owned):
    """What every Neo object has."""

    type_name: ClassVar[str]
    array_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that are a datafile; all of one object are sliced alike."""
    parent_fields: ClassVar[tuple[str, ...]] = ()
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
    parent_fields = ("recordingchannel",)
    recordingchannels: Mapped[list[RecordingChannel]] = relationship(
        secondary=unit_recordingchannel, lazy="selectin"
    )


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


class SpikeTrain(NeoObject, Named, InSegment, Base):
    """The times at which one unit fired, within ``t_start`` and ``t_stop``."""

    __tablename__ = type_name = "spiketrain"
    array_fields = ("times", "waveforms")
    parent_fields = ("segment", "unit")
    time_field = "times"
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

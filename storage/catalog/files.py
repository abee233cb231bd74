"""The files that are known, and the arrays in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, LargeBinary, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.catalog.base import Base, Owned

UPLOADED = "uploaded"
CHECKING = "checking"
READY = "ready"
REFUSED = "refused"
CHECKING_ORDER = "checking_order"
MISSING = "missing"
"""States of a datafile."""

READABLE = (READY, CHECKING_ORDER)
"""Those in which samples can be read: whether times are sorted matters only to who asks by time."""


OVERVIEW_ASKED = "asked"
OVERVIEW_READY = "ready"
OVERVIEW_LEFT_OUT = "left_out"
OVERVIEW_FAILED = "failed"
"""States of an overview."""


class StoredFile(Base):
    """One file in the store, or a registered one wherever it lies."""

    __tablename__ = "stored_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    """Key in the service's own store, or the whole URL of a registered file."""
    pin: Mapped[str | None] = mapped_column(String(255))
    """What the store says of the version that was indexed."""
    nbytes: Mapped[int] = mapped_column(BigInteger)
    beside_nbytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """What the service stores beside an uploaded file, or is about to: it counts against the same quota."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    uploader_id: Mapped[int | None] = mapped_column(index=True)
    """Against whose quota it counts; None for a registered file, and once it may be removed."""
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """How it was registered; registering it again in the same way does nothing."""
    imported_from: Mapped[str | None] = mapped_column(Text, unique=True, index=True)
    """Key or URL of the file of another format that it was made of."""
    refusals: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    """What of it cannot be served: path and reason each."""
    identity: Mapped[str | None] = mapped_column(String(255), index=True)
    """What a registered file calls itself, wherever it lies: how one that was moved is known again."""
    missing_since: Mapped[datetime | None]
    """Since when a registered file is not where it was registered."""


class ShortIndex(Base):
    """The chunk index of a sidecar, where it is short; reading an array anew then needs no round trip for it."""

    __tablename__ = "short_index"

    sidecar: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Key of the sidecar, which has the same rows."""
    packed: Mapped[bytes] = mapped_column(LargeBinary)
    """As ``packed_index`` packs it."""


class Datafile(Owned, Base):
    """One array the API can serve: where it lies, what it is, how to read it as units."""

    __tablename__ = "datafile"

    name: Mapped[str] = mapped_column(Text)
    type: Mapped[int] = mapped_column(default=5)
    """5: an array."""
    state: Mapped[str] = mapped_column(String(16), default=READY)
    """``uploaded``, ``checking``, ``ready`` or ``refused``; what follows is known once it is ready.

    Of a registered file also ``checking_order``: the samples can be read, but are not known yet to be sorted times; and
    ``missing``: the file is not where it was.
    """
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it was refused, or is missing: a sentence."""
    format: Mapped[str | None] = mapped_column(String(32))
    """Of an uploaded file that is no single array: what it can be imported as."""
    block_id: Mapped[int | None]
    """What an uploaded file became when it was imported."""
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"), index=True)
    lies_in_id: Mapped[int | None] = mapped_column(index=True)
    """The file of a recording of several that the samples lie in, where it is not the one that was registered."""
    source_path: Mapped[str] = mapped_column(Text, default="")
    """What of the file it is: the path of the dataset, and of a run of rows ``[start:stop]``."""
    dtype: Mapped[str] = mapped_column(String(16), default="")
    """As stored, as numpy spells it; its byte order included."""
    dataset_shape: Mapped[list[int]] = mapped_column(JSON, default=list)
    """Of the whole dataset."""
    first_row: Mapped[int] = mapped_column(BigInteger, default=0)
    n_samples: Mapped[int] = mapped_column(BigInteger, default=0)
    column: Mapped[int | None]
    columns: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    """The first of the channels of the dataset that the array has, and the one after its last; None is all."""
    fill: Mapped[str] = mapped_column(Text, default="")
    """One element, as stored, in hex."""
    byte_offset: Mapped[int | None] = mapped_column(BigInteger)
    """Of a contiguous dataset; None where nothing was ever written, or where it is chunked."""
    chunk_shape: Mapped[list[int] | None] = mapped_column(JSON)
    filters: Mapped[list[Any] | None] = mapped_column(JSON)
    sidecar: Mapped[str | None] = mapped_column(String(64))
    """Key; several runs of rows of one dataset share it."""
    sidecar_offsets: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Byte offsets of ``chunks``, ``blocks`` and ``values``, and ``rows_per_block``."""
    is_transposed: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the dataset is channels × samples; what is served never is."""
    units: Mapped[str | None] = mapped_column(Text)
    calibration: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """``gain``: list of one number or one per channel; ``offset``. Or ``coefficients`` and ``origin``, likewise."""
    channel_names: Mapped[list[str] | None] = mapped_column(JSON)
    overview: Mapped[str | None] = mapped_column(String(64))
    """Key of the file of its overview."""
    overview_form: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What that is made of, as ``StoredOverview`` tells it."""
    overview_state: Mapped[str | None] = mapped_column(String(16), index=True)
    """``asked``, ``ready``, ``left_out`` or ``failed``; None until somebody has looked whether it shall have one."""
    minimum: Mapped[float | None]
    maximum: Mapped[float | None]
    """The smallest and the largest number of all channels, in its unit, once there is an overview."""

    file: Mapped[StoredFile] = relationship(StoredFile, lazy="joined")
    lies_in: Mapped[StoredFile | None] = relationship(
        StoredFile,
        primaryjoin="foreign(Datafile.lies_in_id) == StoredFile.id",
        viewonly=True,
        lazy="joined",
    )

    @property
    def stored_in(self) -> StoredFile:
        """The file that has the bytes."""
        return self.lies_in or self.file

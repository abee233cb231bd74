"""What a caller says of a file that comes in parts, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from schemas.fields import DATE_FORMAT
from schemas.queries import WholeNumber, Word
from storage.catalog.uploads import Upload
from storage.uploads.part_plan import (
    MAX_PART_NBYTES,
    MAX_PARTS,
    MIN_PART_NBYTES,
    PartPlan,
    usual_part_nbytes,
)

MAX_NAME = 100_000
"""Characters; of a longer name it is not worth looking for the last part."""
SHA256 = re.compile("[0-9a-fA-F]{64}", re.ASCII)
LISTED_PARTS = 1000


class Count(fields.Field[int]):
    """A whole number in JSON, within bounds."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise ValidationError(f"is not a whole number from {self.least} to {self.most}")
        return value


class Sha256(fields.Field[str]):
    """A SHA-256 in hex."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or not SHA256.fullmatch(value):
            raise ValidationError("is not a SHA-256 in 64 hex digits")
        return value.lower()


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file that is announced."""

    name: str
    plan: PartPlan
    sha256: str | None


class NewUploadSchema(Schema):
    """What begins an upload by parts."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    nbytes = Count(1, 2**62, required=True)
    part_nbytes = Count(MIN_PART_NBYTES, MAX_PART_NBYTES)
    sha256 = Sha256(load_default=None)

    @validates_schema
    def require_few_parts(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Raise ValidationError where the parts are too many."""
        least = -(-data["nbytes"] // MAX_PARTS) if "nbytes" in data else 0
        if data.get("part_nbytes", least) < least:
            raise ValidationError(f"makes more than {MAX_PARTS} parts; {least} is enough", "part_nbytes")
        if least > MAX_PART_NBYTES:
            raise ValidationError(f"is more than {MAX_PARTS} parts of {MAX_PART_NBYTES} bytes", "nbytes")

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> NewUpload:
        """Return the file as a value."""
        part_nbytes = data.get("part_nbytes") or usual_part_nbytes(data["nbytes"])
        return NewUpload(data["name"], PartPlan(data["nbytes"], part_nbytes), data["sha256"])


class PartSchema(Schema):
    """One part, as its sender knows it."""

    number = Count(1, MAX_PARTS, required=True)
    nbytes = Count(1, MAX_PART_NBYTES, required=True)


class CompleteSchema(Schema):
    """All parts, as their sender knows them."""

    parts = fields.List(fields.Nested(PartSchema), required=True, validate=validate.Length(min=1, max=MAX_PARTS))

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> Mapping[int, int]:
        """Return the lengths by number."""
        parts = data["parts"]
        found = {part["number"]: part["nbytes"] for part in parts}
        if len(found) < len(parts):
            raise ValidationError("names a part more than once", "parts")
        return found


class ViaSchema(Schema):
    """Whether parts go through the service where they could go straight to the store."""

    via = Word(("service", "store"), load_default="store")


class UploadPartsSchema(ViaSchema):
    """Which of its parts the document of an upload lists."""

    offset = WholeNumber(load_default=0)
    max_results = WholeNumber(load_default=LISTED_PARTS, at_least=1, validate=validate.Range(max=LISTED_PARTS))


NEW_UPLOAD = NewUploadSchema()
COMPLETE = CompleteSchema()
VIA = ViaSchema()
UPLOAD_PARTS = UploadPartsSchema()


def load_json(schema: Schema, content: bytes) -> Any:
    """Load the JSON object of a request; raises ValidationError naming all that is wrong."""
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValidationError(f"the body is not JSON: {error}", "body") from error
    if not isinstance(told, dict):
        raise ValidationError("the body is not a JSON object", "body")
    return schema.load(told)


@dataclass(frozen=True, slots=True)
class PartLink:
    """One part of an upload, with the address that takes it."""

    number: int
    nbytes: int
    link: str
    has_arrived: bool


def upload_fields(upload: Upload) -> dict[str, Any]:
    """Return what the document of an upload by parts tells in every list."""
    return {
        "id": upload.id,
        "name": upload.name,
        "nbytes": upload.nbytes,
        "part_nbytes": upload.part_nbytes,
        "sha256": upload.sha256,
        "date_created": _told(upload.date_created),
        "expires": _told(upload.remove_after),
    }


def parts_fields(parts: Sequence[PartLink], *, n_parts: int, arrived: Mapping[int, int], complete: str) -> Any:
    """Return what only its own document tells: parts, and where to say that all are sent."""
    return {
        "parts_total": n_parts,
        "parts_arrived": len(arrived),
        "nbytes_arrived": sum(arrived.values()),
        "parts": [
            {"number": part.number, "nbytes": part.nbytes, "arrived": part.has_arrived, "link": part.link}
            for part in parts
        ],
        "complete": complete,
    }


def _told(moment: datetime) -> str:
    return moment.strftime(DATE_FORMAT)

"""What a caller says of an uploaded file that is to be imported."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from schemas.permalinks import datafile_reference
from storage.uploads.importing import MAX_OTHERS


class DatafileReference(fields.Field[int]):
    """The id or permalink of a datafile."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValidationError("is neither the id nor the permalink of a datafile")
        try:
            return datafile_reference(str(value))
        except ValueError as error:
            raise ValidationError(str(error)) from error


class ImportSchema(Schema):
    """Which other files make one recording with a file."""

    others = fields.List(
        DatafileReference(), data_key="with", load_default=list, validate=validate.Length(max=MAX_OTHERS)
    )


IMPORT = ImportSchema()

"""What is sent to log in."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from storage.catalog.logins import require_username


class Username(fields.Field[str]):
    """A username, in its one Unicode form."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("is not text")
        try:
            return require_username(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class LoginSchema(Schema):
    """A username and a password."""

    username = Username(required=True)
    password = fields.String(required=True, validate=validate.Length(min=1))

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> tuple[str, str]:
        """Return both."""
        return data["username"], data["password"]


LOGIN = LoginSchema()

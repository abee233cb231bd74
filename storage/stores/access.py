"""How one S3 is reached, by whom."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

ANONYMOUS = "EPHYSTORE_S3_ANONYMOUS"


@dataclass(frozen=True, slots=True)
class Access:
    """What is told of one S3; for what is None the standard ``AWS_*`` variables and files count."""

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    anonymous: bool | None = None
    """Whether it is read without keys; where that is not told, ``EPHYSTORE_S3_ANONYMOUS=1`` says so."""
    ca: str | None = None
    """File of the certificates by which the server's is known."""

    @property
    def is_anonymous(self) -> bool:
        """Whether requests are not signed."""
        return os.environ.get(ANONYMOUS, "") not in ("", "0") if self.anonymous is None else self.anonymous

    @property
    def client(self) -> dict[str, Any]:
        """What boto3 is told beside its configuration."""
        told = {"endpoint_url": self.endpoint, "region_name": self.region, "verify": self.ca}
        return {name: value for name, value in told.items() if value is not None}

    @property
    def keys(self) -> tuple[str, str, str | None] | None:
        """The keys that are told, if any."""
        if self.access_key_id is None or self.secret_access_key is None:
            return None
        return self.access_key_id, self.secret_access_key, self.session_token


FROM_ENVIRONMENT = Access()
"""That of ``s3://``."""


def endpoint_from_environment() -> str:
    """Return where the S3 is of which no endpoint is told; empty for that of Amazon."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""

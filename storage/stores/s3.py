"""The ``s3://`` store: ranges and sizes by obstore, ranges pinned to the version that was indexed; lists by s3fs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
import obstore
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import S3Store

from storage.errors import FileChanged, NotStored, StoreAway
from storage.ranges import ByteRange
from storage.side_by_side import SideBySide, yield_to_others
from storage.stores.access import FROM_ENVIRONMENT, Access
from storage.stores.backend import Content, Listing, Stat, file_name
from storage.stores.s3_clients import new_session, region_of

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig

    from storage.stores.s3_fsspec import S3fs

FETCHERS, FETCHERS_PER_CALL = 128, 32
"""Requests under way at once beside those of the callers' own threads: of the process, and of one call."""

CLIENT: ClientConfig = {"connect_timeout": "3s", "read_timeout": "7s", "timeout": "300s"}
RETRIES: RetryConfig = {"max_retries": 1, "retry_timeout": timedelta(seconds=14)}
"""A store that never says anything is given up after 14 s, one where nobody listens at once."""

ONCE = {"total_max_attempts": 1}

CREDENTIALS_LAST = timedelta(minutes=10)
"""What botocore hands out is valid for at least as long."""

PAST_THE_END = "non-2xx status code: 416 "
NOT_PARTIAL = "non-partial response"
"""What obstore says of two answers that have no exception of their own; a key in its text has no spaces."""

ODD_KEY = re.compile(r"^/|//|/$|(^|/)\.\.?(/|$)|[\x00-\x1f\x7f]")
"""Keys that S3 allows and obstore takes for others or none."""


class S3:
    """Reached as is told, else by the standard ``AWS_*`` variables; ``EPHYSTORE_S3_ANONYMOUS=1`` reads public buckets.

    Notes
    -----
    boto3 tells where S3 is, the region and the credentials, so that every variable and file which it knows counts.
    """

    def __init__(self, access: Access = FROM_ENVIRONMENT) -> None:
        self._access = access
        self._buckets: dict[str, S3Store] = {}
        self._fetchers = SideBySide(FETCHERS, per_call=FETCHERS_PER_CALL, name="fetch", begin=yield_to_others)

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> Sequence[Content]:
        """Return the bytes of each range: one GET each, with ``If-Match``, side by side; nothing else is asked."""
        bucket, _, key = location.partition("/")
        if ODD_KEY.search(key):
            return self._s3fs.get_ranges(location, ranges, pin)
        name = file_name(key)

        def get(part: ByteRange) -> Content:
            with _named_errors(name):
                asked: GetOptions = {"range": (part.byte_offset, part.end)}
                if pin:
                    asked["if_match"] = pin
                answer = obstore.get(store, key, options=asked)
                content = memoryview(answer.bytes())
            if pin and answer.meta["e_tag"] not in (None, pin):  # of a server that knows no If-Match
                raise FileChanged(f"{name} is not the file that was registered: it was changed since")
            if len(content) != part.nbytes:
                raise FileChanged(f"{name} is shorter than when it was registered")
            return content

        with _named_errors(name):
            store = self._bucket(bucket)
        return self._fetchers.map(get, ranges)

    def stat(self, location: str) -> Stat:
        """Return size and ETag."""
        bucket, _, key = location.partition("/")
        if ODD_KEY.search(key):
            return self._s3fs.stat(location)
        with _named_errors(file_name(key)):
            found = obstore.head(self._bucket(bucket), key)
        return Stat(found["size"], str(found["e_tag"]), found["last_modified"].timestamp())

    def find(self, location: str) -> Listing:
        """Return the file itself, or all keys below a prefix."""
        return self._s3fs.find(location)

    @cached_property
    def _s3fs(self) -> S3fs:
        """Made where it is first needed: reading alone never needs it, and importing it takes 0.2 s."""
        from storage.stores.s3_fsspec import S3fs

        return S3fs(self._access)

    def _bucket(self, bucket: str) -> S3Store:
        return self._buckets.get(bucket) or self._buckets.setdefault(bucket, self._connect(bucket))

    def _connect(self, bucket: str) -> S3Store:
        """Return the client of a bucket; it connects at its first request."""
        session, is_anonymous = new_session(self._access), self._access.is_anonymous
        signature = {"signature_version": UNSIGNED} if is_anonymous else {}
        config = Config(connect_timeout=3, read_timeout=7, retries=ONCE, **signature)
        client = session.client("s3", config=config, **self._access.client)
        endpoint, region = client.meta.endpoint_url, client.meta.region_name
        is_aws = endpoint.endswith(".amazonaws.com")
        return S3Store(
            bucket,
            endpoint=None if is_aws else endpoint,
            region=region_of(bucket, client) if is_aws else region,
            virtual_hosted_style_request=is_aws and "." not in bucket,
            skip_signature=is_anonymous,
            credential_provider=None if is_anonymous else _credentials(session),
            client_options={**CLIENT, "allow_http": endpoint.startswith("http://")},
            retry_config=RETRIES,
        )


def _credentials(session: boto3.Session) -> Boto3CredentialProvider:
    try:
        return Boto3CredentialProvider(session, ttl=CREDENTIALS_LAST)
    except ValueError as error:
        raise NoCredentialsError from error


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Name what went wrong after what was asked for."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotStored(f"{name} is not in the store") from error
    except PreconditionError as error:
        raise FileChanged(f"{name} is not the file that was registered: it was changed since") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreAway(f"the store of {name} may not be read with these credentials") from error
    except NoCredentialsError as error:
        raise StoreAway(f"there are no credentials for the store of {name}") from error
    except (BotoCoreError, ValueError) as error:
        raise StoreAway(f"the store of {name} cannot be reached as it is set up: {error}") from error
    except (BaseError, OSError) as error:
        if PAST_THE_END in str(error):
            raise FileChanged(f"{name} is not the file that was registered: it was changed since") from error
        if NOT_PARTIAL in str(error):
            raise StoreAway(
                f"the store of {name} does not answer ranges as S3 does; EPHYSTORE_S3_CLIENT=s3fs may read it"
            ) from error
        raise StoreAway(f"the store of {name} does not answer; try again later") from error

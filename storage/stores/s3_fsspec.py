"""The ``s3://`` store by s3fs: sizes, lists, and ranges where ``EPHYSTORE_S3_CLIENT=s3fs``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import aiohttp
import s3fs
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
from fsspec.asyn import sync

from storage.errors import FileChanged, NotStored, StoreAway
from storage.ranges import ByteRange
from storage.stores import s3_listing
from storage.stores.access import FROM_ENVIRONMENT, Access
from storage.stores.backend import Content, Listing, Stat, file_name
from storage.stores.s3_clients import new_session

T = TypeVar("T")

SIDE_BY_SIDE = 32
"""Requests of one call that are under way at once."""

CLIENT = {
    "connect_timeout": 3,
    "read_timeout": 7,
    "retries": {"total_max_attempts": 2},
    "max_pool_connections": 128,
}
"""A store that never says anything is given up after 14 s, one where nobody listens at once."""

GONE = {"404", "NoSuchKey", "NoSuchBucket"}
CLOSED_TO_US = {"403", "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"}
OTHER_FILE = {"412", "PreconditionFailed", "416", "InvalidRange"}


class S3fs:
    """Reached as is told, else by the ``AWS_*`` variables; ``EPHYSTORE_S3_ANONYMOUS=1`` reads public buckets."""

    def __init__(self, access: Access = FROM_ENVIRONMENT) -> None:
        self._access = access
        told = access.client
        key, secret, token = access.keys or (None, None, None)
        self._files = s3fs.S3FileSystem(
            anon=access.is_anonymous,
            key=key,
            secret=secret,
            token=token,
            endpoint_url=told.pop("endpoint_url", None),
            client_kwargs=told,
            config_kwargs=CLIENT,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        self._files.retries = 1  # its own, around those of the client

    def get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> Sequence[Content]:
        """Return the bytes of each range: one GET each, with ``If-Match``, side by side; nothing else is asked."""
        name = file_name(location)
        return _named_errors(name, lambda: sync(self._files.loop, self._get_ranges, location, ranges, pin))

    def stat(self, location: str) -> Stat:
        """Return size and ETag."""
        found = _named_errors(file_name(location), lambda: self._files.info(location, refresh=True))
        if found["type"] != "file":
            raise NotStored(f"{file_name(location)} is not in the store: it is a prefix")
        modified = found.get("LastModified")
        return Stat(int(found["size"]), str(found["ETag"]), None if modified is None else modified.timestamp())

    async def _get_ranges(self, location: str, ranges: Sequence[ByteRange], pin: str | None) -> list[bytes]:
        bucket, _, key = location.partition("/")
        pinned = {"IfMatch": pin} if pin else {}
        places = asyncio.Semaphore(SIDE_BY_SIDE)

        async def get(part: ByteRange) -> bytes:
            span = f"bytes={part.byte_offset}-{part.end - 1}"
            async with places:
                answer = await self._files._call_s3("get_object", Bucket=bucket, Key=key, Range=span, **pinned)
                async with answer["Body"] as body:
                    content = cast(bytes, await body.read())
            if len(content) != part.nbytes:
                raise FileChanged(f"{file_name(key)} is shorter than when it was registered")
            return content

        return await asyncio.gather(*(get(part) for part in ranges))

    def find(self, location: str) -> Listing:
        """Return the file itself, or all keys below a prefix."""
        found = _named_errors(file_name(location), lambda: s3_listing.find(self._lister(), location))
        if not found.files and not found.closed:
            raise NotStored(f"s3://{location} holds no file")
        return found

    def _lister(self) -> Any:
        """Return a client that lists: what follows the keys of a folder is asked for by a key, which s3fs cannot."""
        signature = {"signature_version": UNSIGNED} if self._access.is_anonymous else {}
        return new_session(self._access).client("s3", config=Config(**CLIENT, **signature), **self._access.client)


def _named_errors(name: str, ask: Callable[[], T]) -> T:
    """Ask the store, and name what went wrong after what was asked for."""
    try:
        return ask()
    except (TimeoutError, OSError, ClientError, BotoCoreError, aiohttp.ClientError, ValueError) as error:
        code = _code(error)
        if code in GONE or isinstance(error, FileNotFoundError):
            raise NotStored(f"{name} is not in the store") from error
        if code in OTHER_FILE:
            raise FileChanged(f"{name} is not the file that was registered: it was changed since") from error
        if isinstance(error, PermissionError) or code in CLOSED_TO_US:
            raise StoreAway(f"the store of {name} may not be read with these credentials") from error
        if isinstance(error, NoCredentialsError):
            raise StoreAway(f"there are no credentials for the store of {name}") from error
        if isinstance(error, ProfileNotFound | ValueError):
            raise StoreAway(f"the store of {name} cannot be reached as it is set up: {error}") from error
        raise StoreAway(f"the store of {name} does not answer; try again later") from error


def _code(error: Any) -> str:
    """Return the error code of S3 behind an error of s3fs."""
    client_error = error if isinstance(error, ClientError) else error.__cause__
    response = getattr(client_error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))

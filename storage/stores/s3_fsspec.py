"""The ``s3://`` store by s3fs: sizes, lists, and ranges where ``EPHYSTORE_S3_CLIENT=s3fs``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import aiohttp
import s3fs
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
from fsspec.asyn import sync

from storage.errors import FileChanged, NotStored, StoreAway
from storage.ranges import ByteRange
from storage.stores.backend import Content, Stat, file_name, is_one_recording, recording_above

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

PAGE_KEYS = 1000
"""Keys of one page of a list; S3 gives no more."""

LAST = "\U0010ffff"
"""Follows whatever a key can go on with."""

GONE = {"404", "NoSuchKey", "NoSuchBucket"}
OTHER_FILE = {"412", "PreconditionFailed", "416", "InvalidRange"}


class S3fs:
    """Reached by the standard ``AWS_*`` variables; ``EPHYSTORE_S3_ANONYMOUS=1`` reads public buckets."""

    def __init__(self) -> None:
        anonymous = os.environ.get("EPHYSTORE_S3_ANONYMOUS", "") not in ("", "0")
        self._files = s3fs.S3FileSystem(
            anon=anonymous, config_kwargs=CLIENT, use_listings_cache=False, skip_instance_cache=True
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
        return Stat(int(found["size"]), str(found["ETag"]))

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

    def list(self, location: str) -> list[str]:
        """Return the file itself, or all keys below a prefix."""
        found = _named_errors(file_name(location), lambda: sync(self._files.loop, self._list, location.rstrip("/")))
        if not found:
            if location.rstrip("/").partition("/")[2] and self._is_file(location):
                return [location.rstrip("/")]
            raise NotStored(f"s3://{location} holds no file")
        return sorted(found)

    def _is_file(self, location: str) -> bool:
        try:
            return self.stat(location.rstrip("/")).nbytes >= 0
        except NotStored:
            return False

    async def _list(self, top: str) -> set[str]:
        """Return all keys below a prefix, page by page; what is one recording is passed over after its first key."""
        bucket, _, prefix = top.partition("/")
        found: set[str] = set()
        below = f"{prefix}/" if prefix else ""
        more: dict[str, Any] = {"MaxKeys": 1 if is_one_recording(top) else PAGE_KEYS}
        while True:
            page = await self._files._call_s3("list_objects_v2", Bucket=bucket, Prefix=below, **more)
            if is_one_recording(top):
                return {f"{top}/"} if page.get("Contents") else found
            recording = None
            for one in page.get("Contents", ()):
                location = f"{bucket}/{one['Key']}"
                recording = recording_above(location, top)
                found |= {recording or location} if recording or not location.endswith("/") else set()
            if not page.get("IsTruncated"):
                return found
            after = page["Contents"][-1]["Key"] if recording is None else f"{recording.partition('/')[2]}{LAST}"
            more |= {"StartAfter": after}


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
        if isinstance(error, PermissionError):
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

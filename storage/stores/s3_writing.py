"""Writing to ``s3://``: files as their bytes come, files in parts, and removing.

boto3 asks for all that is small. The bytes themselves go to URLs that it signs: so a part can be sent while it
comes, nothing is hashed twice, and what takes the bytes is the same whether a caller or the service sends them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import chain
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from storage.errors import NotStored, StoreAway, StoreFull
from storage.side_by_side import yield_to_others
from storage.stores.access import FROM_ENVIRONMENT, Access
from storage.stores.backend import Part, Pieces, exactly, file_name, require_parts
from storage.stores.s3_bodies import Body, Rooms, gathered, slices
from storage.stores.s3_clients import BucketClients

PART_NBYTES = 5 << 20
"""S3 takes none below 5 MiB but the last. Each file that comes holds three in memory."""
MAX_PARTS = 10_000
SENT_AT_ONCE = 2
"""Parts of one file that are sent while the next one comes."""

SENDERS = 16
"""Threads of one process that send parts."""

TRIES = 3
"""Of a part that the service has in memory; one that is sent as it comes cannot be sent again."""

URL_LASTS_S = 3600
GONE = {"404", "NoSuchKey", "NoSuchBucket", "NoSuchUpload"}
FULL = {"507", "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"}


class _Refused(Exception):
    """An answer to a PUT that is no success."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.code = code if code else str(status)
        self.may_pass = status in (408, 429) or status >= 500


class S3Writing:
    """Reached as is told, else by the standard ``AWS_*`` variables.

    Parameters
    ----------
    public_url : str, optional
        Where callers reach the same S3; without it nothing is presigned for them.
    access : Access, optional
    """

    def __init__(self, public_url: str | None = None, access: Access = FROM_ENVIRONMENT) -> None:
        self._public_url, self._access = public_url, access
        self._buckets: dict[str, BucketClients] = {}

    def put(self, location: str, content: bytes | memoryview) -> None:
        """Store a whole file by one PUT."""
        bucket, key = _split(location)
        with _named_errors(key):
            self._send("put_object", content, {"Bucket": bucket, "Key": key})

    def write(self, location: str, pieces: Pieces, at_most_nbytes: int) -> None:
        """Store a file as its bytes come, by one PUT where it is short and else in parts.

        Parameters
        ----------
        location : str
        pieces : iterable of bytes
        at_most_nbytes : int
            S3 takes 10,000 parts, so those of a very long file are longer.
        """
        part_nbytes = max(PART_NBYTES, -(-at_most_nbytes // MAX_PARTS))
        rooms = Rooms(part_nbytes)
        parts = gathered(pieces, part_nbytes, rooms)
        first = next(parts, memoryview(b""))
        second = next(parts, None)
        if second is None:
            self.put(location, first)
            return
        bucket, key = _split(location)
        with _named_errors(key):
            upload = self.begin_parts(location)
            try:
                sent = self._send_side_by_side(bucket, key, upload, chain([first, second], parts), rooms)
                self._complete(bucket, key, upload, sent)
            except BaseException:
                with suppress(ClientError, BotoCoreError):  # what is left then is removed with the file
                    self._clients(bucket).client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
                raise

    def begin_parts(self, location: str) -> str:
        """Begin a multipart upload, and return its id."""
        bucket, key = _split(location)
        with _named_errors(key):
            return str(self._clients(bucket).client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])

    def put_part(self, location: str, upload: str | None, part: Part, pieces: Pieces) -> None:
        """Send one part as it comes; S3 keeps it only if it is whole."""
        bucket, key = _split(location)
        asked = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": part.number}
        try:
            with _named_errors(key):
                url = _signed(self._clients(bucket).client, "upload_part", part.nbytes, URL_LASTS_S, asked)
                self._send_once(bucket, url, Body(exactly(pieces, part)), part.nbytes)
        except StoreAway:  # S3 may hang up in the middle of a part of an upload that is over
            self._parts(location, upload)
            raise

    def list_parts(self, location: str, upload: str | None) -> dict[int, int]:
        """Return the lengths of the parts that are whole, by number."""
        return {number: nbytes for number, (nbytes, _) in self._parts(location, upload).items()}

    def complete(self, location: str, upload: str | None, parts: Sequence[Part]) -> None:
        """Make the file of its parts, unless that is done already."""
        bucket, key = _split(location)
        try:
            there = self._parts(location, upload)
            require_parts(file_name(key), parts, {number: nbytes for number, (nbytes, _) in there.items()})
            with _named_errors(key):
                self._complete(bucket, key, upload, [(number, etag) for number, (_, etag) in there.items()])
        except NotStored:
            if self._nbytes(bucket, key) != sum(part.nbytes for part in parts):
                raise

    def remove(self, location: str) -> None:
        """Remove a file, and every multipart upload of its key."""
        bucket, key = _split(location)
        with suppress(NotStored), _named_errors(key):
            for page in (
                self._clients(bucket).client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
            ):
                for found in page.get("Uploads", ()):
                    if found["Key"] == key:
                        self._abort(bucket, key, found["UploadId"])
            self._clients(bucket).client.delete_object(Bucket=bucket, Key=key)

    def find_all(self, location: str) -> set[str]:
        """Return the locations of all keys below a prefix, and of those that multipart uploads are under way for."""
        bucket, prefix = _split(location)
        asked = {"Bucket": bucket, "Prefix": f"{prefix.rstrip('/')}/"}
        with _named_errors(prefix):
            client = self._clients(bucket).client
            whole = client.get_paginator("list_objects_v2").paginate(**asked)
            begun = client.get_paginator("list_multipart_uploads").paginate(**asked)
            keys = {found["Key"] for page in whole for found in page.get("Contents", ())}
            keys |= {found["Key"] for page in begun for found in page.get("Uploads", ())}
        return {f"{bucket}/{key}" for key in keys}

    def presign_part(self, location: str, upload: str | None, part: Part, expires_s: int) -> str | None:
        """Return a URL that takes one part, of exactly its length; None where callers do not reach S3."""
        bucket, key = _split(location)
        asked = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": part.number}
        with _named_errors(key):
            client = self._clients(bucket).public
            return client and _signed(client, "upload_part", part.nbytes, expires_s, asked)

    def _parts(self, location: str, upload: str | None) -> dict[int, tuple[int, str]]:
        """Return length and ETag of the parts that are whole, by number."""
        bucket, key = _split(location)
        with _named_errors(key):
            lists = self._clients(bucket).client.get_paginator("list_parts")
            return {
                int(found["PartNumber"]): (int(found["Size"]), str(found["ETag"]))
                for page in lists.paginate(Bucket=bucket, Key=key, UploadId=upload)
                for found in page.get("Parts", ())
            }

    def _complete(self, bucket: str, key: str, upload: str | None, parts: Iterable[tuple[int, str]]) -> None:
        told = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(parts)]
        self._clients(bucket).patient.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": told}
        )

    def _abort(self, bucket: str, key: str, upload: str) -> None:
        try:
            self._clients(bucket).client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        except ClientError as error:
            if _code(error) not in GONE:  # somebody else was faster
                raise

    def _nbytes(self, bucket: str, key: str) -> int | None:
        try:
            with _named_errors(key):
                return int(self._clients(bucket).client.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except NotStored:
            return None

    def _send_side_by_side(
        self, bucket: str, key: str, upload: str, parts: Iterator[memoryview], rooms: Rooms
    ) -> list[tuple[int, str]]:
        """Send parts while the next ones come; return their numbers and ETags."""
        sending: deque[Future[tuple[int, str]]] = deque()
        sent = []

        def send(number: int, content: memoryview) -> tuple[int, str]:
            try:
                return self._send_part(bucket, key, upload, number, content)
            finally:
                rooms.put(content)

        try:
            for number, content in enumerate(parts, start=1):
                if len(sending) == SENT_AT_ONCE:
                    sent.append(sending.popleft().result())
                sending.append(self._senders.submit(send, number, content))
            return sent + [one.result() for one in sending]
        finally:  # an upload is given up only when nothing of it is under way any more
            for one in sending:
                if not one.cancel():
                    one.exception()

    def _send_part(self, bucket: str, key: str, upload: str, number: int, content: memoryview) -> tuple[int, str]:
        asked = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        return number, self._send("upload_part", content, asked)

    def _send(self, operation: str, content: bytes | memoryview, asked: dict[str, Any]) -> str:
        """Send bytes that can be sent again, and return the ETag."""
        bucket = str(asked["Bucket"])
        url = _signed(self._clients(bucket).client, operation, len(content), URL_LASTS_S, asked)
        for _ in range(TRIES - 1):
            try:
                return self._send_once(bucket, url, Body(slices(content)), len(content))
            except BotoCoreError:
                continue
            except _Refused as error:
                if not error.may_pass:
                    raise
        return self._send_once(bucket, url, Body(slices(content)), len(content))

    def _send_once(self, bucket: str, url: str, body: Body, nbytes: int) -> str:
        """Send a body of known length, and return the ETag; raises _Refused, BotoCoreError or what the body raised."""
        prepared = AWSRequest("PUT", url, headers={"Content-Length": str(nbytes)}).prepare()
        prepared.body = body  # after preparing, which would measure it
        try:
            answer = self._clients(bucket).http.send(prepared)
        except BotoCoreError:
            if body.error is not None:
                raise body.error from None
            raise
        if answer.status_code != 200:
            raise _Refused(answer.status_code, _told_code(answer.content))
        return str(answer.headers.get("ETag", ""))

    @cached_property
    def _senders(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(SENDERS, thread_name_prefix="send", initializer=yield_to_others)

    def _clients(self, bucket: str) -> BucketClients:
        return self._buckets.get(bucket) or self._buckets.setdefault(
            bucket, BucketClients(bucket, self._public_url, self._access)
        )


def _signed(client: Any, operation: str, nbytes: int, expires_s: int, asked: dict[str, Any]) -> str:
    """Return a URL that takes exactly so many bytes."""
    params = {**asked, "ContentLength": nbytes}
    return str(client.generate_presigned_url(operation, Params=params, ExpiresIn=expires_s))


def _split(location: str) -> tuple[str, str]:
    bucket, _, key = location.partition("/")
    return bucket, key


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _told_code(content: bytes) -> str:
    """Return the code in an error of S3, which is a short XML; it may come from anybody, so it is not parsed."""
    code = content.partition(b"<Code>")[2].partition(b"</Code>")[0]
    return code[:100].decode("ascii", "replace")


@contextmanager
def _named_errors(key: str) -> Iterator[None]:
    """Name what went wrong after what was asked for."""
    name = file_name(key)
    try:
        yield
    except (ClientError, _Refused) as error:
        code = _code(error) if isinstance(error, ClientError) else error.code
        if code in GONE:
            raise NotStored(f"{name} is not in the store") from error
        if code in FULL:
            raise StoreFull(f"the store has no room for {name}") from error
        if code in ("AccessDenied", "403", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"):
            raise StoreAway(f"the store of {name} may not be written with these credentials") from error
        raise StoreAway(f"the store of {name} does not answer; try again later") from error
    except NoCredentialsError as error:
        raise StoreAway(f"there are no credentials for the store of {name}") from error
    except (BotoCoreError, OSError) as error:
        raise StoreAway(f"the store of {name} does not answer; try again later") from error
    except ValueError as error:
        raise StoreAway(f"the store of {name} cannot be reached as it is set up: {error}") from error

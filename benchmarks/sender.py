"""A process that sends bytes, to the service or straight to S3, and tells how long that took.

    python -m benchmarks.sender WAY NBYTES [PORT COOKIE]

``WAY`` is ``service``, or how S3 is written to: ``obstore``, ``boto3`` or ``put`` (one request). The bytes are the same
mebibyte again and again, so that making them costs nothing.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator

import boto3
import obstore
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from obstore.store import S3Store

from benchmarks.bench import BUCKET
from benchmarks.processes import HOST

PIECE = os.urandom(1 << 20)
HEAD = b'--XX\r\nContent-Disposition: form-data; name="raw_file"; filename="sent.h5"\r\n\r\n'
TAIL = b"\r\n--XX--\r\n"
KEY = "store/sent-directly.h5"


def pieces(nbytes: int) -> Iterator[bytes]:
    """Yield so many bytes, in whole mebibytes."""
    return (PIECE for _ in range(nbytes >> 20))


class Stream(io.RawIOBase):
    """The same bytes as a file."""

    def __init__(self, nbytes: int) -> None:
        self._left = nbytes >> 20 << 20

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, nbytes: int = -1) -> bytes:
        """Return the next bytes."""
        wanted = self._left if nbytes < 0 else min(nbytes, self._left)
        self._left -= wanted
        return (PIECE * -(-wanted // len(PIECE)))[:wanted]


def to_service(nbytes: int, port: int, cookie: str) -> None:
    """Send one form with one file."""
    length = len(HEAD) + (nbytes >> 20 << 20) + len(TAIL)
    head = (
        f"POST /datafiles/ HTTP/1.1\r\nHost: {HOST}\r\nCookie: sessionid={cookie}\r\n"
        f"Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((HOST, port), timeout=600) as service:
        service.sendall(head.encode() + HEAD)
        for piece in pieces(nbytes):
            service.sendall(piece)
        service.sendall(TAIL)
        answer = service.recv(1 << 16)
    if not answer.startswith(b"HTTP/1.1 201"):
        raise RuntimeError(f"the service answers {answer[:1000]!r}")


def by_obstore(nbytes: int) -> None:
    """Send by obstore, without hashing what is sent."""
    store = S3Store(
        BUCKET,
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        region="us-east-1",
        virtual_hosted_style_request=False,
        unsigned_payload=True,
        client_options={"allow_http": True, "timeout": "600s"},
    )
    obstore.put(store, KEY, pieces(nbytes), chunk_size=8 << 20, max_concurrency=4, use_multipart=True)


def by_boto3(nbytes: int) -> None:
    """Send by boto3's own transfers."""
    client = boto3.client("s3", config=Config(request_checksum_calculation="when_required"))
    client.upload_fileobj(Stream(nbytes), BUCKET, KEY, Config=TransferConfig(max_concurrency=4))


def by_put(nbytes: int) -> None:
    """Send in one request."""
    client = boto3.client("s3", config=Config(signature_version="s3v4"))
    url = client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": KEY})
    headers = {"Content-Length": str(nbytes >> 20 << 20)}
    answer = urllib3.PoolManager().request("PUT", url, body=pieces(nbytes), headers=headers, retries=False)
    if answer.status != 200:
        raise RuntimeError(f"S3 answers {answer.status}: {answer.data[:1000]!r}")


DIRECT: dict[str, Callable[[int], None]] = {"obstore": by_obstore, "boto3": by_boto3, "put": by_put}


def main() -> None:
    """Send once, and tell the seconds."""
    way, nbytes, *more = sys.argv[1:]
    began_s = time.perf_counter()
    if way == "service":
        port, cookie = more
        to_service(int(nbytes), int(port), cookie)
    else:
        DIRECT[way](int(nbytes))
    print(json.dumps({"seconds": time.perf_counter() - began_s}))


if __name__ == "__main__":
    main()

"""What S3 says and rclone's server does not: 206 for a range, a strong ETag, 412 for a file that changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from benchmarks.http_messages import join_head, split_head

LEFT_OUT = (b"access-control-", b"connection", b"etag", b"keep-alive", b"transfer-encoding")
"""Header lines of rclone that S3 does not send, or that this side of the proxy says itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    target: str
    headers: dict[bytes, bytes]
    """By lower-case name."""

    @classmethod
    def parse(cls, head: bytes) -> Request:
        """Read a head; raises ValueError where it is none."""
        first, headers = split_head(head)
        method, target, _ = first.decode("latin-1").split(" ")
        return cls(method, target, dict(headers))

    @property
    def nbytes(self) -> int:
        """Length of the body."""
        return int(self.headers.get(b"content-length", 0))

    def forwarded(self) -> bytes:
        """Return the head as it is sent on, over a connection that stays open."""
        left_out = (b"expect", b"connection")
        kept = [(name, value) for name, value in self.headers.items() if name not in left_out]
        return join_head(f"{self.method} {self.target} HTTP/1.1".encode("latin-1"), kept)

    def path(self, root: Path) -> Path | None:
        """Return the file that is asked about, None for buckets and for what lies elsewhere."""
        parts = unquote_to_bytes(self.target.partition("?")[0]).decode("utf-8", "replace").split("/")[1:]
        if len(parts) < 2 or not all(parts) or ".." in parts:
            return None
        return root.joinpath(*parts)


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, as the caller gets it."""

    status: int
    head: bytes
    nbytes: int
    """Length of the body."""


def etag(path: Path | None) -> bytes | None:
    """Return what changes with the content of a file: hashing a long file for each request would take seconds."""
    try:
        found = path.stat() if path else None
    except (OSError, ValueError):
        return None
    return f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'.encode() if found else None


def corrected(request: Request, head: bytes, root: Path, nbytes: int | None = None) -> Answer:
    """Return the answer that S3 would have given.

    Parameters
    ----------
    request : Request
    head : bytes
        Of rclone's answer.
    root : Path
        Folder of the buckets.
    nbytes : int, optional
        Length of the body where the head does not say it.
    """
    first, headers = split_head(head)
    status, found = int(first.split(b" ")[1]), dict(headers)
    is_part = request.method == "PUT" and "uploadId=" in request.target  # rclone's own ETags of parts are right
    tag = found.get(b"etag") if is_part else etag(request.path(root)) if status < 300 else None
    if tag and request.headers.get(b"if-match", tag) not in (tag, b"*"):
        return refused(request, 412, "Precondition Failed", "PreconditionFailed")
    if status == 200 and b"content-range" in found:
        status, first = 206, b"HTTP/1.1 206 Partial Content"
    left_out = LEFT_OUT if status != 206 else (*LEFT_OUT, b"x-amz-checksum-")  # those are of the whole object
    kept = [(name, value) for name, value in headers if not name.startswith(left_out)]
    if nbytes is None:
        nbytes = int(found.get(b"content-length", 0))
    else:
        kept.append((b"content-length", b"%d" % nbytes))
    if tag:
        kept.append((b"etag", tag))
    return Answer(status, join_head(first, kept), 0 if request.method == "HEAD" else nbytes)


def refused(request: Request, status: int, reason: str, code: str) -> Answer:
    """Return an answer of the proxy itself, whose body is part of the head."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{reason}</Message></Error>'
    headers = [(b"content-type", b"application/xml"), (b"content-length", b"%d" % len(body))]
    head = join_head(f"HTTP/1.1 {status} {reason}".encode(), headers)
    return Answer(status, head if request.method == "HEAD" else head + body.encode(), 0)

"""A real S3 over HTTP, on this machine, that remembers what it was asked."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


@dataclass(frozen=True)
class Request:
    """One request as the server saw it."""

    method: str
    path: str
    query: str
    range: str | None
    if_match: str | None
    status: int
    nbytes: int
    """Bytes of the answered body."""
    began_s: float
    ended_s: float


def rounds(requests: list[Request]) -> int:
    """Return how many of the requests were made one after the answer of another, at the least."""
    count, ended_s = 0, 0.0
    for request in sorted(requests, key=lambda one: one.ended_s):
        if request.began_s >= ended_s:
            count, ended_s = count + 1, request.ended_s
    return count


class S3Server:
    """moto's S3 in a thread, on a free port of the loopback interface.

    All servers of one process share moto's buckets.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        """Time that each answer takes at the least, so that requests side by side are seen to be."""
        self._answer = DomainDispatcherApplication(create_backend_app)
        self._requests: list[Request] = []
        self._connections: set[socket.socket] = set()
        self._server = make_server("127.0.0.1", 0, self._app, threaded=True, request_handler=self._handler())
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.client = boto3.client("s3", endpoint_url=self.url, config=Config(max_pool_connections=2), **KEYS)

    @property
    def requests(self) -> list[Request]:
        """What was asked since the last ``clear()``."""
        return list(self._requests)

    def clear(self) -> None:
        """Forget what was asked."""
        self._requests.clear()

    def stop(self) -> None:
        """Stop listening, and cut all connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.cut()

    def cut(self) -> None:
        """Cut the connections that clients keep open."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was faster
                continue

    def create_bucket(self, bucket: str) -> None:
        """Make an empty bucket."""
        self.client.create_bucket(Bucket=bucket)

    def put(self, location: str, content: bytes) -> None:
        """Store a file at ``bucket/key``; the request for it is not remembered."""
        bucket, _, key = location.partition("/")
        self._unseen(lambda: self.client.put_object(Bucket=bucket, Key=key, Body=content))

    def delete(self, location: str) -> None:
        """Remove the file at ``bucket/key``; the request for it is not remembered."""
        bucket, _, key = location.partition("/")
        self._unseen(lambda: self.client.delete_object(Bucket=bucket, Key=key))

    def _unseen(self, ask) -> None:
        before = self.requests
        ask()
        self._requests[:] = before

    def _app(self, environ, start_response):
        """Answer by moto, and remember question and answer before the client sees either."""
        status = []
        began_s = time.monotonic()
        time.sleep(self.delay_s)

        def note_status(line, headers, *more):
            status.append(int(line.split()[0]))
            return start_response(line, headers, *more)

        body = b"".join(self._answer(environ, note_status))
        self._requests.append(
            Request(
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                query=environ["QUERY_STRING"],
                range=environ.get("HTTP_RANGE"),
                if_match=environ.get("HTTP_IF_MATCH"),
                status=status[-1],
                nbytes=len(body),
                began_s=began_s,
                ended_s=time.monotonic(),
            )
        )
        return [body]

    def _handler(self) -> type[MotoRequestHandler]:
        connections = self._connections

        class Handler(MotoRequestHandler):
            """Keeps connections open between requests, and writes no log."""

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                connections.add(self.request)
                super().setup()

            def finish(self) -> None:
                super().finish()
                connections.discard(self.request)

            def log(self, *_) -> None:
                pass

        return Handler

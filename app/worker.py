"""The gunicorn worker: threads, and JSON for requests too malformed to reach the application."""

import ctypes
import gc
import json
import threading
from http import HTTPStatus
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import ThreadWorker

from app.body import PIECE_NBYTES
from app.impatience import impatience

MAX_REASON = 200
"""Characters of the malformed request that its answer repeats."""


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Of ``malloc.h``."""

COLLECT_AFTER = (20_000, 20, 50)
"""Objects made since the last collection of the youngest; collections until the next older ones are gone through."""


HEAD_S = 10.0
"""Within which the head of a request must come, and what is left of the body of the one before."""


class Answer:
    """Stands in for a caller's socket and keeps the status that gunicorn answers."""

    def __init__(self) -> None:
        self.status = HTTPStatus.INTERNAL_SERVER_ERROR

    def gettimeout(self) -> float:
        """Tell gunicorn that the socket does not block."""
        return 0.0

    def sendall(self, content: bytes) -> None:
        """Keep the status of an answer."""
        self.status = HTTPStatus(int(content.split(b" ", 2)[1]))


class Worker(ThreadWorker):  # type: ignore[misc]
    """Answers in JSON where gunicorn answers in HTML, with gunicorn's status."""

    def init_process(self) -> None:
        """Begin as a process of its own."""
        few_heaps()
        self._waiting = threading.local()
        SocketUnreader.max_body_chunk = PIECE_NBYTES
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and spare the garbage collector what stays for good.

        Going through all of it again and again took a quarter of the time of short answers.
        """
        super().load_wsgi()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)

    def handle(self, conn: Any) -> Any:
        """Wait for a request, but not for ever: half a request would hold a thread."""
        self._waiting.number = impatience.begin(conn.sock, HEAD_S)
        try:
            return super().handle(conn)
        finally:
            impatience.end(self._waiting.number)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head has come."""
        impatience.end(self._waiting.number)
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Take what the application left of a body; gunicorn's own deadline begins again with each byte."""
        with impatience.within(conn.sock, HEAD_S):
            return bool(super()._keepalive_after(conn, keepalive))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer where the application did not; gunicorn logs the request and chooses the status."""
        answer = Answer()
        super().handle_error(req, answer, addr, exc)
        try:
            client.settimeout(1)
            client.sendall(response(answer.status, str(exc)))
        except OSError:
            self.log.debug("Failed to send error message.")


def few_heaps() -> None:
    """Make the threads of this process share four heaps, which keep what chunks and windows are made in.

    By itself glibc gives each thread a heap, and every heap keeps some megabytes after a long answer; or it gives
    memory back to the system after each chunk, and taking it again costs more than copying the chunk. Other C
    libraries have no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in ((M_ARENA_MAX, 4), (M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, 16 << 20)):
            mallopt(setting, value)


def response(status: HTTPStatus, reason: str) -> bytes:
    """Return a whole HTTP response with a document that says why a request was refused."""
    body = json.dumps(document(status, reason)).encode("ascii")
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def document(status: HTTPStatus, reason: str) -> dict[str, Any]:
    """Return the document of an error; what failed inside the service stays there."""
    failed = status == HTTPStatus.INTERNAL_SERVER_ERROR
    return {
        "logged_in_as": None,
        "objects_selected": 0,
        "selected": [],
        "selected_range": [],
        "message": "The service failed; its log says why." if failed else malformed(reason),
        "message_type": "internal_error" if failed else "bad_request",
        "details": {},
    }


def malformed(reason: str) -> str:
    """Return the message for a request that HTTP does not allow."""
    short = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]} ..."
    return f"The request is malformed or too long: {short}."

"""The gunicorn worker: threads, and JSON for requests too malformed to reach the application."""

import json
from http import HTTPStatus
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

MAX_REASON = 200
"""Characters of the malformed request that its answer repeats."""


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

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer where the application did not; gunicorn logs the request and chooses the status."""
        answer = Answer()
        super().handle_error(req, answer, addr, exc)
        try:
            client.settimeout(1)
            client.sendall(response(answer.status, str(exc)))
        except OSError:
            self.log.debug("Failed to send error message.")


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

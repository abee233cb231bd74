"""The proxy before rclone's S3 server, a process of its own: corrects, delays and counts answers.

    python -m benchmarks.s3.proxy --store-port N --root FOLDER

Prints one line of JSON with its two ports, and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path

from benchmarks.http_messages import END_OF_HEAD, ChunkedBody, split_head
from benchmarks.s3.corrections import Answer, Request, corrected
from benchmarks.s3.journal import Asked, Control, Journal

MAX_HEAD_NBYTES = 1 << 16
HOST = "127.0.0.1"


class Proxy:
    """What all connections share: the journal, and connections to the store that nobody uses now."""

    def __init__(self, store_port: int, root: Path) -> None:
        self.journal = Journal()
        self.root = root
        self._store_port = store_port
        self._idle: list[StoreSide] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def lend(self, caller: CallerSide) -> None:
        """Give a caller a connection to the store, at once or when it is made."""
        while self._idle:
            store = self._idle.pop()
            if store.is_open:
                caller.take(store)
                return
        task = asyncio.get_running_loop().create_task(self._connect(caller))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def give_back(self, store: StoreSide) -> None:
        """Keep a connection for the next caller."""
        self._idle.append(store)

    async def _connect(self, caller: CallerSide) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, store = await loop.create_connection(lambda: StoreSide(self), HOST, self._store_port)
        except OSError:
            caller.hang_up()
        else:
            caller.take(store)


class CallerSide(asyncio.Protocol):
    """One connection of a caller; its requests are answered one after the other."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._waiting = bytearray()
        self._body_left = 0
        self._store: StoreSide | None = None
        self.request: Request | None = None
        self.began_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Pass on the body of the request under way, and begin with the next when there is none."""
        self._waiting += data
        if self.request is None:
            self._begin()
        else:
            self._pass_body()

    def pause_writing(self) -> None:
        """Let the store wait for a slow caller."""
        if self._store:
            self._store.pause()

    def resume_writing(self) -> None:
        """Go on when the caller has caught up."""
        if self._store and not self._store.is_held:
            self._store.resume()

    def connection_lost(self, error: Exception | None) -> None:
        """Give up what was under way."""
        if self._store:
            self._store.hang_up()

    def _begin(self) -> None:
        end = self._waiting.find(END_OF_HEAD)
        if end < 0:
            if len(self._waiting) > MAX_HEAD_NBYTES:
                self.hang_up()
            return
        self.began_s = time.monotonic()
        try:
            self.request = Request.parse(bytes(self._waiting[:end]))
            self._body_left = self.request.nbytes
        except ValueError:
            self.hang_up()
            return
        del self._waiting[: end + len(END_OF_HEAD)]
        if b"expect" in self.request.headers:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._proxy.lend(self)

    def take(self, store: StoreSide) -> None:
        """Send the request over this connection to the store."""
        if self.transport.is_closing() or self.request is None:
            self._proxy.give_back(store)
            return
        self._store = store
        store.serve(self, self.request)
        self._pass_body()

    def _pass_body(self) -> None:
        if self._store and self._body_left and self._waiting:
            part = bytes(self._waiting[: self._body_left])
            del self._waiting[: len(part)]
            self._body_left -= len(part)
            self._store.transport.write(part)

    def finish(self) -> None:
        """Begin with the next request, if the caller sent it already."""
        closes = self.request is not None and self.request.headers.get(b"connection", b"").lower() == b"close"
        self.request, self._store = None, None
        if closes:
            self.transport.close()
        elif self._waiting:
            self._begin()

    def hang_up(self) -> None:
        """End the connection, which tells the caller that the answer is not whole."""
        self.transport.abort()


class StoreSide(asyncio.Protocol):
    """One connection to the store."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._caller: CallerSide | None = None
        self._head = bytearray()
        self._chunked: tuple[bytes, ChunkedBody] | None = None
        self._answer: Answer | None = None
        self._left = 0
        self.is_open = True
        self.is_held = False
        """The first byte of the answer waits for the delay."""
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def pause(self) -> None:
        """Read no more for now."""
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()

    def serve(self, caller: CallerSide, request: Request) -> None:
        """Send a request."""
        self._caller, self._request, self._answer = caller, request, None
        self.transport.write(request.forwarded())

    def data_received(self, data: bytes) -> None:
        """Pass on the answer."""
        if self._caller is None:  # nothing was asked
            self.hang_up()
        elif self._answer is not None:
            self._pass(data)
        elif self._chunked:
            self._collect(data)
        else:
            self._head += data
            self._read_head()

    def _read_head(self) -> None:
        end = self._head.find(END_OF_HEAD)
        if end < 0:
            return
        head, rest = bytes(self._head[:end]), bytes(self._head[end + len(END_OF_HEAD) :])
        self._head.clear()
        first, headers = split_head(head)
        if first.split(b" ")[1].startswith(b"1"):
            self._head += rest
            self._read_head()
        elif (b"transfer-encoding", b"chunked") in headers and self._request.method != "HEAD":
            self._chunked = head, ChunkedBody()
            self._collect(rest)
        else:
            self._hold(corrected(self._request, head, self._proxy.root), rest)

    def _collect(self, data: bytes) -> None:
        """Wait for the end of a body of unknown length, such as a list, to send it on with its length."""
        assert self._chunked is not None
        head, body = self._chunked
        body.feed(data)
        if body.is_complete:
            self._chunked = None
            content = bytes(body.content)
            self._hold(corrected(self._request, head, self._proxy.root, len(content)), content)

    def _hold(self, answer: Answer, rest: bytes) -> None:
        """Keep the first bytes until the delay has passed."""
        self._answer, self._left = answer, answer.nbytes
        delay_s = self._proxy.journal.delay_s
        if delay_s > 0:
            self.is_held = True
            self.pause()
            asyncio.get_running_loop().call_later(delay_s, self._release, rest)
        else:
            self._release(rest)

    def _release(self, rest: bytes) -> None:
        if self._caller is None or self._answer is None or not self.is_open:
            return
        if self.is_held:
            self.is_held = False
            self.resume()
        if self._answer.status == 412:  # the store is sending what must not be sent on
            self._count()
            self._caller.transport.write(self._answer.head)
            self._finish(reusable=False)
            return
        # The caller must see that it is whole only after it was counted.
        self._left -= len(rest)
        self._count_if_whole()
        self._caller.transport.write(self._answer.head + rest)
        self._finish_if_whole()

    def _pass(self, data: bytes) -> None:
        assert self._caller is not None
        self._left -= len(data)
        self._count_if_whole()
        self._caller.transport.write(data)
        self._finish_if_whole()

    def _count_if_whole(self) -> None:
        if self._left <= 0:
            self._count()

    def _count(self) -> None:
        assert self._caller is not None and self._answer is not None
        spans = self._request.headers.get(b"range")
        self._proxy.journal.add(
            Asked(
                method=self._request.method,
                target=self._request.target,
                range=spans.decode("latin-1") if spans else None,
                status=self._answer.status,
                nbytes=self._answer.nbytes - max(0, self._left),
                began_s=self._caller.began_s,
                ended_s=time.monotonic(),
            )
        )

    def _finish_if_whole(self) -> None:
        if self._left <= 0 and self._answer is not None:
            self._finish(reusable=self._left == 0)

    def _finish(self, *, reusable: bool) -> None:
        caller, self._caller = self._caller, None
        if reusable:
            self._answer = None
            self.resume()  # a slow caller may have paused it with the last part
            self._proxy.give_back(self)
        else:
            self.hang_up()
        if caller:
            caller.finish()

    def hang_up(self) -> None:
        """End the connection; an answer that was cut is counted with what was sent of it."""
        if self._caller and self._answer and self._left > 0:
            self._count()
        self._caller = None
        self.is_open = False
        self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Cut the answer that was under way."""
        self.is_open = False
        caller, self._caller = self._caller, None
        if caller:
            caller.hang_up()


async def serve(store_port: int, root: Path) -> None:
    """Serve until standard input ends or a signal comes."""
    loop = asyncio.get_running_loop()
    proxy, ended = Proxy(store_port, root), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_reader(sys.stdin.fileno(), ended.set)
    listener = await loop.create_server(lambda: CallerSide(proxy), HOST, 0, backlog=512)
    control = await loop.create_server(lambda: Control(proxy.journal), HOST, 0)
    ports = {"port": listener.sockets[0].getsockname()[1], "control": control.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await ended.wait()


def main() -> None:
    """Serve, on uvloop where it is installed: it halves the cost of a request."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store-port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    asked = parser.parse_args()
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(asked.store_port, asked.root))


if __name__ == "__main__":
    main()

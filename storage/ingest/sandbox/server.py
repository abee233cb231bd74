"""The process that all others are forked from: one thread, everything imported, no environment, no secrets."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from storage.ingest.sandbox import child

STATUS = struct.Struct("<i")
"""What the server tells of a process that has ended, as ``os.waitpid`` tells it."""

Run = Callable[[int], None]


def main(descriptor: int, run: Run = child.run) -> None:
    """Get ready, and serve."""
    time.tzset()  # the C library looks for the time zone once, in files
    child.warm_up()
    gc.collect()
    gc.freeze()
    serve(descriptor, run)


def serve(descriptor: int, run: Run) -> None:
    """Fork a process for each pair of sockets that comes in, until the parent closes its end.

    Parameters
    ----------
    descriptor : int
        Of the socket to the parent. With each byte come two descriptors: that of the new process, and one
        that tells the parent how it ended. Closing its other end ends the process.
    run : callable
        Is given its descriptor in the new process.
    """
    control = socket.socket(fileno=descriptor)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    watched: dict[int, int] = {}
    while True:
        ready = {*select.select([descriptor, woken, *watched], [], [])[0]}
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 4096)
        for watch, pid in list(watched.items()):
            if watch in ready:  # the parent does not want it any more
                os.kill(pid, signal.SIGKILL)
            if _has_ended(watch, pid, wait=watch in ready):
                del watched[watch]
        if descriptor in ready and not _fork(control, watched, run):
            break
    for pid in watched.values():
        os.kill(pid, signal.SIGKILL)


def _has_ended(watch: int, pid: int, *, wait: bool) -> bool:
    """Tell the parent how a process ended, if it has; only here is its number given back to the system."""
    ended, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    if not ended:
        return False
    with suppress(OSError):
        os.write(watch, STATUS.pack(status))
    os.close(watch)
    return True


def _fork(control: socket.socket, watched: dict[int, int], run: Run) -> bool:
    """Fork one process; tell whether the parent is still there."""
    said, descriptors, _, _ = socket.recv_fds(control, 1, 2)
    if not said:
        return False
    end, watch = descriptors
    try:
        pid = os.fork()
    except OSError:  # the parent sees both ends close
        os.close(end)
        os.close(watch)
        return True
    if pid == 0:
        try:
            control.detach()  # its number will be another's
            signal.set_wakeup_fd(-1)
            run(end)
        finally:
            os._exit(1)
    os.close(end)
    watched[watch] = pid
    return True

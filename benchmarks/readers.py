"""A process that takes long answers again and again until it is ended, some quickly and some slowly.

    python -m benchmarks.readers PORT TARGET QUICK SLOW

QUICK and SLOW are numbers of connections. Prints a line when every one has got its first bytes.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

from benchmarks.calls import get
from benchmarks.processes import HOST

SLOW_NBYTES_PER_S = 2_000_000
PIECE = 1 << 18
SLOW_PIECE = 1 << 16


def read(port: int, target: str, *, slow: bool, began: threading.Semaphore) -> None:
    """Take one long answer after the other."""
    while True:
        with socket.socket() as connection:
            if slow:  # else the system takes megabytes ahead
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_PIECE)
            connection.connect((HOST, port))
            connection.sendall(get(target, Connection="close"))
            piece = SLOW_PIECE if slow else PIECE
            buffer = bytearray(piece)
            began.release() if connection.recv_into(buffer) else None
            while connection.recv_into(buffer):
                if slow:
                    time.sleep(piece / SLOW_NBYTES_PER_S)


def main() -> None:
    """Read until ended."""
    port, target, n_quick, n_slow = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    began = threading.Semaphore(0)
    for slow in [False] * n_quick + [True] * n_slow:
        more = {"slow": slow, "began": began}
        threading.Thread(target=read, args=(port, target), kwargs=more, daemon=True).start()
    for _ in range(n_quick + n_slow):
        began.acquire()
    print("reading", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

"""How gunicorn serves: processes of threads, each process with its own connections."""

import os
from pathlib import Path


def count(variable: str, default: int, most: int) -> int:
    """Return a whole number from the environment; ends the program with a sentence where it is none."""
    text = os.environ.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise SystemExit(f"{variable}={text[:40]!r} is not a whole number from 1 to {most}")
    return int(text)


bind = "127.0.0.1:8000"
# A process uses one processor for Python; its threads wait for stores and for callers.
processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
workers = count("EPHYSTORE_WORKERS", max(2, processors), most=128)
threads = count("EPHYSTORE_THREADS", 16, most=512)
worker_class = "app.worker.Worker"  # threads; malformed requests are answered in JSON

# Clients of stores and databases are made after the fork, by the process that uses them.
preload_app = False

# A worker's main thread shows every second that it is alive, whatever its other threads stream, so this
# ends a process that hangs and no long answer.
timeout = 60
graceful_timeout = 30  # for answers under way when the service stops
keepalive = 15  # longer than a person between two movements in the viewer

# The most that gunicorn allows; a longer list of parameters is 414.
limit_request_line = 8190

# Nothing is written outside the data folder: no control socket, and the sign of life in memory.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() and os.access("/dev/shm", os.W_OK) else None

# Off; `--access-logfile -` shows one short line for each request.
accesslog = None
access_log_format = '%(h)s "%(r)s" %(s)s %(B)s bytes %(M)s ms'

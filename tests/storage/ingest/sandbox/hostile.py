"""What a process that parses could try if a file had taken it over: each attempt by its name.

``main`` serves as the sandbox's own server does; but its processes, once their walls are up, do what the name
of the file says, and tell what came of it as the reason for which that is refused.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import socket
import struct
from functools import partial
from pathlib import Path

from storage.ingest.sandbox import child, server, walls

PROGRAM = ("tests.storage.ingest.sandbox.hostile", "main")
HELD = bytearray(8)
CRASH = ctypes.CFUNCTYPE(None)(8)


def main(descriptor):
    server.main(descriptor, partial(child.run_with, work=work))


def work(channel, task, beginning, limits):
    for lies in (LIES, OF_SEVERAL):
        if task["name"] in lies:
            lies[task["name"]](channel)
            return
    argument = beginning.decode()
    try:
        said = f"done: {ATTEMPTS[task['name']](argument)}"
    except (OSError, MemoryError, ValueError, LookupError, ImportError) as error:
        said = f"failed: {type(error).__name__} {error}"
    channel.send({"refused": said})


def write_another_file(path):
    with open(path, "w") as file:
        return file.write("canary")


def connect(port):
    with socket.create_connection(("127.0.0.1", int(port)), 2) as end:
        return end.recv(6)


def connect_within_the_machine(path):
    with socket.socket(socket.AF_UNIX) as end:
        return end.connect(path)


def execute(path):
    # As root, which a shell that writes would be.
    os.execve("/bin/sh", ["sh", "-c", f"echo canary > {path}"], {})


def fork(_):
    pid = os.fork()
    if not pid:
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def start_thread(_):
    import _thread

    held = _thread.allocate_lock()
    held.acquire()
    try:
        _thread.start_new_thread(held.release, ())
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return held.acquire(timeout=5)


def by_libc(name, *arguments):
    if getattr(walls.LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return name


def read_the_memory_of_the_server(_):
    target = (ctypes.c_char * 8).from_buffer(HELD)
    vector = struct.pack("@PN", ctypes.addressof(target), 8)
    held = ctypes.create_string_buffer(vector, len(vector))
    # The same place in the server, of which this process is a copy.
    return by_libc("process_vm_readv", os.getppid(), held, 1, held, 1, 0)


def allocate(_):
    return len(bytearray(2 << 30))


def spin(_):
    while True:
        pass


def raise_a_limit(_):
    return resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))


def write_to_other_descriptors(_):
    reached = []
    for number in (0, 1, 2, *range(4, 64)):
        try:
            os.write(number, b"canary")
        except OSError:
            continue
        reached.append(number)
    return reached


def load_a_module(_):
    import wave

    return wave.__name__


ATTEMPTS = {
    "open": lambda path: Path(path).read_text(),
    "write": write_another_file,
    "list": lambda path: len(list(Path(path).parent.iterdir())),
    "connect": connect,
    "connect_within_the_machine": connect_within_the_machine,
    "execute": execute,
    "fork": fork,
    "start_thread": start_thread,
    "trace": lambda _: by_libc("ptrace", 0, 0, 0, 0),
    "read_the_memory_of_the_server": read_the_memory_of_the_server,
    "signal_the_server": lambda _: os.kill(os.getppid(), 0),
    "allocate": allocate,
    "spin": spin,
    "make_memory_executable": lambda _: len(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)),
    "raise_a_limit": raise_a_limit,
    "write_to_other_descriptors": write_to_other_descriptors,
    "get_the_environment": lambda _: sorted(os.environ),
    "load_a_module": load_a_module,
    "be_root": lambda _: os.getuid(),
}


def flood(channel):
    while True:
        channel.send({"progress": ["/signal", 1, 2]})


def flood_with_bytes(channel):
    while True:
        channel.send({"blocks": "/signal"}, [bytes(1 << 20)])


def hang(channel):
    channel.receive()


def raw(content, channel):
    os.write(walls.SOCKET, content)
    channel.receive()


def framed(said, nbytes=0):
    return struct.pack("<IQ", len(said), nbytes) + said


def go_silent(_):
    os.close(walls.SOCKET)
    while True:
        pass


def ask(ranges, channel):
    channel.send({"read": [0, ranges]})
    channel.receive()


def tell_of(file, nbytes, channel):
    """Tell of contiguous bytes in a file."""
    told = {"path": "/a", "dtype": "|u1", "shape": [nbytes], "fill": "00", "byte_offset": 0, "chunk_shape": None}
    channel.send({"dataset": {**told, "filters": [], "is_inline": False, "file": file}})
    channel.send({"end": True})


OF_SEVERAL = {
    "ask_for_a_second_file": lambda channel: channel.send({"read": [2, [[0, 1]]]}),
    "ask_for_what_is_only_served": lambda channel: channel.send({"read": [1, [[0, 1]]]}),
    "tell_of_a_strange_file": partial(tell_of, "/etc/passwd", 1),
    "tell_of_no_file": partial(tell_of, None, 1),
    "tell_of_more_than_a_file_has": partial(tell_of, "served.bin", 6001),
    "wait_for_ever": lambda channel: channel.send({"growing": "it is not whole"}),
    "wait_with_a_page": lambda channel: channel.send({"growing": "x" * 100_000}),
}
"""Lies of processes that parse a recording of several files."""

LIES = {
    "flood": flood,
    "flood_with_bytes": flood_with_bytes,
    "hang": hang,
    "go_silent": go_silent,
    "exit": lambda _: os._exit(7),
    "exit_as_if_all_was_said": lambda _: os._exit(0),
    "crash": lambda _: CRASH(),
    "noise": partial(raw, bytes(range(256)) * 10),
    "zeros": partial(raw, bytes(100)),
    "no_json": partial(raw, framed(b"{'a': 1}")),
    "a_list": partial(raw, framed(b"[1]")),
    "deep": partial(raw, framed(b"[" * 100_000 + b"]" * 100_000)),
    "many_parts": partial(raw, framed(b'{"read":1,"parts":[' + b"0," * 10_000 + b"0]}")),
    "negative_parts": partial(raw, framed(b'{"read":1,"parts":[-5,5]}')),
    "endless": partial(raw, struct.pack("<IQ", 2, 1 << 62) + b"{}"),
    "long_json": partial(raw, struct.pack("<IQ", 1 << 31, 0)),
    "pickle": partial(raw, b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."),
    "nothing": lambda channel: channel.send({}),
    "two_things": lambda channel: channel.send({"end": True, "read": [0, [[0, 1]]]}),
    "ask_beyond_the_end": partial(ask, [[0, 1 << 40]]),
    "ask_before_the_start": partial(ask, [[-1, 1]]),
    "ask_for_nothing": partial(ask, [[0, 0]]),
    "ask_for_no_numbers": partial(ask, [["0", 1.5]]),
    "ask_for_another_file": partial(ask, ["/etc/passwd"]),
    "ask_too_often": lambda channel: [ask([[0, 3]] * 4000, channel) for _ in range(100_000)],
    "ask_for_too_much_at_once": partial(ask, [[0, 3]] * 5000),
    "tell_of_odd_progress": lambda channel: channel.send({"progress": ["\x1b[2J", 5, 1]}),
    "refuse_with_a_page": lambda channel: channel.send({"refused": "x" * 100_000}),
    "refuse_with_an_escape": lambda channel: channel.send({"refused": "\x1b]0;owned\x07"}),
    "refuse_with_no_text": lambda channel: channel.send({"refused": {"a": 1}}),
    "importable_as_nothing": lambda channel: channel.send({"importable": ["EXE", "it is a program"]}),
    "importable_in_one_word": lambda channel: channel.send({"importable": "NWB"}),
    "importable_with_an_escape": lambda channel: channel.send({"importable": ["NWB", "\x1b[2J"]}),
    "end_at_once": lambda channel: channel.send({"end": True}),
}


def main_without_landlock(descriptor):
    """Serve as on a kernel that does not know Landlock: its number of the call answers as there."""

    def missing():
        raise walls.Missing("this kernel has no Landlock, or does not allow it")

    walls.ORDER["landlock"] = missing
    main(descriptor)

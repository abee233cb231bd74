"""The few calls to the kernel that parsing needs; Linux refuses all others (seccomp)."""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

READ_WORD, EQUALS, AT_LEAST, HAS_BITS, ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of the filter: of the classic Berkeley packet filter."""
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050001
"""Answers; what is refused fails with EPERM."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, THIRD_ARGUMENT = 0, 4, 16, 32
"""Where in the described call the filter reads; arguments are 8 bytes, of which the lower half comes first."""
PROT_EXEC = 4


@dataclass(frozen=True, slots=True)
class Machine:
    """How one kind of processor numbers the calls."""

    audit: int
    """What the kernel calls the processor."""
    plain: dict[str, int]
    """Allowed as they are: memory, clocks, locks, the end."""
    on_socket: dict[str, int]
    """Allowed on the one descriptor."""
    mapping: dict[str, int]
    """Allowed where no memory becomes executable."""
    max_number: int = 0x3FFFFFFF
    """Higher ones are of another kind of program: x32."""


MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        {
            "munmap": 11, "brk": 12, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25,
            "madvise": 28, "getpid": 39, "exit": 60, "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131,
            "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219,
            "clock_gettime": 228, "exit_group": 231, "getcpu": 309, "getrandom": 318,
        },
        {"read": 0, "write": 1, "close": 3, "sendto": 44, "recvfrom": 45},
        {"mmap": 9, "mprotect": 10},
    ),
    "aarch64": Machine(
        0xC00000B7,
        {
            "munmap": 215, "brk": 214, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216,
            "madvise": 233, "getpid": 172, "exit": 93, "gettimeofday": 169, "getrusage": 165, "sigaltstack": 132,
            "gettid": 178, "futex": 98, "sched_getaffinity": 123, "restart_syscall": 128,
            "clock_gettime": 113, "exit_group": 94, "getcpu": 168, "getrandom": 278,
        },
        {"read": 63, "write": 64, "close": 57, "sendto": 206, "recvfrom": 207},
        {"mmap": 222, "mprotect": 226},
    ),
}  # fmt: skip


def program(descriptor: int, machine: str | None = None) -> bytes | None:
    """Return the filter for a process with one descriptor; None for a processor whose numbers are not known here."""
    known = MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    return b"".join(struct.pack("<HBBI", *step) for step in _steps(known, descriptor))


def _steps(known: Machine, descriptor: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the instructions: code, how many to leave out if so, how many if not, operand."""
    yield READ_WORD, 0, 0, ARCHITECTURE
    yield EQUALS, 1, 0, known.audit
    yield ANSWER, 0, 0, KILL
    yield READ_WORD, 0, 0, NUMBER
    yield AT_LEAST, 0, 1, known.max_number + 1
    yield ANSWER, 0, 0, REFUSE
    for number in known.plain.values():
        yield EQUALS, 0, 1, number
        yield ANSWER, 0, 0, ALLOW
    for number in known.on_socket.values():
        yield EQUALS, 0, 4, number
        yield READ_WORD, 0, 0, FIRST_ARGUMENT
        yield EQUALS, 0, 1, descriptor
        yield ANSWER, 0, 0, ALLOW
        yield ANSWER, 0, 0, REFUSE
    for number in known.mapping.values():
        yield EQUALS, 0, 4, number
        yield READ_WORD, 0, 0, THIRD_ARGUMENT
        yield HAS_BITS, 1, 0, PROT_EXEC
        yield ANSWER, 0, 0, ALLOW
        yield ANSWER, 0, 0, REFUSE
    yield ANSWER, 0, 0, REFUSE

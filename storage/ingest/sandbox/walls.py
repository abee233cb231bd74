"""Walls around the process that parses a file. Each stands by itself: a missing one leaves the others."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.ingest.sandbox import seccomp

SOCKET = 3
"""The one descriptor. Not one of the first three, to which C libraries print."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_VERSION = 1
RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights to files that each version of Landlock knows."""
NOBODY = 65534

HARMLESS = (
    "array.__new__", "builtins.id", "code.__new__", "cpython._PySys_ClearAuditHooks", "gc.", "object.__",
    "sys._getframe", "sys.excepthook", "sys.unraisablehook",
)  # fmt: skip
"""Beginnings of the events of Python that parsing brings about, and which reach nothing outside."""


class Missing(Exception):
    """A wall cannot be raised here; the text says why."""


def descriptors(keep: int) -> None:
    """Close all descriptors but one, which becomes ``SOCKET``."""
    if keep != SOCKET:
        os.dup2(keep, SOCKET)
    for descriptor in _open_descriptors():
        if descriptor != SOCKET:
            with suppress(OSError):
                os.close(descriptor)


def environment() -> None:
    """Forget the environment."""
    os.environ.clear()


def nobody() -> None:
    """Give up the rights of root, where the process has them; so the limits below hold for it too."""
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        raise Missing(f"root stays root: {error.strerror}") from error


def parent_death() -> None:
    """End with the process that forked this one, and let no other process look into it."""
    _prctl(PR_SET_PDEATHSIG, 9)
    _prctl(PR_SET_DUMPABLE, 0)


def limits(address_space_nbytes: int, cpu_s: int) -> None:
    """Bound memory and processor time; no new descriptor, process, file or core dump."""
    bounds = {
        "RLIMIT_AS": address_space_nbytes,
        "RLIMIT_CPU": cpu_s,
        "RLIMIT_NOFILE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    refused = []
    for name, bound in bounds.items():
        number = getattr(resource, name, None)
        try:
            if number is not None:
                # One second more is between being told and being ended.
                resource.setrlimit(number, (bound, bound + (name == "RLIMIT_CPU")))
        except (OSError, ValueError):
            refused.append(name)
    if refused:
        raise Missing(f"{', '.join(refused)} cannot be set")


def landlock() -> None:
    """Let Linux refuse every file, every TCP port, and signals and abstract sockets of others (Landlock)."""
    if sys.platform != "linux":
        raise Missing("this system has no Landlock")
    call = LIBC.syscall
    abi = call(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION)
    if abi < 1:
        raise Missing("this kernel has no Landlock, or does not allow it")
    rules = [RIGHTS_BY_ABI[min(abi, max(RIGHTS_BY_ABI))], 3 if abi >= 4 else 0, 3 if abi >= 6 else 0]
    content = struct.pack("<3Q", *rules)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = call(LANDLOCK_CREATE_RULESET, content, ctypes.c_size_t(len(content)), 0)
    if ruleset < 0:
        raise Missing("Landlock takes no rules")
    try:
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        if call(LANDLOCK_RESTRICT_SELF, ruleset, 0):
            raise Missing("Landlock cannot be raised")
    finally:
        os.close(ruleset)


def kernel_calls() -> None:
    """Let Linux refuse all calls but those that computing, and the one socket, need (seccomp)."""
    steps = seccomp.program(SOCKET)
    if steps is None or sys.platform != "linux":
        raise Missing("the calls of this system are not known here")
    held = ctypes.create_string_buffer(steps, len(steps))
    told = struct.pack("@HP", len(steps) // 8, ctypes.addressof(held))
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(told, len(told)))


def audit() -> None:
    """Let Python itself refuse whatever it would do outside of computing."""

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if not event.startswith(HARMLESS):
            raise PermissionError(f"{event} is not allowed here")

    sys.addaudithook(refuse)


ORDER: dict[str, Callable[..., None]] = {
    "environment": environment,
    "nobody": nobody,
    "parent_death": parent_death,
    "landlock": landlock,
    "limits": limits,
    "kernel_calls": kernel_calls,
    "audit": audit,
}
"""Every wall but the closing of descriptors, each before those that would forbid to raise it."""

BY_KERNEL = frozenset({"landlock", "kernel_calls"})
"""Those that older kernels, containers and other systems lack."""


def raise_all(memory_nbytes: int, cpu_s: int, only: Collection[str] = ORDER) -> dict[str, str | None]:
    """Raise walls; return for each why it is not up, or None.

    Parameters
    ----------
    memory_nbytes : int
        Address space beyond what the process has now.
    cpu_s : int
        Processor time, counted from the start of the process.
    only : collection of str
        Names of walls.
    """
    state: dict[str, str | None] = {}
    address_space_nbytes = _address_space() + memory_nbytes  # which is read from a file, so before any wall
    for name, wall in ORDER.items():
        if name not in only:
            state[name] = "it was not asked for"
            continue
        try:
            wall(*((address_space_nbytes, cpu_s) if wall is limits else ()))
            state[name] = None
        except (Missing, OSError, AttributeError) as error:
            state[name] = str(error)[:200] or type(error).__name__
    return state


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no Linux; there a bound on the address space holds less anyway
        return 4 << 30


def _open_descriptors() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return [int(path.name) for path in Path(folder).iterdir()]
    return list(range(os.sysconf("SC_OPEN_MAX")))


def _prctl(option: int, *arguments: Any) -> None:
    if sys.platform != "linux":
        raise Missing("this system has no prctl")
    padded = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in (*arguments, 0, 0, 0, 0)[:4]]
    if LIBC.prctl(option, *padded):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


LIBC = ctypes.CDLL(None, use_errno=True)

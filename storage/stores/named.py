"""Stores that have names, as a settings file tells them: ``lab:night/3.nwb`` lies in the one named lab."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.stores.access import Access

NAME = re.compile(r"[a-z][a-z0-9_-]{1,31}", re.ASCII)
"""At least two letters: ``c:`` is a drive elsewhere."""
TAKEN = ("file", "s3", "memory", "http", "https")
PLACE = re.compile(r"([a-z][a-z0-9_-]{1,31}):(?!//)(.*)", re.ASCII | re.DOTALL)

ROOT = re.compile(r"s3://[^/\s]+(/.*)?|file:///.*", re.DOTALL)
ENDPOINT = re.compile(r"https?://[^\s/?#@]+/?", re.ASCII)
REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
KEY = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)

OF_S3 = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token", "anonymous", "ca")


@dataclass(frozen=True, slots=True)
class NamedStore:
    """A bucket or folder, or a part of one."""

    name: str
    url: str
    """Where its files lie: ``s3://bucket/prefix`` or ``file:///folder``, without a slash at the end."""
    access: Access
    read_only: bool
    """Whether nothing is ever written there, whatever is asked."""


def split_place(name: str) -> tuple[str, str] | None:
    """Return the name of a store and what follows it, of ``lab:night/3.nwb``; None for a key, a path or a URL."""
    found = PLACE.fullmatch(name)
    return None if found is None or found[1] in TAKEN else (found[1], found[2])


def is_registered(name: str) -> bool:
    """Whether a stored file lies where others put it: it goes by a URL or by a place in a named store, not by a key."""
    return "://" in name or split_place(name) is not None


def parsed(content: str) -> dict[str, NamedStore]:
    """Return the stores that a settings file names.

    Parameters
    ----------
    content : str
        TOML: one table for each store.

    Raises
    ------
    ValueError
        Naming every key that is wrong, and no value.
    """
    try:
        told = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at [^)]*\)", str(error))  # what else it says may have a part of a key
        raise ValueError(f"is not TOML {where[0] if where else ''}".rstrip()) from None
    faults: list[str] = []
    stores = {name: _store(name, table, faults) for name, table in told.items()}
    if faults:
        raise ValueError("; ".join(faults))
    return {name: store for name, store in stores.items() if store is not None}


def _store(name: str, table: Any, faults: list[str]) -> NamedStore | None:
    """Return one store; tells what is wrong with it."""
    if not NAME.fullmatch(name) or name in TAKEN:
        faults.append(f"{name[:40]!r} is no name for a store: 2 to 32 of a-z, 0-9, - and _, not {', '.join(TAKEN)}")
        return None
    if not isinstance(table, dict):
        faults.append(f"{name} is not a table such as [{name}]")
        return None
    before = len(faults)
    rules = {**RULES, **({} if str(table.get("url", "")).startswith("s3://") else dict.fromkeys(OF_S3, _not_of_s3))}
    for key, value in table.items():
        fault = rules[key](value) if key in rules else f"is not known; known are {', '.join(RULES)}"
        if fault is not None:
            faults.append(f"{name}.{key[:40]} {fault}")
    faults += [f"{name}.{fault}" for fault in _faults_together(table)]
    if len(faults) > before:
        return None
    access = Access(**{key: table[key] for key in OF_S3 if key in table})
    return NamedStore(name, table["url"].rstrip("/"), access, table.get("read_only", True))


def _faults_together(table: Mapping[str, Any]) -> list[str]:
    """Return what is wrong between the keys of a store."""
    faults = [] if "url" in table else ["url is missing, such as s3://bucket/prefix"]
    keys = [key for key in ("access_key_id", "secret_access_key", "session_token") if key in table]
    for one, other in (("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")):
        if one in keys and other not in keys:
            faults.append(f"{other} is missing beside {one}")
    if "session_token" in keys and len(keys) == 1:
        faults.append("session_token is of no use without keys")
    if table.get("anonymous") is True and keys:
        faults.append(f"anonymous is true, but there is {keys[0]}")
    return faults


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        return None if isinstance(value, str) and pattern.fullmatch(value) else f"is not {what}"

    return fault


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "is neither true nor false"


def _file(value: Any) -> str | None:
    return None if isinstance(value, str) and Path(value).is_file() else "is not a file that is there"


def _not_of_s3(_: Any) -> str | None:
    return "is for stores of s3:// only"


RULES: dict[str, Callable[[Any], str | None]] = {
    "url": _matching(ROOT, "a URL such as s3://bucket/prefix or file:///folder"),
    "endpoint": _matching(ENDPOINT, "a URL such as https://s3.example.org, without a path, user or password"),
    "region": _matching(REGION, "a region such as eu-central-1"),
    "access_key_id": _matching(KEY, "a key: printable ASCII without spaces"),
    "secret_access_key": _matching(KEY, "a key: printable ASCII without spaces"),
    "session_token": _matching(KEY, "a token: printable ASCII without spaces"),
    "anonymous": _boolean,
    "ca": _file,
    "read_only": _boolean,
}

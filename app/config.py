"""Every setting, the variable it comes from, its default."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from storage.ingest.sandbox.limits import Limits as SandboxLimits
from storage.objectstore import S3_CLIENTS
from storage.overviews.policy import OverviewPolicy
from storage.stores import named
from storage.stores.named import NamedStore
from storage.uploads.under_way import Limits

MEBIBYTE = 1 << 20
GIGABYTE = 10**9
DATABASES = ("sqlite:///", "postgresql+psycopg://")


THREADS = 16
"""Of one process that answer; gunicorn.conf.py has the same."""

MAX_CHUNK_CACHE_MB = 256
MAX_COARSER = 8


class BadSetting(ValueError):
    """A variable whose value cannot be used; the text names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs."""

    data: Path
    """Folder of the catalog and the store, where these are not told apart."""
    database_url: str
    store_url: str
    s3_client: str
    """What fetches byte ranges of ``s3://``: ``obstore`` or ``s3fs``."""
    chunk_cache_nbytes: int
    """Decoded chunks kept per process."""
    index_cache_nbytes: int
    """Parts of chunk indices kept per process."""
    decoders: int
    """Threads that help to decode chunks, per process."""
    threads: int
    """Threads that answer, per process; half of them at most for long answers and uploads."""
    job_threads: int
    """Jobs that one worker does at once; one of them is never one of many."""
    trusted_proxies: int
    """Proxies in front of the service, each of which tells from where and by which scheme it was asked."""
    secure_cookies: bool
    """Whether cookies are for https only, also where no proxy tells that it was asked by https."""
    sandbox: SandboxLimits
    """What parsing one file may cost."""
    sandbox_required: bool
    """Whether nothing is parsed where Linux cannot refuse calls and files."""
    show_subject: bool
    """Whether what files say of the subject is told to all who may read a recording."""
    limits: Limits
    """What uploads may take; the lease also of jobs."""
    overviews: OverviewPolicy
    """Which arrays have an overview."""
    samples_nbytes: int
    """Samples that are read for points where an overview would spare that, and there is none yet."""
    s3_public_url: str | None
    """Where callers reach the S3 of the store, so that they can send parts straight to it."""
    stores: dict[str, NamedStore]
    """Where files are registered that lie elsewhere, by name."""

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Settings:
        """Read all settings; raises BadSetting naming the variable.

        Parameters
        ----------
        variables : mapping of str to str
            ``EPHYSTORE_DATA`` (``./data``), ``EPHYSTORE_DATABASE_URL``, ``EPHYSTORE_STORE_URL``,
            ``EPHYSTORE_S3_CLIENT`` (``obstore``),
            ``EPHYSTORE_CHUNK_CACHE_MB`` (256, less on small machines), ``EPHYSTORE_INDEX_CACHE_MB`` (64),
            ``EPHYSTORE_DECODERS`` (one per processor), ``EPHYSTORE_WORKERS`` (one per processor, at least 2),
            ``EPHYSTORE_THREADS`` (16), ``EPHYSTORE_JOB_THREADS`` (one more than processors),
            ``EPHYSTORE_LEASE_S`` (60), ``EPHYSTORE_TRUSTED_PROXIES`` (0), ``EPHYSTORE_SECURE_COOKIES`` (0),
            ``EPHYSTORE_SANDBOX_MEMORY_MB`` (1024), ``EPHYSTORE_SANDBOX_CPU_S`` (60),
            ``EPHYSTORE_SANDBOX_WALL_S`` (600), ``EPHYSTORE_SANDBOX_REQUIRE`` (0), ``EPHYSTORE_SHOW_SUBJECT`` (0),
            ``EPHYSTORE_MAX_UPLOAD_GB`` (100), ``EPHYSTORE_MAX_REQUEST_GB`` (10), ``EPHYSTORE_QUOTA_GB`` (1000),
            ``EPHYSTORE_OVERVIEWS`` (1), ``EPHYSTORE_OVERVIEW_FROM_MB`` (4), ``EPHYSTORE_OVERVIEW_COARSER`` (0),
            ``EPHYSTORE_SAMPLES_MB`` (256), ``EPHYSTORE_S3_PUBLIC_URL`` and ``EPHYSTORE_STORES``.
        """
        _switch(variables, "EPHYSTORE_S3_ANONYMOUS")
        n_processes = max(1, _whole(variables, "EPHYSTORE_WORKERS", max(2, processors())))
        data = Path(variables.get("EPHYSTORE_DATA") or "data").resolve()
        stores = _stores(variables, "EPHYSTORE_STORES")
        return cls(
            data=data,
            database_url=_url(variables, "EPHYSTORE_DATABASE_URL", f"sqlite:///{data}/catalog.sqlite", DATABASES),
            s3_client=_one_of(variables, "EPHYSTORE_S3_CLIENT", S3_CLIENTS),
            store_url=_store_url(variables, "EPHYSTORE_STORE_URL", f"file://{data}/store", stores),
            chunk_cache_nbytes=_whole(variables, "EPHYSTORE_CHUNK_CACHE_MB", chunk_cache_mb(n_processes)) * MEBIBYTE,
            index_cache_nbytes=_whole(variables, "EPHYSTORE_INDEX_CACHE_MB", 64) * MEBIBYTE,
            decoders=max(1, _whole(variables, "EPHYSTORE_DECODERS", processors())),
            threads=_whole(variables, "EPHYSTORE_THREADS", THREADS),
            job_threads=max(2, _whole(variables, "EPHYSTORE_JOB_THREADS", processors() + 1)),
            trusted_proxies=_whole(variables, "EPHYSTORE_TRUSTED_PROXIES", 0),
            secure_cookies=_switch(variables, "EPHYSTORE_SECURE_COOKIES"),
            sandbox=SandboxLimits(
                memory_nbytes=_whole(variables, "EPHYSTORE_SANDBOX_MEMORY_MB", 1024) * MEBIBYTE,
                cpu_s=_whole(variables, "EPHYSTORE_SANDBOX_CPU_S", 60),
                wall_s=_whole(variables, "EPHYSTORE_SANDBOX_WALL_S", 600),
            ),
            sandbox_required=_switch(variables, "EPHYSTORE_SANDBOX_REQUIRE"),
            show_subject=_switch(variables, "EPHYSTORE_SHOW_SUBJECT"),
            limits=Limits(
                max_nbytes=_whole(variables, "EPHYSTORE_MAX_UPLOAD_GB", 100) * GIGABYTE,
                max_request_nbytes=_whole(variables, "EPHYSTORE_MAX_REQUEST_GB", 10) * GIGABYTE,
                quota_nbytes=_whole(variables, "EPHYSTORE_QUOTA_GB", 1000) * GIGABYTE,
                lease_s=max(1, _whole(variables, "EPHYSTORE_LEASE_S", 60)),
            ),
            overviews=OverviewPolicy(
                is_on=_switch(variables, "EPHYSTORE_OVERVIEWS", "1"),
                from_nbytes=_whole(variables, "EPHYSTORE_OVERVIEW_FROM_MB", 4) * MEBIBYTE,
                coarser=min(_whole(variables, "EPHYSTORE_OVERVIEW_COARSER", 0), MAX_COARSER),
            ),
            samples_nbytes=_whole(variables, "EPHYSTORE_SAMPLES_MB", 256) * MEBIBYTE,
            s3_public_url=_web_url(variables, "EPHYSTORE_S3_PUBLIC_URL"),
            stores=stores,
        )


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chunk_cache_mb(n_processes: int) -> int:
    """Return what a process may keep so that all of them keep at most a quarter of the machine's memory."""
    n_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEBIBYTE
    return min(MAX_CHUNK_CACHE_MB, n_mb // 4 // n_processes)


def _url(variables: Mapping[str, str], name: str, default: str, beginnings: tuple[str, ...]) -> str:
    url = variables.get(name) or default
    if not url.partition("://")[2] or not url.startswith(beginnings):
        raise BadSetting(f"{name} is not a URL that begins like {default.partition('://')[0]}://, and is known here")
    return url


def _store_url(variables: Mapping[str, str], name: str, default: str, stores: Mapping[str, NamedStore]) -> str:
    """Return a URL, or a place in a named store that may be written to."""
    place = named.split_place(variables.get(name) or default)
    if place is None:
        return _url(variables, name, default, ("",))
    if place[0] not in stores:
        raise BadSetting(f"{name} is in a store that EPHYSTORE_STORES does not name: {place[0]}")
    if stores[place[0]].read_only:
        raise BadSetting(
            f"{name} is in {place[0]}, which is read-only; read_only = false in EPHYSTORE_STORES allows it"
        )
    return variables[name]


def _stores(variables: Mapping[str, str], name: str) -> dict[str, NamedStore]:
    """Return the stores that a file names; none where no file is told."""
    path = variables.get(name)
    if not path:
        return {}
    try:
        return named.parsed(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadSetting(f"{name}: {path} cannot be read: {reason}") from None
    except ValueError as error:
        raise BadSetting(f"{name}: {path}: {error}") from None


def _web_url(variables: Mapping[str, str], name: str) -> str | None:
    url = variables.get(name) or None
    if url is not None and not re.fullmatch(r"https?://[^\s/?#]+/?", url, re.ASCII):
        raise BadSetting(f"{name} is not a URL such as https://s3.example.org, without a path")
    return url


def _one_of(variables: Mapping[str, str], name: str, words: Iterable[str]) -> str:
    """Return one of a few words; the first is the default."""
    allowed = list(words)
    word = variables.get(name) or allowed[0]
    if word not in allowed:
        raise BadSetting(f"{name}={word[:40]!r} is none of {', '.join(allowed)}")
    return word


def _switch(variables: Mapping[str, str], name: str, default: str = "0") -> bool:
    text = variables.get(name) or default
    if text not in ("0", "1"):
        raise BadSetting(f"{name}={text[:40]!r} is neither 0 nor 1")
    return text == "1"


def _whole(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise BadSetting(f"{name}={text!r} is not a whole number from 0 to 9999999")
    return int(text)

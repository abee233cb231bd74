"""What lies below a prefix of ``s3://``: a thousand keys per request, and not a key of what is looked at as a whole."""

from __future__ import annotations

import re
from typing import Any

from storage.stores.backend import CLOSED, Listed, Listing, Stat

CLOSED_FOLDER = re.compile(rf"[^/]*({'|'.join(map(re.escape, CLOSED))})/", re.IGNORECASE)
AFTER_SLASH = "0"
"""What follows a slash in the order of keys: after ``x.zarr0`` come the keys beyond ``x.zarr/``."""


def find(client: Any, location: str) -> Listing:
    """Return all keys below a prefix, or the key itself where there are none.

    Parameters
    ----------
    client : boto3 client
        What it raises is passed on.
    location : str
        ``bucket/prefix``.
    """
    bucket, _, prefix = location.partition("/")
    prefix = prefix.rstrip("/")
    listing = Listing([], [])
    asked = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
    while True:
        page = client.list_objects_v2(**asked)
        entries = page.get("Contents", [])
        last = _add(listing, bucket, entries, len(asked["Prefix"]))
        if not page.get("IsTruncated") or not entries:
            break
        asked["StartAfter"] = last
    if not listing.files and not listing.closed and prefix and not location.endswith("/"):
        found = client.head_object(Bucket=bucket, Key=prefix)
        listing.files.append(
            Listed(location, Stat(found["ContentLength"], found["ETag"]), found["LastModified"].timestamp())
        )
    return listing


def _add(listing: Listing, bucket: str, entries: list[dict[str, Any]], n_prefix: int) -> str:
    """Add the keys of a page; return after which key the next page begins."""
    last = ""
    for entry in entries:
        key = last = entry["Key"]
        closed = CLOSED_FOLDER.search(key, n_prefix)
        if closed is not None:
            folder = f"{bucket}/{key[: closed.end() - 1]}"
            if listing.closed[-1:] != [folder]:
                listing.closed.append(folder)
            last = f"{key[: closed.end() - 1]}{AFTER_SLASH}"
        elif not key.endswith("/"):
            stat = Stat(int(entry["Size"]), str(entry["ETag"]))
            listing.files.append(Listed(f"{bucket}/{key}", stat, entry["LastModified"].timestamp()))
    return last

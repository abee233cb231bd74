"""Every kind of store, for the tests that all of them must pass."""

from __future__ import annotations

from itertools import count

from storage.objectstore import ObjectStore

KINDS = ["file", "memory", "s3 by obstore", "s3 by s3fs", "rclone by obstore", "rclone by s3fs"]
number = count()


def make(kind, request, tmp_path, monkeypatch):
    """Return an empty store of a kind, which a test's fixtures serve."""
    kind, _, client = kind.partition(" by ")
    if kind == "file":
        return ObjectStore(f"file://{tmp_path}")
    if kind == "rclone":
        for name, value in request.getfixturevalue("rclone").variables.items():
            monkeypatch.setenv(name, value)
        return ObjectStore(f"s3://recordings/place{next(number)}", s3_client=client)
    if kind == "s3":
        request.getfixturevalue("s3")
        return ObjectStore(f"s3://recordings/place{next(number)}", s3_client=client)
    return ObjectStore(f"memory://place{next(number)}")

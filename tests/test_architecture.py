"""Imports go down only, and only ``app`` knows Flask."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "storage": {"storage"},
    "schemas": {"schemas", "storage"},
    "app": {"app", "schemas", "storage"},
}
BELONGS_TO = {"flask": "app", "werkzeug": "app", "gunicorn": "app", "marshmallow": "schemas", "sqlalchemy": "storage"}
"""Who alone may import a library; those above may too, where they meet its exceptions."""


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level package of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_flow_one_way(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert set(imported(path)) & set(MAY_IMPORT) <= MAY_IMPORT[package], path


@pytest.mark.parametrize("library", BELONGS_TO)
def test_a_library_stays_in_its_layer(library):
    layers = list(MAY_IMPORT)
    for package in layers[: layers.index(BELONGS_TO[library])]:
        for path in (ROOT / package).rglob("*.py"):
            assert library not in set(imported(path)), path


def test_clients_of_stores_are_seen_only_by_the_stores():
    for path in (ROOT / "storage").rglob("*.py"):
        if path.parent.name != "stores":
            assert not {"fsspec", "s3fs", "boto3", "botocore", "obstore"} & set(imported(path)), path

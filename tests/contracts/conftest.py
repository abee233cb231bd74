"""What tests of stores share."""

from __future__ import annotations

import pytest

from benchmarks.s3.server import serving


@pytest.fixture(scope="package")
def rclone(tmp_path_factory):
    """A second S3, of other makers: rclone's server behind the proxy that corrects its answers."""
    folder = tmp_path_factory.mktemp("rclone")
    (folder / "root" / "recordings").mkdir(parents=True)
    (folder / "logs").mkdir()
    with serving(folder / "root", folder / "logs") as server:
        yield server

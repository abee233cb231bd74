"""What tests of several packages share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql import server
from tests.s3 import KEYS, S3Server

BUCKET = "recordings"

# The same examples in each run, so that a change and not chance is what fails; HYPOTHESIS_PROFILE=explore takes others.
CHECKS = [HealthCheck.filter_too_much, HealthCheck.too_slow]
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=CHECKS)
settings.register_profile("explore", deadline=None, suppress_health_check=CHECKS)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def s3():
    """An S3 server with an empty bucket, and the environment that leads clients to it."""
    server = S3Server()
    server.create_bucket(BUCKET)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        environment.setenv("AWS_ACCESS_KEY_ID", KEYS["aws_access_key_id"])
        environment.setenv("AWS_SECRET_ACCESS_KEY", KEYS["aws_secret_access_key"])
        environment.setenv("AWS_DEFAULT_REGION", KEYS["region_name"])
        yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL server."""
    with server() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty catalog, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog.sqlite"
    return request.getfixturevalue("postgresql").new_database()

"""What all conformance tests ask."""

from __future__ import annotations

import numpy as np
import pytest

from tests.archive import Archive, add_every_type

SAMPLES = np.round(np.sin(np.arange(4000) / 50) * 1000).astype(np.int16)
"""Of ``signal``: 4000 samples at 20000 Hz from 0 ms on, in mV."""

CHANNELS = np.arange(4000 * 8, dtype=np.float32).reshape(4000, 8)
"""Of ``array``: 4000 samples of 8 channels at 20000 Hz from 0 ms on."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive in a folder."""
    return Archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def signal(archive):
    """The fields of the signal of the worked example."""
    return archive.add("signal", SAMPLES, chunks=(1000,), compression="gzip", shuffle=True)


@pytest.fixture(scope="module")
def array(archive):
    """The fields of an array of eight channels."""
    return archive.add("array", CHANNELS, chunks=(1000, 3), compression="gzip")


@pytest.fixture(scope="module")
def ids(archive):
    """The ids of one object of each type."""
    return add_every_type(archive)


@pytest.fixture(scope="module")
def permalink(signal):
    """The permalink of the signal."""
    return f"/electrophysiology/analogsignal/{signal['id']}"

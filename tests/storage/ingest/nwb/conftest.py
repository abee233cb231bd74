"""What tests of NWB files share."""

from __future__ import annotations

import pytest

from tests.archive import Archive
from tests.storage.ingest.nwb.written import write


@pytest.fixture
def archive(tmp_path):
    """A service without recordings."""
    return Archive(tmp_path)


@pytest.fixture
def registered(archive, tmp_path):
    """Register a session that pynwb writes; return what became of it."""

    def registered(session, *, complete=True):
        outcome = archive.register(write(session, tmp_path / "session.nwb"))
        assert outcome.state == "registered", outcome
        assert not complete or outcome.refusals == []
        return outcome

    return registered

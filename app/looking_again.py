"""Files that are not, or no longer, what was registered: who meets one has it registered again."""

from __future__ import annotations

import logging

from sqlalchemy.exc import SQLAlchemyError

from app.services import services
from storage.errors import FileChanged, Missing, StorageError
from storage.jobs.again import register_again

log = logging.getLogger(__name__)


def look_again(error: FileChanged | Missing) -> bool:
    """Have a file that was changed, or that is back, registered again by a worker; return whether one will do it."""
    assert error.name is not None
    try:
        if isinstance(error, Missing):
            services().store.stat(error.name)
        is_under_way = register_again(services().engine, error.name)
    except (SQLAlchemyError, StorageError) as reason:
        log.info("%s is not registered again: %s", error, reason)
        return False
    if is_under_way:
        services().wake()
    return is_under_way

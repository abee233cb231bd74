"""What can go wrong below HTTP, named after what was asked for."""

from __future__ import annotations


class StorageError(Exception):
    """Base of everything that ``storage`` raises on purpose; its text is one sentence for the caller."""


class SelectionError(StorageError):
    """A question about an array that has no answer.

    Parameters
    ----------
    message : str
        One sentence that a caller can act on.
    parameters : tuple of str
        The parameters of the request that it is about.
    """

    def __init__(self, message: str, *parameters: str) -> None:
        super().__init__(message)
        self.parameters = parameters


class NotFound(StorageError):
    """The catalog has no such object."""


class NotReady(StorageError):
    """An uploaded file whose samples cannot be read: it is not checked yet, or was refused."""


class OldCatalog(StorageError):
    """The catalog's tables are not those that this version of the service knows."""


class NotStored(StorageError):
    """The object store has no such file."""


class FileChanged(StorageError):
    """The stored file is not the one that was indexed."""


class FileDamaged(StorageError):
    """Stored bytes do not decode to what the chunk index says."""


class StoreAway(StorageError):
    """The object store does not answer; trying again later may help."""


class Refused(StorageError):
    """A file or dataset that cannot be served exactly; the text says why."""

"""What can go wrong below HTTP, named after what was asked for."""

from __future__ import annotations

from collections.abc import Mapping


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


class Missing(NotStored):
    """A registered file that is not where it was; it is served again when it is back.

    Parameters
    ----------
    message : str
    name : str
        What the catalog calls the file.
    """

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class OrderUnknown(StorageError):
    """Times that are asked by time, and are not known yet to be sorted; trying again later will help."""


class FileChanged(StorageError):
    """The stored file is not the one that was indexed."""

    name: str | None = None
    """What the store was asked for, where that is known."""


class FileDamaged(StorageError):
    """Stored bytes do not decode to what the chunk index says."""


class StoreAway(StorageError):
    """The object store does not answer; trying again later may help."""


class SandboxAway(StorageError):
    """No process can be started that would parse files; trying again later may help."""


class Refused(StorageError):
    """A file or dataset that cannot be served exactly; the text says why."""


class StillWritten(StorageError):
    """A recording that is still being made; trying again later will help. The text says how that is known."""


class ReadOnly(StorageError):
    """A store into which nothing is written."""


class NotOneArray(Refused):
    """An uploaded file that is not one array, but of a format that can be imported.

    Parameters
    ----------
    message : str
    format : str
        Such as ``NWB``.
    """

    def __init__(self, message: str, format: str) -> None:
        super().__init__(message)
        self.format = format


class NotImportable(StorageError):
    """A datafile of which no objects can be made."""


class StoreFull(StorageError):
    """The object store has no room."""


class OverviewNeeded(StorageError):
    """So many samples are asked in few points that an overview must be made first, which is under way.

    Parameters
    ----------
    name : str
        Of the array.
    done : float
        How far the overview is, 0 to 1.
    """

    def __init__(self, name: str, done: float) -> None:
        how = "try again, or ask for a shorter stretch"
        super().__init__(f"the overview of {name} is being made ({done:.0%} done); {how}")
        self.done = done


class OverviewGone(StorageError):
    """The file of an overview is not in the store; it can be made anew."""


class TooLarge(StorageError):
    """More bytes than the service takes at once."""


class QuotaExceeded(StorageError):
    """More bytes than a user may store.

    Parameters
    ----------
    message : str
    used, asked, limit : int
        Bytes that are stored or reserved, that were to come, and that may be stored.
    """

    def __init__(self, message: str, *, used: int, asked: int, limit: int) -> None:
        super().__init__(message)
        self.used, self.asked, self.limit = used, asked, limit


class WrongLength(StorageError):
    """Bytes that are not as many as were announced."""


class Superseded(StorageError):
    """The same part is being sent again, which counts; or the file is complete."""


class PartsWrong(StorageError):
    """Parts that do not make the file.

    Parameters
    ----------
    message : str
    parts : mapping of int to str
        What is wrong, by number.
    """

    def __init__(self, message: str, parts: Mapping[int, str]) -> None:
        super().__init__(message)
        self.parts = dict(parts)


class StillUsed(StorageError):
    """A datafile that an object needs."""

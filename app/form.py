"""The one file in a multipart form, as a stream: neither memory nor a temporary file ever holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from app.body import BodyBroken
from storage.errors import StorageError

SLICE_NBYTES = 1 << 16
"""What the decoder is given at once: it moves what it has not decoded yet, so more is slower."""

MAX_HELD_NBYTES = SLICE_NBYTES + (1 << 20)
"""Before the decoder gives up: headers of a part, which hold the name of the file, are not endless."""


class WrongMediaType(StorageError):
    """A body of another media type than the address takes."""


class WrongForm(StorageError):
    """A form that has not exactly the one file."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that is being sent."""

    name: str
    """As the sender says; anything."""
    nbytes: int | None
    """Its length, if the length of the request is known."""
    pieces: Iterator[bytes]
    """Raises WrongForm or BodyBroken at the end where the form goes on otherwise than it should."""


def sent_file(field: str, content_type: str, content_length: int | None, body: Iterable[bytes]) -> SentFile:
    """Return the file of a form, whose content is still to come.

    Raises
    ------
    WrongMediaType
        If the body is no form with files.
    WrongForm
        If the first part of the form is not this field with a file.
    BodyBroken
        If the form ends too soon, or is malformed.
    """
    media_type, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if media_type != "multipart/form-data" or not boundary:
        raise WrongMediaType(f"this takes multipart/form-data with a boundary, as curl -F {field}=@FILE sends it")
    form = _Form(field, boundary.encode("latin-1", "replace"), body)
    name = form.name()
    rest = len(boundary) + len("\r\n----\r\n")
    nbytes = None if content_length is None else max(1, content_length - form.nbytes_before_content - rest)
    return SentFile(name, nbytes, form.content())


class _Form:
    def __init__(self, field: str, boundary: bytes, body: Iterable[bytes]) -> None:
        self._field = field
        self._decoder = MultipartDecoder(boundary, max_form_memory_size=MAX_HELD_NBYTES)
        self._events = self._decoded(body)
        self._nbytes = 0
        self.nbytes_before_content = 0

    def name(self) -> str:
        """Return the name of the file, which is the first part."""
        for event in self._events:
            if isinstance(event, Epilogue):
                break
            if isinstance(event, File | Field):
                self._require_field(event)
                self.nbytes_before_content = self._nbytes - len(self._decoder.buffer) + len("\r\n")
                return event.filename if isinstance(event, File) else ""
        raise WrongForm(f"the form has no field {self._field}")

    def content(self) -> Iterator[bytes]:
        """Yield the content of the file, and see to it that nothing else follows."""
        is_over = False
        for event in self._events:
            if isinstance(event, Data) and not is_over:
                is_over = not event.more_data
                if event.data:
                    yield event.data
            elif isinstance(event, File | Field):
                self._require_field(event)
                raise WrongForm(f"the form has more than one {self._field}; send each file by itself")

    def _require_field(self, event: File | Field) -> None:
        if event.name != self._field:
            raise WrongForm(f"the form has a field {str(event.name)[:40]!r}; it takes {self._field} and nothing else")
        if isinstance(event, Field):
            raise WrongForm(f"{self._field} is no file; curl sends one by -F {self._field}=@FILE")
        if not event.filename:
            raise WrongForm(f"{self._field} has no file: none was chosen")

    def _decoded(self, body: Iterable[bytes]) -> Iterator[Event]:
        """Yield what the form consists of; raises BodyBroken where that is no form."""
        try:
            for piece in body:
                whole = memoryview(piece)
                for start in range(0, len(whole), SLICE_NBYTES):
                    part = whole[start : start + SLICE_NBYTES]
                    self._nbytes += len(part)
                    self._decoder.receive_data(part)  # type: ignore[arg-type]  # extends a bytearray by it
                    yield from self._ready()
            self._decoder.receive_data(None)
            yield from self._ready()
        except ValueError as error:  # of the decoder
            raise BodyBroken("the form is malformed, or ends before it is whole") from error
        except RequestEntityTooLarge as error:
            raise BodyBroken(f"the form has a part with more than {MAX_HELD_NBYTES} bytes of headers") from error

    def _ready(self) -> Iterator[Event]:
        while not isinstance(event := self._decoder.next_event(), NeedData):
            yield event
            if isinstance(event, Epilogue):
                return

"""An array as numpy's own file format."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from numpy.lib import format as npy_format

from app.encoders.form import Body, Form, checked
from storage.hdf5.chunk import Samples

MEDIA_TYPE = "application/x-npy"


def encode(form: Form, windows: Iterator[Samples]) -> Body:
    """Return the array as an npy file of format 1.0: little-endian, in C order."""
    head = _head(form)
    return Body(MEDIA_TYPE, len(head) + form.nbytes, _content(head, form, windows))


def _head(form: Form) -> bytes:
    """Return everything before the values."""
    file = BytesIO()
    described = {"descr": npy_format.dtype_to_descr(form.dtype), "fortran_order": False, "shape": form.shape}
    npy_format.write_array_header_1_0(file, described)
    return file.getvalue()


def _content(head: bytes, form: Form, windows: Iterator[Samples]) -> Iterator[bytes]:
    yield head
    for window in checked(form, windows):
        yield window.tobytes()

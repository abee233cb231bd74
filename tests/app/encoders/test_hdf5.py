"""An HDF5 answer is a small old-fashioned file that h5py opens, however long the array."""

from __future__ import annotations

from contextlib import contextmanager
from io import SEEK_CUR, BytesIO
from itertools import chain, repeat

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from app.encoders import ENCODERS, hdf5
from app.encoders.form import Form
from tests.app.encoders.forms import GUID, EncoderContract, answers, encoded, form_of

UNDEFINED = 2**64 - 1


class TestHdf5(EncoderContract):
    format = "hdf5"
    media_type = "application/x-hdf5"
    length_is_known = True
    n_windows = 128


@contextmanager
def dataset(form, windows):
    """The one thing in the file."""
    with h5py.File(BytesIO(encoded("hdf5", form, windows))) as file:
        assert list(file) == [form.guid]
        assert not file.attrs
        yield file[form.guid]


def plain(value):
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@given(answers())
@settings(deadline=None)
def test_h5py_reads_what_was_encoded(answer):
    array, form, windows = answer
    with dataset(form, windows) as read:
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read[()].tobytes() == array.tobytes()
        assert read.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
        assert {name: plain(value) for name, value in read.attrs.items()} == form.attributes


@given(answers())
@settings(deadline=None, max_examples=30)
def test_equal_answers_have_equal_bytes(answer):
    array, form, windows = answer
    assert encoded("hdf5", form, windows) == encoded("hdf5", form, [array])


def test_no_time_is_stored():
    array = np.zeros(3)
    with dataset(form_of(array), [array]) as read:
        info = h5py.h5o.get_info(read.id)
        assert (info.mtime, info.ctime, info.btime, info.atime) == (0, 0, 0, 0)


def test_attributes_have_the_types_of_their_values():
    array = np.zeros(3, "<f4")
    told = {"units": "µV", "t_start": 0.05, "start_index": 2**40, "gain": [0.1, 2.0], "channels": [3, 1]}
    with dataset(form_of(array, **told, channel_names=["a", "µ"], nothing="", none=[]), [array]) as read:
        assert {name: value.dtype.str for name, value in read.attrs.items() if isinstance(value, np.ndarray)} == {
            "gain": "<f8",
            "channels": "<i8",
            "channel_names": "|O",
            "none": "<f8",
        }
        assert type(read.attrs["units"]) is str
        assert read.attrs["t_start"].dtype == "<f8"
        assert read.attrs["start_index"].dtype == "<i8"
        assert read.attrs["nothing"] == ""
        assert len(read.attrs["none"]) == 0


def test_a_cast_head_is_what_hdf5_writes_itself():
    """Two answers of one array differ in numbers only: the second is cast from the mould that the first made."""
    for n_rows, start, rate, name in [(2**33, 5, 0.1, "mV"), (2**34 + 1, -(2**62), 3e300, "mV"), (2**35, 0, -0.0, "V")]:
        told = {"units": name, "start_index": start, "sampling_rate": rate, "channels": [1, 0], "same": start}
        form = Form(GUID, (n_rows, 2), np.dtype("<i2"), told)
        assert hdf5._around(form) == hdf5._written(form, h5py.h5f.LIBVER_EARLIEST)


@pytest.mark.parametrize("place", range(12))
def test_text_that_looks_like_a_number_of_a_mould_comes_back(place):
    lookalike = hdf5.N_ROWS.to_bytes(5, "little").decode("latin-1")
    odd = [lookalike, "Ã" + lookalike, "a\u0083aO-\u001b", lookalike * 3][place % 4] + "x" * (place // 4)
    array = np.arange(6, dtype="<f4")
    told = {"units": odd, "gain": [5.766946371e-313, 1.0], "start_index": 7}
    with dataset(form_of(array, **told), [array]) as read:
        assert {name: plain(value) for name, value in read.attrs.items()} == told
        np.testing.assert_array_equal(read[()], array)


@pytest.mark.parametrize("n_rows", [1, 2, 100, 2047, 2048, 2049, 70_000])
def test_a_short_answer_ends_with_its_values(n_rows):
    array = np.arange(n_rows, dtype="u1")
    whole = encoded("hdf5", form_of(array, units="mV"), [array])
    assert whole.endswith(array.tobytes())
    with h5py.File(BytesIO(whole)) as file:
        np.testing.assert_array_equal(file[GUID], array)


def test_text_that_hdf5_cannot_hold_fails_no_answer():
    array = np.zeros(3, "<f4")
    with dataset(form_of(array, units="m\0V", method="\ud800"), [array]) as read:
        assert (read.attrs["units"], read.attrs["method"]) == ("mV", "?")


def test_strings_are_utf8():
    array = np.array(["spike µ".encode(), b""], "S10")
    with dataset(form_of(array), [array]) as read:
        assert h5py.check_string_dtype(read.dtype) == ("utf-8", 10)
        assert read.asstr()[()].tolist() == ["spike µ", ""]


# About 64 kB is where an attribute no longer fits into the object header.
@pytest.mark.parametrize("n_channels", [4000, 4094, 4095, 4096, 8190, 8192, 100_000])
def test_any_number_of_channels_can_be_told(n_channels):
    array = np.zeros((1, n_channels), "<i2")
    told = {"channels": list(range(n_channels)), "channel_names": [f"imec0.ap#AP{i}" for i in range(n_channels)]}
    with dataset(form_of(array, **told, units="µV"), [array]) as read:
        assert {name: plain(value) for name, value in read.attrs.items()} == {**told, "units": "µV"}


def test_hdf5_1_8_knows_all_it_is_made_of():
    """A superblock up to 2 and no later message: these versions are what the library of 1.8 knows."""
    array = np.zeros((3, 2), "<f4")
    whole = encoded("hdf5", form_of(array, units="mV"), [array])
    superblock, size_of_offsets, size_of_lengths = whole[8], whole[13], whole[14]
    assert (superblock, size_of_offsets, size_of_lengths) == (0, 8, 8)
    with h5py.File(BytesIO(whole)) as file:
        assert h5py.h5o.get_info(file[GUID].id).hdr.version <= 2
        # The layout message: a version, the class "contiguous", where the values are and how many bytes.
        offset = file[GUID].id.get_offset()
        layout = b"\1" + offset.to_bytes(8, "little") + array.nbytes.to_bytes(8, "little")
    assert whole[whole.index(layout) - 1] == 3


def test_an_empty_array_lies_nowhere():
    with dataset(form_of(np.zeros((0, 3))), []) as read:
        assert read.id.get_offset() in (None, UNDEFINED)
        assert read[()].shape == (0, 3)


def test_terabytes_cost_two_pages_around_them():
    form = Form(GUID, (2**29, 1024), np.dtype("<f4"), {"units": "mV"})
    assert 0 < ENCODERS["hdf5"](form, iter([])).nbytes - 2**41 < 8192


def test_values_past_4_gb_are_in_their_place(tmp_path):
    """The file on disk is a hole but for its last row, so that it takes no space."""
    zeros, row = np.zeros((8192, 256), "<f4"), np.arange(256, dtype="<f4")
    form = Form(GUID, (520 * len(zeros) + 1, 256), row.dtype, {"units": "mV"})
    body = ENCODERS["hdf5"](form, chain(repeat(zeros, 520), [row[None]]))
    with open(tmp_path / "long.h5", "wb") as file:
        for part in body.content:
            file.seek(len(part), SEEK_CUR) if len(part) == zeros.nbytes else file.write(part)
        assert file.tell() == body.nbytes > 2**32
    with h5py.File(tmp_path / "long.h5") as file:
        np.testing.assert_array_equal(file[GUID][-2:], [np.zeros(256), row])
        assert file[GUID].attrs["units"] == "mV"

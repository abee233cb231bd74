"""An npy answer is what numpy loads as the array."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from hypothesis import given, settings

from app.encoders.form import Form
from tests.app.encoders.forms import GUID, EncoderContract, answers, encoded


class TestNpy(EncoderContract):
    format = "npy"
    media_type = "application/x-npy"
    length_is_known = True
    n_windows = 128


@given(answers())
@settings(deadline=None)
def test_numpy_loads_what_was_encoded(answer):
    array, form, windows = answer
    loaded = np.load(BytesIO(encoded("npy", form, windows)), allow_pickle=False)
    assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
    assert loaded.tobytes() == array.tobytes()
    assert loaded.flags.c_contiguous


def test_it_is_the_file_that_numpy_saves():
    array = np.arange(6, dtype="<i2").reshape(3, 2)
    saved = BytesIO()
    np.save(saved, array)
    assert encoded("npy", Form(GUID, array.shape, array.dtype), [array]) == saved.getvalue()

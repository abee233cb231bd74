"""The benchmark asks this service for what it says it asks for."""

import numpy as np
import pytest

from benchmarks.ours import addresses
from benchmarks.recordings import RATE, SLICE_SAMPLES
from tests.archive import Archive


@pytest.mark.parametrize("start", [0, 3, 30_003, 36_999])
def test_the_object_gives_the_link_that_is_asked_next(tmp_path, start):
    archive = Archive(tmp_path)
    archive.add("signal", np.arange(40_000, dtype=np.float32), sampling_rate=(RATE / 1000, "kHz"), units="mV")
    by_time, by_number = addresses(1, start, start + SLICE_SAMPLES)
    assert archive.fields(by_time)["signal"]["data"] == by_number

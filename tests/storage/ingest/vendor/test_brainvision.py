"""BrainVision, in all its orders and types of samples."""

from __future__ import annotations

import numpy as np
import pytest

from storage.errors import Refused
from tests.storage.ingest.vendor.files import brainvision
from tests.storage.ingest.vendor.recorded import read

SAMPLES = np.random.default_rng(3).integers(-3000, 3000, (500, 4))


@pytest.mark.parametrize("dtype", ["<i2", "<i4", "<f4"])
@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
def test_samples_are_numbers_times_resolution(dtype, orientation):
    files = brainvision(SAMPLES, orientation=orientation, dtype=dtype)
    signals = read("BrainVision", files, "rec.vhdr").signals()
    assert list(signals) == [("/segment_0", f"C{number}") for number in range(4)]
    for column, (units, t_start, rate, values) in zip(SAMPLES.T, signals.values(), strict=True):
        assert (units, t_start, rate) == ("uV", 0.0, 1000.0)
        np.testing.assert_array_equal(values, column * 0.5)


def test_markers_stand_at_their_sample_and_a_comma_in_them_is_one():
    marks = ("New Segment,,1,1,0,20240229235959000000", "Stimulus,S  2\\1 left,11,5,0", "Stimulus,S  1,501,1,3")
    recorded = read("BrainVision", brainvision(SAMPLES, markers=marks), "rec.vhdr")
    assert recorded.events() == {
        ("/segment_0", "New Segment"): [(0.0, "")],
        ("/segment_0", "Stimulus"): [(0.01, "S  2, left"), (0.5, "S  1")],
    }
    assert recorded.of("block")[0].fields["filedatetime"].isoformat() == "2024-02-29T23:59:59+00:00"
    (told,) = (one.fields["annotations"] for one in recorded.of("eventarray") if "Stimulus" in str(one.fields))
    assert (told["sizes_samples"], told["channels"]) == ([5, 1], [0, 3])


def test_files_that_were_renamed_together_are_found():
    files = brainvision(SAMPLES)
    renamed = {f"renamed.{name.rpartition('.')[2]}": content for name, content in files.items()}
    assert len(read("BrainVision", renamed, "renamed.vhdr").signals()) == 4


def test_units_and_resolution_may_be_missing():
    files = brainvision(SAMPLES)
    header = files["rec.vhdr"].replace("Ch1=C0,,0.5,µV".encode(), b"Ch1=C0,,0.5,")
    header = header.replace("Ch2=C1,,0.5,µV".encode(), b"Ch2=C1,,,").replace("Ch3=C2,,0.5,µV".encode(), b"Ch3=C2")
    signals = read("BrainVision", {**files, "rec.vhdr": header}, "rec.vhdr").signals()
    assert {one[0] for one in signals.values()} == {"uV"}
    np.testing.assert_array_equal(signals["/segment_0", "C0"][3], SAMPLES[:, 0] * 0.5)
    np.testing.assert_array_equal(signals["/segment_0", "C1"][3], SAMPLES[:, 1])
    np.testing.assert_array_equal(signals["/segment_0", "C2"][3], SAMPLES[:, 2])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rec.eeg": None}, "its file 'rec.eeg' is not with it"),
        ({"rec.vmrk": None}, "its file 'rec.vmrk' is not with it"),
        ({"rec.eeg": lambda content: content[:-2]}, "cut off"),
        ({"rec.vhdr": lambda content: content.replace(b"INT_16", b"UINT_8")}, "UINT_8"),
        ({"rec.vhdr": lambda content: content.replace(b"=BINARY", b"=ASCII")}, "ASCII"),
        ({"rec.vhdr": lambda content: content.replace(b"rec.eeg", b"/etc/passwd")}, "its file 'passwd' is not with it"),
        ({"rec.vmrk": lambda content: content.replace(b",3,1,0", b",0,1,0")}, "before the first sample"),
    ],
)
def test_what_does_not_hold_together_is_refused(change, reason):
    files = brainvision(SAMPLES)
    for name, how in change.items():
        if how is None:
            del files[name]
        else:
            files[name] = how(files[name])
    with pytest.raises(Refused, match=reason):
        read("BrainVision", files, "rec.vhdr")

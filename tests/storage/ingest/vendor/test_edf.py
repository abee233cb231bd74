"""EDF and BDF, written as the specification says, with values that are known."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from storage.errors import Refused
from tests.storage.ingest.vendor.files import edf
from tests.storage.ingest.vendor.recorded import read


def test_numbers_become_units_as_the_specification_says():
    digital = np.array([-2048, 0, 2047, 100] * 25)
    content = edf([("EEG Fpz", "uV", digital, 50, (-500, 500), (-2048, 2047))])
    recorded = read("EDF", {"a.edf": content}, "a.edf")
    units, t_start, rate, values = recorded.signals()["/segment_0", "EEG Fpz"]
    assert (units, t_start, rate) == ("uV", 0.0, 50.0)
    np.testing.assert_allclose(values, (digital + 2048) * 1000 / 4095 - 500, rtol=1e-12)
    np.testing.assert_allclose(values[:3:2], [-500, 500], rtol=1e-12)
    np.testing.assert_array_equal(recorded.stored("/segment_0/signal_0"), digital)
    (block,) = recorded.of("block")
    assert "Haagse" not in str(recorded.objects)  # who the patient was
    assert block.fields["filedatetime"] == datetime(2000, 7, 13, 12, 5, 48, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recording", "equipment"),
    [
        (b"Startdate 02-MAR-2002 PSG-1234/2002 Anne_Nurse Telemetry03", "Telemetry03"),
        (b"Startdate X X X X", None),
        (b"night of Harry Haagse at home", None),
    ],
)
def test_of_what_is_said_of_a_recording_only_its_equipment_is_told(recording, equipment):
    content = edf([("A", "uV", np.arange(100), 100)], recording=recording)
    told = read("EDF", {"a.edf": content}, "a.edf").of("block")[0].fields["annotations"]
    assert told.get("equipment") == equipment
    assert "1234" not in str(told) and "Nurse" not in str(told) and "Haagse" not in str(told)


def test_signals_of_one_rate_unit_and_offset_stand_together_and_others_alone():
    ramp = np.arange(100)
    content = edf(
        [
            ("A", "uV", ramp, 50),
            ("B", "mV", ramp * 2, 50),
            ("C", "uV", ramp * 3, 50, (-32768 * 2, 32767 * 2), (-32768, 32767)),
            ("D", "uV", ramp[:20] * 4, 10),
        ]
    )
    recorded = read("EDF", {"a.edf": content}, "a.edf")
    assert [array.shape for array in recorded.arrays.values()] == [(100, 2), (100,), (20,)]
    signals = recorded.signals()
    np.testing.assert_allclose(signals["/segment_0", "A"][3], ramp, atol=1e-9)
    np.testing.assert_allclose(signals["/segment_0", "C"][3], ramp * 6, atol=1e-9)
    np.testing.assert_allclose(signals["/segment_0", "D"][3], ramp[:20] * 4, atol=1e-9)
    assert signals["/segment_0", "D"][2] == 10.0


def test_24_bits_keep_their_sign():
    digital = np.array([-(2**23), -1, 0, 1, 2**23 - 1, 12345] * 10)
    recorded = read("BDF", {"a.bdf": edf([("A1", "uV", digital, 30)], bits=24)}, "a.bdf")
    np.testing.assert_array_equal(recorded.stored("/segment_0/signal_0"), digital)


def test_records_may_last_less_than_a_second():
    recorded = read("EDF", {"a.edf": edf([("A", "V", np.arange(100), 10)], duration_s=0.1)}, "a.edf")
    assert recorded.signals()["/segment_0", "A"][2] == 100.0


def test_annotations_are_events_and_epochs_each_once():
    notes = [b"+0\x14\x14\0+0.25\x14tone\x14\0", b"+1\x14\x14\0+1.5\x152\x14sleep stage 2\x14\0", b"+2\x14\x14\0"]
    content = edf([("A", "uV", np.arange(300), 100)], annotations=notes, plus="EDF+C")
    recorded = read("EDF", {"a.edf": content}, "a.edf")
    assert recorded.events() == {("/segment_0", "annotations"): [(0.25, "tone")]}
    assert recorded.events("epocharray") == {("/segment_0", "annotations"): [(1.5, "sleep stage 2")]}
    np.testing.assert_array_equal(recorded.stored(recorded.of("epocharray")[0].arrays["durations"]), [2.0])
    assert recorded.signals().keys() == {("/segment_0", "A")}


def test_a_pause_begins_a_segment():
    notes = [b"+0\x14\x14\0", b"+1\x14\x14\0", b"+60.5\x14\x14\0+60.75\x14again\x14\0"]
    content = edf([("A", "uV", np.arange(300), 100)], annotations=notes, plus="EDF+D")
    recorded = read("EDF", {"a.edf": content}, "a.edf")
    signals = recorded.signals()
    assert [signals[f"/segment_{n}", "A"][1] for n in (0, 1)] == [0.0, 60.5]
    assert [len(signals[f"/segment_{n}", "A"][3]) for n in (0, 1)] == [200, 100]
    assert recorded.events() == {("/segment_1", "annotations"): [(60.75, "again")]}


def test_what_is_noted_when_a_stretch_begins_belongs_to_that_alone():
    notes = [b"+0\x14\x14\0+0\x14first\x14\0", b"+60.5\x14\x14\0+60.5\x14again\x14\0"]
    content = edf([("A", "uV", np.arange(200), 100)], annotations=notes, plus="EDF+D")
    events = read("EDF", {"a.edf": content}, "a.edf").events()
    assert events == {("/segment_0", "annotations"): [(0, "first")], ("/segment_1", "annotations"): [(60.5, "again")]}


@pytest.mark.parametrize(("year", "expected"), [(b"85", 1985), (b"99", 1999), (b"00", 2000), (b"84", 2084)])
def test_years_are_of_the_century_that_the_specification_says(year, expected):
    content = edf([("A", "uV", np.arange(100), 100)], date=b"13.07." + year)
    assert read("EDF", {"a.edf": content}, "a.edf").of("block")[0].fields["filedatetime"].year == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content[:-7], "it was cut off"),
        (lambda content: content[:300], "cut off in its header"),
        (lambda content: content[:236] + b"99      " + content[244:], "99 data records"),
        (lambda content: content[:252] + b"9999" + content[256:], "9999 signals"),
        (lambda content: content[:252] + b"1e9 " + content[256:], "signals"),
        (lambda content: content[:244] + b"0       " + content[252:], "no duration"),
        (lambda content: content[:244] + b"nan     " + content[252:], "not a number"),
        (lambda content: content[:184] + b"9999    " + content[192:], "header is not as long"),
        (lambda content: b"1" + content[1:], "no EDF"),
    ],
)
def test_what_does_not_hold_together_is_refused(change, reason):
    content = edf([("A", "uV", np.arange(1000), 100)])
    with pytest.raises(Refused, match=reason):
        read("EDF", {"a.edf": change(content)}, "a.edf")


def test_a_length_that_is_not_known_is_that_of_the_file():
    content = edf([("A", "uV", np.arange(1000), 100)])
    recorded = read("EDF", {"a.edf": content[:236] + b"-1      " + content[244:]}, "a.edf")
    assert len(recorded.signals()["/segment_0", "A"][3]) == 1000

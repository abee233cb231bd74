"""Damaged files of all that NWB has: parts are left out with a reason, and the next file is read."""

from __future__ import annotations

import numpy as np
import pytest
from pynwb import TimeSeries

from tests.storage.ingest.nwb.test_sweeps import electrode, pair
from tests.storage.ingest.nwb.written import add_electrodes, reasons, session, write


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A file with electrodes, units with waveforms, sweeps and trials."""
    made = session()
    add_electrodes(made, 2, 2, rel_x=[1.0, 2.0, 3.0, 4.0])
    made.add_unit_column("quality", "how good")
    for number in range(3):
        waveforms = np.zeros((number + 1, 2, 4))
        made.add_unit(
            spike_times=np.arange(number + 1.0), electrodes=[0, 1], quality="good", waveforms=waveforms,
            waveform_mean=np.zeros(4, "f4"), obs_intervals=[[0.0, 9.0]],
        )  # fmt: skip
        made.add_trial(start_time=float(-number), stop_time=9.0)
    pipette = electrode(made)
    rows = []
    for number in range(2):
        answer, given = pair(made, pipette, number)
        rows.append(made.add_intracellular_recording(electrode=pipette, stimulus=given, response=answer))
    made.add_icephys_simultaneous_recording(recordings=rows)
    return write(made, tmp_path_factory.mktemp("whole") / "x.nwb").read_bytes()


def test_whatever_bits_are_wrong_nothing_is_raised(archive, content, tmp_path):
    rng = np.random.default_rng(2)
    states = []
    for number in range(40):
        bent = bytearray(content)
        for place in rng.integers(8, len(bent), 40):
            bent[place] ^= 1 << rng.integers(8)
        path = tmp_path / f"bent {number}.nwb"
        path.write_bytes(bent)
        outcome = archive.register(path)
        states.append(outcome.state)
        assert not any("cannot be registered: " in refusal.reason for refusal in outcome.refusals), outcome.refusals
        assert not any("the process that parsed it told" in refusal.reason for refusal in outcome.refusals)
    assert set(states) == {"registered", "refused"} and states.count("registered") > 10


def test_the_whole_one_is_registered_whole(archive, content, tmp_path):
    (tmp_path / "x.nwb").write_bytes(content)
    outcome = archive.register(tmp_path / "x.nwb")
    assert outcome.refusals == []
    assert outcome.counts == {
        "block": 1, "segment": 2, "recordingchannelgroup": 2, "recordingchannel": 4, "unit": 3, "spiketrain": 3,
        "analogsignal": 4, "epocharray": 1,
    }  # fmt: skip


def test_times_that_are_too_far_away_leave_out_only_what_has_them(archive, tmp_path):
    made = session()
    for name, start_s in (("near", 5.0), ("in nanoseconds", 1.7e18)):
        timestamps = start_s + np.arange(9.0) * 1e3
        made.add_acquisition(TimeSeries(name=name, data=np.arange(9.0), unit="V", timestamps=timestamps))
    made.add_unit(spike_times=[1.0, 1.7e18], obs_intervals=[[-1e16, 1.8e18]])
    outcome = archive.register(write(made, tmp_path / "x.nwb"))
    assert outcome.state == "registered" and outcome.counts == {
        "block": 1,
        "segment": 1,
        "irsaanalogsignal": 1,
        "unit": 1,
    }
    assert reasons(outcome) == {
        "/acquisition/in nanoseconds": "its t_start is 1.7e+18, beyond 1e+15",
        "/units[0]": "its t_start is -1e+16, beyond 1e+15",
    }

"""Formats of rigs: samples, times and units that are known, read back."""

from __future__ import annotations

import numpy as np
import pytest

from storage.errors import Refused
from storage.ingest.vendor import telling
from tests.storage.ingest.vendor import rigs
from tests.storage.ingest.vendor.recorded import read

RANDOM = np.random.default_rng(7)
SAMPLES = RANDOM.integers(-2000, 2000, (4096, 3))


@pytest.fixture(params=[4 << 20, 1000], autouse=True)
def window(request, monkeypatch):
    """Samples are read at once, or in many windows, which must make no difference."""
    monkeypatch.setattr(telling, "WINDOW_NBYTES", request.param)


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=1e-9)


class TestABF:
    def test_each_sweep_is_a_segment_with_its_own_length_and_start_and_each_channel_a_signal(self):
        sweeps = [SAMPLES[:100, :2], SAMPLES[100:150, :2], SAMPLES[150:300, :2]]
        content = rigs.abf1(sweeps, units=("mV", "pA"), gains=(0.5, 0.125), starts=[0, 15000, 40000])
        recorded = read("ABF", {"a.abf": content}, "a.abf")
        signals = recorded.signals()
        for number, (sweep, start_s) in enumerate(zip(sweeps, (0.0, 1.5, 4.0), strict=True)):
            for column, (name, unit, gain) in enumerate((("IN 0", "mV", 0.5), ("IN 1", "pA", 0.125))):
                units, t_start, rate, values = signals[f"/segment_{number}", name]
                assert (units, rate) == (unit, 20000.0)
                same(t_start, start_s)
                same(values, sweep[:, column] * gain)
        assert len(recorded.of("analogsignal")) == 6 and recorded.of("analogsignalarray") == []
        assert [one.fields["annotations"]["sweep_number"] for one in recorded.of("segment")] == [0, 1, 2]
        assert [one.fields["name"] for one in recorded.of("segment")] == ["sweep 0", "sweep 1", "sweep 2"]
        told = [one.fields["annotations"] for one in recorded.of("analogsignal")]
        assert [one["sweep_number"] for one in told] == [0, 0, 1, 1, 2, 2]
        assert {one["role"] for one in told} == {"response"}
        assert recorded.of("block")[0].fields["filedatetime"].isoformat() == "2020-02-29T01:00:00+00:00"

    def test_each_tag_stands_once_in_its_sweep(self):
        sweeps = [SAMPLES[:100, :1], SAMPLES[100:200, :1]]
        tags = [(16000, "später µ"), (50, "drug on"), (20000, "")]
        recorded = read("ABF", {"a.abf": rigs.abf1(sweeps, starts=[0, 15000], tags=tags)}, "a.abf")
        events = recorded.events()
        assert events.keys() == {("/segment_0", "tags"), ("/segment_1", "tags")}
        assert events["/segment_0", "tags"] == [(pytest.approx(0.005), "drug on")]
        assert [label for _, label in events["/segment_1", "tags"]] == ["später µ", "tag"]
        same([time for time, _ in events["/segment_1", "tags"]], [1.6, 2.0])

    def test_starts_that_are_counted_in_samples_count_all_channels(self):
        sweeps = [SAMPLES[:100, :2], SAMPLES[100:200, :2]]
        content = rigs.abf1(sweeps, units=("mV", "pA"), gains=(1, 1), starts=[0, 80000], synch_unit_us=0.0)
        recorded = read("ABF", {"a.abf": content}, "a.abf")
        same(recorded.signals()["/segment_1", "IN 0"][1], 2.0)
        assert any(
            "divided by channels" in text for text in recorded.of("block")[0].fields["annotations"]["corrections"]
        )

    def test_a_micro_is_one_in_any_spelling(self):
        content = rigs.abf1([SAMPLES[:100, :1]], units=("µV",))
        assert read("ABF", {"a.abf": content}, "a.abf").signals()["/segment_0", "IN 0"][0] == "uV"


class TestIntan:
    def test_samples_are_microvolts_around_zero(self):
        recorded = read("Intan", {"a.rhd": rigs.rhd(SAMPLES[:4080])}, "a.rhd")
        signals = recorded.signals()
        for column in range(3):
            units, t_start, rate, values = signals["/segment_0", f"tip {column}"]
            assert (units, t_start, rate) == ("uV", 0.0, 20000.0)
            same(values, SAMPLES[:4080, column] * 0.195)
        assert recorded.arrays["/segment_0/signal_0"].dtype == np.dtype("<u2")

    def test_a_block_that_was_cut_off_is_refused(self):
        with pytest.raises(Refused, match="cut off"):
            read("Intan", {"a.rhd": rigs.rhd(SAMPLES[:4080])[:-10]}, "a.rhd")


class TestNeuralynx:
    def test_channels_of_one_session_stand_together(self):
        files = {f"CSC{n}.ncs": rigs.ncs(f"CSC{n}", SAMPLES[:, n], number=n, volts=(n + 1) * 1e-6) for n in range(3)}
        signals = read("Neuralynx", files, "CSC0.ncs").signals()
        for number in range(3):
            units, _, rate, values = signals["/segment_0", f"CSC{number}"]
            assert (units, rate) == ("uV", 32000.0)
            same(values, SAMPLES[:, number] * (number + 1))

    def test_a_gap_begins_a_segment(self):
        files = {"CSC1.ncs": rigs.ncs("CSC1", SAMPLES[:, 0], starts_us=(0, 10_000_000))}
        signals = read("Neuralynx", files, "CSC1.ncs").signals()
        assert [signals[f"/segment_{n}", "CSC1"][1] for n in (0, 1)] == [0.0, 10.0]
        same(np.concatenate([signals[f"/segment_{n}", "CSC1"][3] for n in (0, 1)]), SAMPLES[:, 0])


class TestBlackrock:
    @pytest.mark.parametrize("period", [1, 30])
    def test_runs_are_segments(self, period):
        content = rigs.ns5([(0, SAMPLES[:1000]), (90000, SAMPLES[1000:])], period=period)
        signals = read("Blackrock", {"a.ns5": content}, "a.ns5").signals()
        for column in range(3):
            for number, (part, start_s) in enumerate(((SAMPLES[:1000], 0.0), (SAMPLES[1000:], 3.0))):
                units, t_start, rate, values = signals[f"/segment_{number}", f"elec{column + 1}"]
                assert (units, t_start, rate) == ("uV", start_s, 30000.0 / period)
                same(values, part[:, column] / 4)


class TestSpike2:
    def test_a_waveform_and_events(self):
        content = rigs.smr(SAMPLES[:2000, 0], [150, 4000, 90000])
        recorded = read("Spike2", {"a.smr": content}, "a.smr")
        ((units, t_start, rate, values),) = recorded.signals().values()
        assert (units, t_start, rate) == ("mV", 0.0, 10000.0)
        same(values, SAMPLES[:2000, 0] * 2.0 / 6553.6 + 1.0)
        assert recorded.events() == {("/segment_0", "trig"): [(0.00015, ""), (0.004, ""), (0.09, "")]}


class TestPlexon:
    def test_every_block_is_read_and_units_are_millivolts(self):
        blocks = [
            (start * 40, channel, SAMPLES[start : start + 500, channel])
            for start in range(0, 2000, 500)
            for channel in (0, 1)
        ]
        recorded = read("Plexon", {"a.plx": rigs.plx(blocks)}, "a.plx")
        signals = recorded.signals()
        for channel in (0, 1):
            units, t_start, rate, values = signals["/segment_0", f"WB0{channel + 1}"]
            assert (units, t_start, rate) == ("mV", 0.0, 1000.0)
            same(values, SAMPLES[:2000, channel] * 5000 / (0.5 * 2**16 * 2 * 10))

    def test_a_pause_begins_a_signal_at_its_own_time(self):
        blocks = [(4000, 0, SAMPLES[:500, 0]), (24000, 0, SAMPLES[500:1000, 0]), (80000, 0, SAMPLES[1000:1500, 0])]
        recorded = read("Plexon", {"a.plx": rigs.plx(blocks, channels=("WB01",))}, "a.plx")
        (first, second) = recorded.signals().values()
        assert (first[1], second[1]) == (0.1, 2.0)
        assert (len(first[3]), len(second[3])) == (1000, 500)


class TestIgor:
    @pytest.mark.parametrize(("step", "unit", "rate"), [(1e-4, "s", 10000.0), (0.05, "ms", 20000.0)])
    def test_a_wave_is_a_signal(self, step, unit, rate):
        wave = SAMPLES[:, 0] / 7
        recorded = read("Igor", {"a.ibw": rigs.ibw(wave, step=step, start=2.0, time_unit=unit)}, "a.ibw")
        ((units, t_start, found, values),) = recorded.signals().values()
        assert (units, found, t_start) == ("V", rate, 2.0 if unit == "s" else 0.002)
        np.testing.assert_array_equal(values, wave)

    def test_columns_are_channels(self):
        recorded = read("Igor", {"a.ibw": rigs.ibw(SAMPLES)}, "a.ibw")
        assert [one.source_path for one in recorded.of("analogsignalarray")] == ["/segment_0/signal_0"]
        np.testing.assert_array_equal(recorded.values("/segment_0/signal_0"), SAMPLES)

    def test_what_is_no_time_series_is_refused(self):
        with pytest.raises(Refused, match="'m' apart, not a time"):
            read("Igor", {"a.ibw": rigs.ibw(SAMPLES[:, 0], time_unit="m")}, "a.ibw")


class TestMicromed:
    def test_epochs_that_end_before_they_begin_are_left_out_and_told(self):
        content = rigs.trc(SAMPLES[:400, :2], epochs=[(7, 100, 150), (8, 200, 150), (9, 50, 50)])
        recorded = read("Micromed", {"a.trc": content}, "a.trc")
        assert recorded.events("epocharray") == {("/segment_0", "Event A"): [(0.5, "9"), (1.0, "7")]}
        assert recorded.stored(recorded.of("epocharray")[0].arrays["durations"]).tolist() == [0, 0.5]
        reason = "1 of its 3 moments have no time, or end before they begin"
        assert recorded.refusals == [("/segment_0/epochs_0", reason)]


class TestPersons:
    """Whoever imports publishes recordings, not who they are of."""

    def test_a_patient_of_micromed_is_not_named(self):
        content = rigs.trc(SAMPLES[:400, :2], surname="MUSTERMANN", firstname="ERIKA")
        recorded = read("Micromed", {"a.trc": content}, "a.trc")
        assert "MUSTERMANN" not in str(recorded.objects) and "ERIKA" not in str(recorded.objects)
        assert recorded.of("block")[0].fields["annotations"]["header_version"] == 4
        same(recorded.signals()["/segment_0", "EEG1"][3], SAMPLES[:400, 1])

    def test_comments_of_neuroexplorer_and_notes_of_igor_are_not_told(self):
        content = rigs.nex([10, 2000], comment="Erika Mustermann")
        recorded = read("NeuroExplorer", {"a.nex": content}, "a.nex")
        assert recorded.events() == {("/segment_0", "trig"): [(0.01, ""), (2.0, "")]}
        told = recorded.of("block")[0].fields["annotations"]
        assert told.keys() == {"imported_from", "read_by", "neuroexplorer_version"}
        recorded = read("Igor", {"a.ibw": rigs.ibw(SAMPLES[:9, 0], note=b"of Erika Mustermann")}, "a.ibw")
        assert "Erika" not in str(recorded.objects) and len(recorded.signals()) == 1

"""The demo recording is a valid file, looks like a recording, and is there completely or not at all."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from storage.ingest.demo import write_demo
from storage.ingest.simulated_field import field, mixing_matrix
from storage.ingest.simulation import Session

ROOT = Path(__file__).parents[3]
DURATION_S = 20.0
RUNS_S = [(5.5, 9.5), (15.5, 19.5)]
RESTS_S = [(0.5, 4.5), (10.5, 14.5)]
N_UNITS = 3


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "demo.nwb"
    write_demo(path, duration_s=DURATION_S, seed=3)
    with h5py.File(path) as file:
        yield file


def datasets(path):
    """Every dataset of a file but the date of its creation; references as the names they mean."""
    found = {}
    with h5py.File(path) as file:

        def visit(name, thing):
            if isinstance(thing, h5py.Dataset) and name != "file_create_date":
                is_reference = h5py.check_ref_dtype(thing.dtype)
                found[name] = np.array([file[ref].name for ref in thing]) if is_reference else thing[()]

        file.visititems(visit)
    return found


def spike_times(file):
    return np.split(file["units/spike_times"][:], file["units/spike_times_index"][:-1].astype(int))


def microvolts(series):
    return series["data"][:] * (series["data"].attrs["conversion"] * 1e6)


def power(signal, sampling_rate_hz, spans_s):
    """Frequencies and the mean power spectrum of equally long spans."""
    spans = [signal[int(start * sampling_rate_hz) : int(stop * sampling_rate_hz)] for start, stop in spans_s]
    spectra = [np.abs(np.fft.rfft((span - span.mean()) * np.hanning(len(span)))) ** 2 for span in spans]
    return np.fft.rfftfreq(len(spans[0]), 1 / sampling_rate_hz), np.mean(spectra, axis=0)


class TestFile:
    def test_a_seed_gives_the_same_samples_again(self, tmp_path):
        for name in ("a.nwb", "b.nwb"):
            write_demo(tmp_path / name, duration_s=12.0, seed=5)
        first, second = datasets(tmp_path / "a.nwb"), datasets(tmp_path / "b.nwb")
        assert first.keys() == second.keys()
        for name, values in first.items():
            np.testing.assert_array_equal(values, second[name], err_msg=name)

    def test_another_seed_gives_another_session(self, demo, tmp_path):
        write_demo(tmp_path / "other.nwb", duration_s=DURATION_S, seed=4)
        mine, other = datasets(demo.filename), datasets(tmp_path / "other.nwb")
        for name in ("acquisition/LFP/data", "acquisition/probe/data", "units/spike_times", "identifier"):
            assert not np.array_equal(mine[name], other[name]), name

    def test_every_typed_object_has_namespace_and_its_own_id(self, demo):
        typed = [demo]
        demo.visititems(lambda _, thing: typed.append(thing) if "neurodata_type" in thing.attrs else None)
        assert {thing.attrs["namespace"] for thing in typed} == {"core", "hdmf-common"}
        assert len({thing.attrs["object_id"] for thing in typed}) == len(typed) > 30

    @pytest.mark.parametrize("name", ["units", "intervals/epochs", "general/extracellular_ephys/electrodes"])
    def test_tables_have_the_columns_they_name(self, demo, name):
        table = demo[name]
        for column in table.attrs["colnames"]:
            index = table.get(f"{column}_index")
            ends = table[column] if index is None else index
            assert len(ends) == len(table["id"])
            if index is not None:
                assert index[-1] == len(table[column])
                assert demo[index.attrs["target"]] == table[column]

    def test_session_starts_at_a_time_with_a_zone(self, demo):
        assert datetime.fromisoformat(demo["session_start_time"][()].decode()).utcoffset() is not None

    @pytest.mark.parametrize(
        ("name", "shape", "dtype", "rate"),
        [("LFP", (25000,), "<i2", 1250.0), ("probe", (100000, 16), "<i2", 5000.0)],
    )
    def test_voltages_are_chunked_compressed_and_calibrated(self, demo, name, shape, dtype, rate):
        series = demo["acquisition"][name]
        data = series["data"]
        assert (data.shape, data.dtype, data.attrs["unit"]) == (shape, np.dtype(dtype), "volts")
        assert (data.compression, data.shuffle, data.attrs["conversion"]) == ("gzip", True, 1.95e-7)
        assert (series["starting_time"][()], series["starting_time"].attrs["rate"]) == (0.0, rate)
        assert demo[series["electrodes"].attrs["table"]]["location"].shape == (16,)
        assert 40 < microvolts(series).std() < 300

    def test_a_duration_between_samples_is_cut_to_the_last_sample(self, tmp_path):
        write_demo(tmp_path / "demo.nwb", duration_s=10.00037)
        with h5py.File(tmp_path / "demo.nwb") as file:
            assert len(file["acquisition/LFP/data"]) == 12500
            assert len(file["acquisition/probe/data"]) == 50001

    def test_stored_samples_are_small(self, demo):
        stored = demo["acquisition/probe/data"].id.get_storage_size()
        assert stored * 600 / DURATION_S < 60e6


class TestSignals:
    def test_theta_is_the_peak_while_running(self, demo):
        lfp = microvolts(demo["acquisition/LFP"])
        frequencies, running = power(lfp, 1250, RUNS_S)
        fast = frequencies > 2.0
        assert frequencies[fast][np.argmax(running[fast])] == pytest.approx(8.0, abs=1.0)
        _, resting = power(lfp, 1250, RESTS_S)
        theta = (frequencies > 6.5) & (frequencies < 9.5)
        assert running[theta].sum() > 4 * resting[theta].sum()

    def test_background_power_falls_with_frequency(self, demo):
        frequencies, resting = power(microvolts(demo["acquisition/LFP"]), 1250, RESTS_S)
        bands = [(2, 4), (20, 40), (90, 130), (250, 400)]
        levels = [resting[(frequencies > low) & (frequencies < high)].mean() for low, high in bands]
        assert all(slower > 3 * faster for slower, faster in pairwise(levels))

    def test_ripples_come_at_rest_only(self, tmp_path):
        write_demo(tmp_path / "demo.nwb", duration_s=80.0, seed=3)
        with h5py.File(tmp_path / "demo.nwb") as file:
            lfp = microvolts(file["acquisition/LFP"])
        frequencies, running = power(lfp, 1250, [(21.0, 39.0), (61.0, 79.0)])
        _, resting = power(lfp, 1250, [(1.0, 19.0), (41.0, 59.0)])
        ripples = (frequencies > 160) & (frequencies < 200)
        assert resting[ripples].sum() > 3 * running[ripples].sum()

    def test_fields_go_on_smoothly_from_block_to_block(self):
        session, pyramidal = Session(300.0, 3), mixing_matrix()[:, 5]
        blocks = [field(session, block, 1250, pyramidal) for block in range(30)]
        steps_within = np.mean([np.abs(np.diff(block)).mean() for block in blocks])
        steps_between = np.mean([abs(after[0] - before[-1]) for before, after in pairwise(blocks)])
        assert steps_between < 1.5 * steps_within

    def test_the_lfp_is_what_its_contact_of_the_probe_sees(self, demo):
        lfp = demo["acquisition/LFP"]
        contact = lfp["electrodes"][0]
        seen = microvolts(demo["acquisition/probe"])[::4, contact]
        assert np.median(np.abs(seen - microvolts(lfp))) < 6.0

    @pytest.mark.parametrize("number", range(N_UNITS))
    def test_spikes_are_in_the_probe_at_their_times(self, demo, number):
        probe = microvolts(demo["acquisition/probe"])
        contact = demo["units/electrodes"][number]
        samples = np.rint(spike_times(demo)[number] * 5000).astype(int)
        samples = samples[(samples > 20) & (samples < len(probe) - 20)]
        mean = probe[samples[:, np.newaxis] + np.arange(-8, 15)].mean(axis=0)
        mean -= mean[:3].mean(axis=0)
        noise_uv = 1.48 * np.median(np.abs(np.diff(probe[:, contact])))
        assert len(samples) > 10
        assert np.unravel_index(np.argmin(mean), mean.shape) == (8, contact)
        assert mean[8, contact] < -5 * noise_uv
        assert mean[8, contact] < mean[8, [contact - 1, contact + 1]].min() / 1.8


class TestEvents:
    @pytest.mark.parametrize("name", ["acquisition/pupil_diameter", "stimulus/presentation/stimuli"])
    def test_times_increase(self, demo, name):
        times = demo[name]["timestamps"][:]
        assert times.dtype == np.float64 and len(times) == len(demo[name]["data"]) > 0
        assert np.all(np.diff(times) > 0)
        assert times[0] >= 0 and times[-1] < DURATION_S

    def test_the_pupil_is_sampled_irregularly_with_gaps(self, demo):
        intervals = np.diff(demo["acquisition/pupil_diameter/timestamps"][:])
        assert np.median(intervals) == pytest.approx(1 / 30, abs=0.002)
        assert np.count_nonzero(intervals > 0.5) == 2
        assert demo["acquisition/pupil_diameter/data"].dtype == np.float32

    def test_stimuli_are_words(self, demo):
        assert set(demo["stimulus/presentation/stimuli/data"].asstr()[:]) <= {"tone", "light", "reward"}

    @pytest.mark.parametrize("number", range(N_UNITS))
    def test_spike_times_are_sorted_refractory_and_observed(self, demo, number):
        times = spike_times(demo)[number]
        assert np.diff(times).min() >= 0.002 - 1e-9
        (start, stop) = demo["units/obs_intervals"][number]
        assert (start, stop) == (0.0, DURATION_S)
        assert start <= times[0] and times[-1] < stop
        assert demo["units/spike_times_index"].dtype == np.uint32

    def test_one_unit_bursts(self, demo):
        intervals = [np.diff(times) for times in spike_times(demo)]
        short = [np.mean(between < 0.0065) for between in intervals]
        assert short[0] > 0.25

    def test_epochs_cover_the_session(self, demo):
        epochs = demo["intervals/epochs"]
        edges = [epochs["start_time"][0], *epochs["stop_time"][:]]
        np.testing.assert_allclose(edges, np.linspace(0, DURATION_S, 5))
        first = epochs["tags_index"][:2]
        assert list(epochs["tags"].asstr()[: first[1]]) == ["rest", "run", "wheel"]


class TestWriting:
    def test_an_exception_leaves_nothing_behind(self, tmp_path):
        def stop(done):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_demo(tmp_path / "demo.nwb", duration_s=DURATION_S, progress=stop)
        assert list(tmp_path.iterdir()) == []

    def test_an_exception_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "demo.nwb"
        path.write_bytes(b"old")
        with pytest.raises(ZeroDivisionError):
            write_demo(path, duration_s=DURATION_S, progress=lambda done: 1 / 0)
        assert path.read_bytes() == b"old"

    def test_a_kill_leaves_no_file_of_that_name(self, tmp_path):
        code = (
            "import os, sys; from pathlib import Path; from storage.ingest.demo import write_demo;"
            "write_demo(Path(sys.argv[1]), duration_s=20.0, progress=lambda done: os.kill(os.getpid(), 9))"
        )
        path = tmp_path / "demo.nwb"
        killed = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=False)
        assert killed.returncode == -9
        assert not path.exists()

    def test_progress_grows_to_one(self, tmp_path):
        seen = []
        write_demo(tmp_path / "demo.nwb", duration_s=25.0, progress=seen.append)
        assert seen == pytest.approx([1 / 3, 2 / 3, 1])

    def test_memory_does_not_grow_with_duration(self, tmp_path):
        def peak_nbytes(duration_s):
            tracemalloc.start()
            try:
                write_demo(tmp_path / "demo.nwb", duration_s=duration_s)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        assert peak_nbytes(120.0) < 1.1 * peak_nbytes(20.0)

    @pytest.mark.parametrize("duration_s", [0.0, -1.0, float("nan"), float("inf"), 1e6])
    def test_an_impossible_duration_is_refused(self, tmp_path, duration_s):
        with pytest.raises(ValueError, match="can be simulated"):
            write_demo(tmp_path / "demo.nwb", duration_s=duration_s)
        assert list(tmp_path.iterdir()) == []

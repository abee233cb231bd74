"""The contract's section on partial data requests, row by row."""

from __future__ import annotations

import numpy as np
import pytest

from tests.archive import TIMES, WAVEFORMS
from tests.conformance.conftest import CHANNELS, SAMPLES


def link_range(archive, address, field="signal"):
    """Return start and stop in the link that an object answers."""
    link = archive.fields(address)[field]["data"]
    parts = dict(part.split("=") for part in link.partition("?")[2].split("&"))
    return int(parts["start_index"]), int(parts["end_index"])


class TestRegularAxis:
    """``t_start`` 0 ms, 20000 Hz, 4000 samples: sample k lies at k · 0.05 ms."""

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("start_time=10&end_time=20", (200, 401)),  # both ends included
            ("start_time=10.01&end_time=19.99", (201, 400)),  # a ≤ t ≤ b between samples
            ("start_time=10&duration=10", (200, 401)),
            ("duration=10&end_time=20", (200, 401)),
            ("start_time=10&duration=0", (200, 201)),  # one sample where one lies there
            ("start_index=10&end_index=20", (10, 20)),  # end_index is excluded
            ("start_index=10&samples_count=5", (10, 15)),
            ("samples_count=5&end_index=20", (15, 20)),
            ("start_index=10&end_time=1", (10, 21)),
            ("start_time=1&end_index=30", (20, 30)),
            ("start_time=1&samples_count=7", (20, 27)),
            ("samples_count=7&end_time=1", (14, 21)),
            ("start_index=10&duration=1", (10, 31)),  # includes its end
            ("duration=1&end_index=31", (10, 31)),  # ends at the time of sample 30
            ("start_time=10", (200, 4000)),
            ("end_time=10", (0, 201)),
            ("start_index=10", (10, 4000)),
            ("end_index=10", (0, 10)),
            ("duration=10", (0, 201)),  # a length alone starts at the first sample
            ("samples_count=10", (0, 10)),
            ("start_index=10&end_index=20&samples_count=3&duration=1", (10, 20)),  # ends win over length
            ("start_index=10&start_time=7&end_index=20&end_time=9", (10, 20)),  # index over time
            ("start_index=10&samples_count=3&duration=1", (10, 13)),  # samples_count over duration
            ("start_time=-10&end_time=1", (0, 21)),  # reaches past the array: cut
            ("start_time=-10&duration=11", (0, 21)),  # resolved on the endless axis first
            ("start_index=3990&samples_count=1000", (3990, 4000)),
            ("start_index=3990&end_index=1000000000000", (3990, 4000)),
            ("start_time=10.00000004", (200, 4000)),  # within 1e-6 of a sample interval is the sample
            ("start_time=10.0000001", (201, 4000)),
            ("start_time=%2B1e1&end_time=2E%2B01", (200, 401)),
        ],
    )
    def test_row(self, archive, permalink, signal, query, expected):
        assert link_range(archive, f"{permalink}/?{query}") == expected
        on_datafile = archive.values(f"{signal['signal']['data']}?{query}")
        assert on_datafile == SAMPLES[expected[0] : expected[1]].tolist()

    @pytest.mark.parametrize(
        ("query", "parameters"),
        [
            ("start_time=200", ["start_time"]),  # nothing left on a regular axis
            ("start_time=10.01&end_time=10.02", ["end_time", "start_time"]),
            ("start_time=10.01&duration=0", ["duration", "start_time"]),
            ("end_time=-1", ["end_time"]),
            ("start_index=4000", ["start_index"]),
            ("samples_count=0", ["samples_count"]),
            ("start_time=20&end_time=10", ["end_time", "start_time"]),  # start after end
            ("start_index=20&end_index=10", ["end_index", "start_index"]),
            ("start_index=-1", ["start_index"]),  # negative index or length
            ("end_index=-1", ["end_index"]),
            ("samples_count=-1", ["samples_count"]),
            ("duration=-1", ["duration"]),
            ("start_time=soon", ["start_time"]),  # not a number
            ("start_time=", ["start_time"]),
            ("start_time=NaN", ["start_time"]),
            ("start_time=inf", ["start_time"]),
            ("start_time=1_000", ["start_time"]),
            ("start_time=１２", ["start_time"]),
            ("start_time=0x10", ["start_time"]),
            ("start_time=1e7000000", ["start_time"]),
            ("start_index=1.5", ["start_index"]),
            ("downsample=0", ["downsample"]),  # downsample < 1
            ("downsample=-5", ["downsample"]),
            ("start_time=1&start_time=1", ["start_time"]),  # the same parameter twice
            ("start_time=1e30", ["start_time"]),  # out of bounds
            ("start_time=" + "1" * 41, ["start_time"]),
            ("method=median", ["method"]),
            ("downsample=5&method=extrema", ["downsample", "method"]),  # extrema needs an even number
            ("channels=0", ["channels"]),
            ("stat_time=1", ["stat_time"]),
            ("format=xml", ["format"]),
        ],
    )
    def test_useless_row_is_400_naming_the_parameter(self, archive, permalink, signal, query, parameters):
        for address in (f"{permalink}/?{query}", f"{signal['signal']['data']}?{query}"):
            document = archive.error(address, 400)
            assert sorted(document["details"]) == parameters
            assert all(parameter in document["message"] for parameter in parameters)

    def test_an_error_tells_what_the_array_holds(self, archive, permalink):
        message = archive.error(f"{permalink}?start_time=5000", 400)["message"]
        assert "samples 0 to 3999" in message and "0 to 199.95 ms" in message

    def test_a_signal_with_t_start_10_ms_holds_nothing_before_10(self, archive, ids):
        address = f"/electrophysiology/analogsignal/{ids['analogsignal']}"
        archive.error(f"{address}?end_time=9.5", 400)
        assert link_range(archive, f"{address}?start_time=0&end_time=12") == (0, 3)
        assert archive.fields(f"{address}?start_time=0&end_time=12")["t_start"]["data"] == 10
        assert archive.fields(f"{address}?start_time=11.5&end_time=13")["t_start"]["data"] == 12

    def test_an_empty_array_is_200_with_shape_0(self, archive):
        empty = archive.add("empty", np.empty(0, np.float32))
        fields = archive.fields(f"/electrophysiology/analogsignal/{empty['id']}?start_time=5&duration=1")
        assert fields["signal"]["data"].endswith("?start_index=0&end_index=0")
        assert archive.values(fields["signal"]["data"]) == []

    def test_in_a_list_an_object_for_which_the_question_is_useless_has_no_data_and_a_reason(self, archive, signal):
        late = archive.add("late", SAMPLES, t_start=(10, "s"))
        both = f"id__in=[{signal['id']},{late['id']}]"
        answer = archive.get(f"/electrophysiology/analogsignal/?{both}&start_time=5&duration=1")
        early, later = (one["fields"]["signal"] for one in answer.json["selected"])
        assert early["data"].endswith("?start_index=100&end_index=121") and "reason" not in early
        assert later["data"] is None and "start_time=5" in later["reason"]


class TestIrregularAxis:
    """Samples at ``TIMES`` seconds, two of them at 0.2."""

    @pytest.mark.parametrize("type_name", ["irsaanalogsignal", "spiketrain", "eventarray", "epocharray"])
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("start_time=0.2&end_time=0.9", (1, 5)),  # equal times all count, both ends included
            ("start_time=0.2&duration=0", (1, 3)),
            ("start_time=0.3&duration=0.7", (3, 5)),
            ("duration=0.5&end_time=1", (3, 5)),
            ("start_time=1", (5, 8)),
            ("end_time=1", (0, 5)),
            ("start_index=2&end_index=4", (2, 4)),
            ("start_index=3&duration=0.4", (3, 5)),
            ("samples_count=3&end_index=5", (2, 5)),
            ("start_index=6&end_index=100", (6, 8)),
            ("start_time=0.3&end_time=0.4", (3, 3)),  # a silent neuron
            ("start_time=50", (8, 8)),
            ("end_time=-5", (0, 0)),
        ],
    )
    def test_a_window_selects_by_the_values_of_times_for_all_arrays(self, archive, ids, type_name, query, expected):
        fields = archive.fields(f"/electrophysiology/{type_name}/{ids[type_name]}?{query}")
        arrays = [value for value in fields.values() if isinstance(value, dict) and "guid" in value]
        assert arrays
        for one in arrays:
            assert one["data"].endswith("?start_index={}&end_index={}".format(*expected))
            assert len(archive.values(one["data"])) == expected[1] - expected[0]
        assert archive.values(fields["times"]["data"]) == TIMES[expected[0] : expected[1]].tolist()

    def test_start_after_end_is_400(self, archive, ids):
        archive.error(f"/electrophysiology/spiketrain/{ids['spiketrain']}?start_time=2&end_time=1", 400)

    def test_the_answered_t_start_is_the_first_selected_time(self, archive, ids):
        fields = archive.fields(f"/electrophysiology/irsaanalogsignal/{ids['irsaanalogsignal']}?start_time=0.3")
        assert fields["t_start"] == {"units": "s", "data": 0.5}

    @pytest.mark.parametrize(
        ("query", "t_start", "t_stop"),
        [
            ("start_time=0.3&end_time=1", 0.3, 1),
            ("start_time=-5&end_time=100", 0, 3),
            ("start_time=0.3", 0.3, 3),
            ("duration=0.5&end_time=1", 0.5, 1),
            ("start_index=3&end_index=5", 0.5, 0.9),
        ],
    )
    def test_the_bounds_of_a_spiketrain_are_the_window_cut_to_its_own(self, archive, ids, query, t_start, t_stop):
        fields = archive.fields(f"/electrophysiology/spiketrain/{ids['spiketrain']}?{query}")
        assert fields["t_start"] == {"units": "s", "data": t_start}
        assert fields["t_stop"] == {"units": "s", "data": t_stop}

    def test_waveforms_are_sliced_along_their_first_axis(self, archive, ids):
        fields = archive.fields(f"/electrophysiology/spiketrain/{ids['spiketrain']}?start_time=0.5&end_time=1")
        assert archive.values(fields["waveforms"]["data"]) == WAVEFORMS[3:5].tolist()

    def test_the_waveform_of_a_spike_is_not_sliced(self, archive, ids):
        address = f"/electrophysiology/spike/{ids['spike']}"
        archive.error(f"{address}?start_index=0", 400)
        link = archive.fields(address)["waveform"]["data"]
        archive.error(f"{link}?start_index=0&end_index=1", 400)
        assert archive.values(link) == WAVEFORMS[0].tolist()

    @pytest.mark.parametrize("type_name", ["block", "segment", "unit", "event", "epoch"])
    def test_what_has_no_array_has_no_slice(self, archive, ids, type_name):
        archive.error(f"/electrophysiology/{type_name}/{ids[type_name]}?start_time=1", 400)


class TestChannels:
    @pytest.mark.parametrize(
        ("asked", "written", "columns"),
        [("0,3,5-7", "0,3,5-7", [0, 3, 5, 6, 7]), ("7,0", "7,0", [7, 0]), ("2", "2", [2]), ("4-4", "4", [4])],
    )
    def test_channels_on_the_object_and_on_the_link(self, archive, array, asked, written, columns):
        query = f"start_index=990&end_index=1010&channels={asked}"
        link = archive.fields(f"/electrophysiology/analogsignalarray/{array['id']}?{query}")["signal"]["data"]
        assert link.endswith(f"?start_index=990&end_index=1010&channels={written}")
        assert archive.values(link) == CHANNELS[990:1010, columns].tolist()

    @pytest.mark.parametrize("asked", ["8", "0,0", "0-3,2", "3-1", "-1", "a", "", "0,", "0-999999999", "１"])
    def test_a_repeated_or_missing_channel_is_400(self, archive, array, asked):
        address = f"/electrophysiology/analogsignalarray/{array['id']}?channels={asked}"
        assert "channels" in archive.error(address, 400)["details"]
        assert "channels" in archive.error(f"{array['signal']['data']}?channels={asked}", 400)["details"]


class TestDatafile:
    def test_times_on_a_datafile_mean_the_axis_of_the_object_that_uses_it(self, archive, signal):
        link = signal["signal"]["data"] + "?start_time=50&duration=100"
        assert archive.values(link) == SAMPLES[1000:3001].tolist()

    def test_a_link_carries_its_parameters_in_order_and_leaves_defaults_out(self, archive, array):
        address = f"/electrophysiology/analogsignalarray/{array['id']}"
        query = "format=json&channels=1&method=extrema&downsample=4&end_index=80&start_index=0"
        link = archive.fields(f"{address}?{query}")["signal"]["data"]
        parameters = "start_index=0&end_index=80&downsample=4&method=extrema&channels=1&format=json"
        assert link.partition("?")[2] == parameters
        assert archive.fields(f"{address}?format=hdf5")["signal"]["data"] == array["signal"]["data"]
        assert archive.fields(f"{address}?downsample=4&method=mean")["signal"]["data"].endswith("?downsample=4")

    def test_the_rate_of_the_answered_points_is_told(self, archive, permalink):
        told = archive.fields(f"{permalink}?start_index=0&end_index=2000&downsample=20")["downsampled"]
        assert told == {"points": 20, "method": "mean", "sampling_rate": {"units": "Hz", "data": 200}}

    def test_a_0_dimensional_array_answers_as_shape_1(self, archive):
        scalar = archive.add("scalar", np.float64(2.5))
        assert scalar["signal"]["shape"] == [1]
        assert archive.values(scalar["signal"]["data"]) == [2.5]

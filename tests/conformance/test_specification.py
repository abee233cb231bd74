"""The G-Node Data API page "Working with Arrays", sentence by sentence."""

from __future__ import annotations

import io
import re

import h5py
import numpy as np
import pytest

from storage.catalog.models import TYPES
from tests.conformance.conftest import SAMPLES

TIMED = ("analogsignal", "analogsignalarray", "irsaanalogsignal", "spiketrain", "eventarray", "epocharray")
WITH_ARRAYS = [name for name, model in TYPES.items() if model.array_fields]


def read_hdf5(answer):
    """Return the names in the root of an HDF5 answer, and the array of the first."""
    assert answer.status_code == 200, answer.text
    with h5py.File(io.BytesIO(answer.data)) as file:
        return list(file), file[next(iter(file))][()]


class TestDataIsStoredInFiles:
    def test_we_use_hdf5_file_format_to_store_any_array_data(self, archive, signal):
        stored = archive.get(signal["signal"]["data"] + "/download/").data
        assert stored == (archive.folder / "signal.h5").read_bytes()
        with h5py.File(io.BytesIO(stored)) as file:
            np.testing.assert_array_equal(file["array"][()], SAMPLES)

    @pytest.mark.parametrize("type_name", WITH_ARRAYS)
    def test_for_every_object_that_has_array_data_we_store_the_data_in_related_hdf5_file(self, archive, ids, type_name):
        fields = archive.fields(f"/electrophysiology/{type_name}/{ids[type_name]}")
        for name in TYPES[type_name].array_fields:
            names, _ = read_hdf5(archive.get(fields[name]["data"]))
            assert len(names) == 1

    def test_in_order_to_access_the_data_you_have_to_access_the_associated_file(self, archive, signal):
        assert re.fullmatch(r"/datafiles/\d+", signal["signal"]["data"])
        assert archive.values(signal["signal"]["data"]) == SAMPLES.tolist()


class TestAccessData:
    def test_at_first_you_get_the_object_in_json_with_reference_to_the_datafile(self, archive, permalink):
        answer = archive.get(permalink)
        assert answer.mimetype == "application/json"
        assert answer.json["selected"][0]["fields"]["signal"]["data"].startswith("/datafiles/")

    def test_at_second_you_access_the_datafile_directly_using_the_reference(self, archive, permalink):
        link = archive.fields(permalink)["signal"]["data"]
        np.testing.assert_array_equal(read_hdf5(archive.get(link))[1], SAMPLES)

    def test_data_is_not_transferred_inside_the_json_response_of_several_objects(self, archive, signal, array):
        few = archive.get("/electrophysiology/analogsignal/?start_index=0&end_index=1")
        many = archive.get("/electrophysiology/analogsignal/?start_index=0&end_index=100")
        assert 0 <= len(many.data) - len(few.data) <= 4 * len(many.json["selected"])


class TestPartialDataRequests:
    @pytest.mark.parametrize("type_name", TIMED)
    def test_all_data_related_objects_support_partial_data_requests(self, archive, ids, type_name):
        fields = archive.fields(f"/electrophysiology/{type_name}/{ids[type_name]}?start_index=2&end_index=5")
        for name in TYPES[type_name].array_fields:
            whole = archive.values(fields[name]["data"].partition("?")[0])
            assert archive.values(fields[name]["data"]) == whole[2:5]

    def test_you_may_request_only_a_slice_and_avoid_downloading_of_the_whole_signal(self, archive, signal):
        whole = archive.get(signal["signal"]["data"])
        part = archive.get(signal["signal"]["data"] + "?start_index=100&end_index=110")
        assert whole.content_length - part.content_length == (4000 - 10) * SAMPLES.itemsize

    def test_this_works_for_single_object_requests(self, archive, permalink):
        fields = archive.fields(permalink + "/?start_index=5&end_index=8")
        assert archive.values(fields["signal"]["data"]) == SAMPLES[5:8].tolist()

    def test_this_works_for_multiple_object_requests(self, archive, signal):
        other = archive.add("later", SAMPLES, t_start=(1, "ms"), sampling_rate=(10, "kHz"))
        both = f"id__in={signal['id']},{other['id']}"
        answer = archive.get(f"/electrophysiology/analogsignal/?{both}&start_time=2&end_time=3")
        first, second = (one["fields"] for one in answer.json["selected"])
        assert archive.values(first["signal"]["data"]) == SAMPLES[40:61].tolist()
        assert archive.values(second["signal"]["data"]) == SAMPLES[10:21].tolist()

    @pytest.mark.parametrize(
        ("t_start", "asked"),
        [((0, "ms"), "50"), ((0, "s"), "0.05"), ((0, "us"), "50000"), ((0, "mcs"), "50000"), ((0, "MS"), "50")],
    )
    def test_times_are_calculated_using_the_same_time_unit_as_the_t_start(self, archive, t_start, asked):
        signal = archive.add("unit", SAMPLES, t_start=t_start)
        fields = archive.fields(f"/electrophysiology/analogsignal/{signal['id']}?start_time={asked}")
        assert fields["signal"]["data"].endswith("?start_index=1000&end_index=4000")
        assert fields["t_start"] == {"units": t_start[1], "data": float(asked)}

    @pytest.mark.parametrize(
        ("query", "start", "stop"),
        [
            ("start_time=50", 1000, 4000),
            ("end_time=50", 0, 1001),
            ("duration=50", 0, 1001),
            ("start_index=1000", 1000, 4000),
            ("end_index=1000", 0, 1000),
            ("samples_count=1000", 0, 1000),
        ],
    )
    def test_each_parameter_configures_a_partial_data_response(self, archive, permalink, query, start, stop):
        fields = archive.fields(f"{permalink}?{query}")
        assert fields["signal"]["data"].endswith(f"?start_index={start}&end_index={stop}")
        assert archive.values(fields["signal"]["data"]) == SAMPLES[start:stop].tolist()

    def test_downsample_is_the_number_of_datapoints(self, archive, permalink):
        fields = archive.fields(f"{permalink}?downsample=20")
        assert fields["signal"]["data"].endswith("?downsample=20")
        assert len(archive.values(fields["signal"]["data"])) == 20

    def test_the_downsampling_is_applied_on_top_of_the_selected_data_range(self, archive, permalink):
        fields = archive.fields(f"{permalink}?start_index=1000&end_index=1100&downsample=10")
        points = archive.values(fields["signal"]["data"])
        np.testing.assert_allclose(points, SAMPLES[1000:1100].reshape(10, 10).mean(axis=1), rtol=1e-6)

    @pytest.mark.parametrize(
        ("query", "start", "stop"),
        [("start_time=50&duration=100", 1000, 3001), ("start_index=1000&end_time=150", 1000, 3001)],
    )
    def test_some_reasonable_combinations_of_these_parameters_will_return_a_correct_response(
        self, archive, permalink, query, start, stop
    ):
        link = archive.fields(f"{permalink}?{query}")["signal"]["data"]
        assert archive.values(link) == SAMPLES[start:stop].tolist()

    def test_using_redundant_number_of_parameters_will_lead_to_their_disregard(self, archive, permalink):
        redundant = "samples_count=500&duration=7&start_time=1"
        fields = archive.fields(f"{permalink}?start_index=10&end_index=20&{redundant}")
        assert fields["signal"]["data"].endswith("?start_index=10&end_index=20")

    def test_useless_combinations_may_throw_a_400_bad_request(self, archive, permalink):
        archive.error(f"{permalink}?start_time=100&end_time=50", 400)


class TestTheExample:
    """ "For example, send the following GET request" """

    @pytest.fixture
    def selected(self, archive, permalink):
        (selected,) = archive.get(f"{permalink}/?start_time=50&duration=100&downsample=20").json["selected"]
        return selected

    def test_the_response_names_model_and_permalink(self, selected, signal):
        assert selected["model"] == "neo_api.analogsignal"
        assert selected["permalink"] == f"/electrophysiology/analogsignal/{signal['id']}"
        assert selected["fields"]["id"] == signal["id"]
        assert re.fullmatch("[0-9a-f]{40}", selected["fields"]["guid"])
        assert selected["fields"]["name"] == "signal"

    def test_the_link_asks_for_samples_1000_to_3001_downsampled_to_20(self, selected, signal):
        link = signal["signal"]["data"] + "?start_index=1000&end_index=3001&downsample=20"
        assert selected["fields"]["signal"]["units"] == "mv"
        assert selected["fields"]["signal"]["data"] == link

    def test_t_start_indicates_the_start_of_the_requested_part_but_not_the_full_original_array(self, selected):
        assert selected["fields"]["t_start"] == {"units": "ms", "data": 50}

    def test_sampling_rate_stays_that_of_the_array(self, selected):
        assert selected["fields"]["sampling_rate"] == {"units": "Hz", "data": 20000}

    def test_then_request_an_appropriate_data_slice_using_the_link_in_the_response(self, archive, selected):
        points = archive.values(selected["fields"]["signal"]["data"])
        edges = np.floor(1000 + np.arange(21) * 2001 / 20 + 0.5).astype(int)
        edges[[0, -1]] = 1000, 3001
        expected = [SAMPLES[first:last].mean() for first, last in zip(edges[:-1], edges[1:], strict=True)]
        np.testing.assert_allclose(points, expected, rtol=1e-6)


class TestDataInDifferentFormats:
    def test_by_default_you_get_back_data_as_an_hdf5_file(self, archive, signal):
        answer = archive.get(signal["signal"]["data"])
        assert answer.mimetype == "application/x-hdf5"
        assert answer.data.startswith(b"\x89HDF\r\n\x1a\n")

    def test_there_is_no_other_object_in_the_file_so_accessing_the_first_returns_the_array(self, archive, signal):
        names, values = read_hdf5(archive.get(signal["signal"]["data"]))
        assert len(names) == 1
        np.testing.assert_array_equal(values, SAMPLES)

    def test_an_array_has_a_name_equal_to_its_global_id(self, archive, signal):
        names, _ = read_hdf5(archive.get(signal["signal"]["data"] + "?downsample=20"))
        assert names == [signal["signal"]["guid"]]
        assert re.fullmatch("[0-9a-f]{40}", names[0])

    @pytest.mark.parametrize(
        ("type_name", "field", "dimensions"),
        [
            ("analogsignal", "signal", 1),
            ("analogsignalarray", "signal", 2),
            ("irsaanalogsignal", "signal", 2),
            ("irsaanalogsignal", "times", 1),
            ("spiketrain", "times", 1),
            ("spiketrain", "waveforms", 3),
            ("spike", "waveform", 2),
            ("eventarray", "labels", 1),
            ("eventarray", "times", 1),
            ("epocharray", "labels", 1),
            ("epocharray", "times", 1),
            ("epocharray", "durations", 1),
        ],
    )
    def test_the_dimensions_of_the_array_are_compatible_with_the_object_specification(
        self, archive, ids, type_name, field, dimensions
    ):
        fields = archive.fields(f"/electrophysiology/{type_name}/{ids[type_name]}")
        assert read_hdf5(archive.get(fields[field]["data"]))[1].ndim == dimensions

    def test_provide_format_json_to_get_back_data_in_the_response_body_as_a_list_of_values(self, archive, signal):
        answer = archive.get(signal["signal"]["data"] + "?start_index=1000&end_index=1003&format=json")
        assert answer.mimetype == "application/json"
        assert answer.json == SAMPLES[1000:1003].tolist()

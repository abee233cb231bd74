"""Registering: what becomes of files, the first time and again."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from storage.catalog.files import StoredFile
from tests.archive import Archive

RATE = {"sampling_rate": (1000.0, "Hz")}
FALL = "its times are not sorted: number 1, counted from 0, is earlier than number 0"


@pytest.fixture
def archive(tmp_path, database_url):
    """An archive over each kind of catalog."""
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


def write(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def write_nwb(path, *, spikes=((0.5, 1.5), (), (0.1,)), observed=None, series=("a", "b"), unsorted=False):
    """Write the least that makes an NWB file."""
    with h5py.File(path, "w") as file:
        file.attrs["neurodata_type"], file.attrs["nwb_version"] = "NWBFile", "2.6.0"
        file["session_start_time"] = "2020-03-01T10:00:00+02:00"
        for number, name in enumerate(series):
            group = file.create_group(f"processing/deep/er/{name}")
            group.attrs["neurodata_type"] = "TimeSeries"
            group["data"] = np.arange(10.0) + number
            group["data"].attrs["unit"] = "volts"
            if number:
                group["timestamps"] = file[f"processing/deep/er/{series[0]}/timestamps"]
            else:
                group["timestamps"] = np.arange(10.0)[:: -1 if unsorted else 1] / 8
        if spikes:
            units = file.create_group("units")
            units.attrs["neurodata_type"] = "Units"
            units["id"] = np.arange(len(spikes)) + 7
            units["spike_times"] = np.concatenate([np.array(times, float) for times in spikes])
            units["spike_times_index"] = np.cumsum([len(times) for times in spikes]).astype(np.uint8)
            if observed:
                units["obs_intervals"] = np.array(observed, float)
                units["obs_intervals_index"] = np.arange(len(observed)) + 1
    return path


class TestPlainHdf5:
    def test_one_array_in_the_root_is_a_signal_named_after_the_file(self, archive, tmp_path):
        write(tmp_path / "night 3.h5", x=np.arange(50, dtype=np.int16))
        outcome = archive.register(tmp_path / "night 3.h5", sampling_rate=(20.0, "kHz"), t_start=(5.0, "s"), units="uV")
        assert (outcome.state, outcome.counts) == ("registered", {"analogsignal": 1})
        fields = archive.fields("/electrophysiology/analogsignal/?name=night 3")
        assert fields["sampling_rate"] == {"units": "kHz", "data": 20}
        assert fields["t_start"] == {"units": "s", "data": 5}
        assert fields["signal"]["units"] == "uV" and fields["segment"] is None
        assert archive.values(fields["signal"]["data"]) == list(range(50))

    def test_two_dimensions_are_an_analogsignalarray(self, archive, tmp_path):
        write(tmp_path / "probe.h5", x=np.zeros((5, 3)))
        assert archive.register(tmp_path / "probe.h5", **RATE).counts == {"analogsignalarray": 1}

    def test_an_answer_of_this_service_registers_without_being_told_anything(self, archive, tmp_path):
        told = archive.add("first", np.arange(100.0), t_start=(3, "ms"))
        (tmp_path / "second.h5").write_bytes(archive.get(told["signal"]["data"] + "?start_index=40").data)
        assert archive.register(tmp_path / "second.h5").state == "registered"
        fields = archive.fields("/electrophysiology/analogsignal/?name=second")
        assert fields["t_start"] == {"units": "ms", "data": 5}
        assert fields["sampling_rate"]["data"] == 20000 and fields["signal"]["units"] == "mv"

    @pytest.mark.parametrize(
        ("datasets", "told", "reason"),
        [
            ({"x": [1.0]}, {}, "sampling rate is not known"),
            ({"x": [1.0], "y": [1.0]}, RATE, "2 arrays"),
            ({"group/x": [1.0]}, RATE, "0 arrays and 1 groups"),
            ({}, RATE, "0 arrays"),
            ({"x": ["text"]}, RATE, "not a signal"),
            ({"x": np.zeros((2, 2, 2))}, RATE, "not a signal"),
            ({"x": np.zeros(3, complex)}, RATE, "complex"),
            ({"x": [1.0]}, {"sampling_rate": (0.0, "Hz")}, "not positive"),
        ],
    )
    def test_what_cannot_be_served_is_refused_with_the_reason(self, archive, tmp_path, datasets, told, reason):
        write(tmp_path / "odd.h5", **datasets)
        outcome = archive.register(tmp_path / "odd.h5", **told)
        assert outcome.state == "refused" and outcome.counts == {}
        assert reason in outcome.refusals[0].reason

    def test_what_is_no_hdf5_is_refused(self, archive, tmp_path):
        for name, content in (("text.h5", b"hello"), ("empty.h5", b""), ("cut.h5", b"\x89HDF\r\n\x1a\n" + bytes(40))):
            (tmp_path / name).write_bytes(content)
            outcome = archive.register(tmp_path / name, **RATE)
            assert outcome.state == "refused" and "HDF5" in outcome.refusals[0].reason.upper()
        assert archive.register(tmp_path / "nothing.h5").refusals[0].reason == "nothing.h5 is not in the store"


class TestNwb:
    def test_series_that_link_to_one_dataset_of_timestamps_share_its_datafile(self, archive, tmp_path):
        outcome = archive.register(write_nwb(tmp_path / "linked.nwb"))
        assert outcome.counts["irsaanalogsignal"] == 2 and outcome.refusals == []
        first, second = archive.get("/electrophysiology/irsaanalogsignal/").json["selected"]
        assert first["fields"]["times"]["data"] == second["fields"]["times"]["data"]
        assert first["fields"]["annotations"]["nwb_path"] == "/processing/deep/er/a"
        assert archive.values(second["fields"]["signal"]["data"]) == list(range(1, 11))

    def test_block_and_segment_have_the_date_in_utc_and_the_zone(self, archive, tmp_path):
        archive.register(write_nwb(tmp_path / "dated.nwb"))
        block = archive.fields("/electrophysiology/block/1")
        assert block["filedatetime"] == "2020-03-01 08:00:00" and block["name"] == "dated"
        assert block["annotations"]["session_start_time"] == "2020-03-01T10:00:00+02:00"
        assert block["annotations"]["time_zone"] == "UTC+02:00"

    def test_units_without_observation_intervals(self, archive, tmp_path):
        archive.register(write_nwb(tmp_path / "units.nwb"))
        trains = [one["fields"] for one in archive.get("/electrophysiology/spiketrain/").json["selected"]]
        assert [(one["name"], one["t_start"]["data"], one["t_stop"]["data"]) for one in trains] == [
            ("unit 7", 0, 1.5),
            ("unit 8", 0, 0),
            ("unit 9", 0, 0.1),
        ]
        assert [archive.values(one["times"]["data"]) for one in trains] == [[0.5, 1.5], [], [0.1]]
        assert {one["annotations"]["t_stop_source"] for one in trains} == {"last spike"}

    def test_observation_intervals_bound_the_train(self, archive, tmp_path):
        observed = [[0, 2], [1, 3], [0, 9.5]]
        archive.register(write_nwb(tmp_path / "observed.nwb", observed=observed))
        trains = [one["fields"] for one in archive.get("/electrophysiology/spiketrain/").json["selected"]]
        assert [[one["t_start"]["data"], one["t_stop"]["data"]] for one in trains] == observed
        assert {one["annotations"]["t_stop_source"] for one in trains} == {"obs_intervals"}

    def test_what_cannot_be_served_is_listed_and_the_rest_is_registered(self, archive, tmp_path):
        spikes = ((0.5, 0.2), (0.3, float("nan")), (0.1, 0.4))
        outcome = archive.register(write_nwb(tmp_path / "partly.nwb", spikes=spikes, unsorted=True))
        assert outcome.state == "registered"
        assert outcome.counts == {"block": 1, "segment": 1, "unit": 2, "spiketrain": 2}
        assert sorted((refusal.path, refusal.reason) for refusal in outcome.refusals) == [
            ("/processing/deep/er/a", FALL),
            ("/processing/deep/er/b", FALL),
            ("/units[1]", "1 of its times are not numbers; the first is number 1, counted from 0"),
        ]
        again = archive.register(tmp_path / "partly.nwb")
        assert again.state == "unchanged" and len(again.refusals) == 3


class TestAgain:
    def test_registering_again_does_nothing(self, archive, tmp_path):
        path = write_nwb(tmp_path / "same.nwb")
        first = archive.register(path)
        before = archive.get("/electrophysiology/irsaanalogsignal/").data
        again = archive.register(path)
        assert (again.state, again.counts) == ("unchanged", first.counts)
        assert archive.get("/electrophysiology/irsaanalogsignal/").data == before

    def test_a_changed_file_is_updated_under_the_same_ids_with_new_guids(self, archive, tmp_path):
        path = write(tmp_path / "grown.h5", x=np.arange(10.0))
        archive.register(path, **RATE)
        before = archive.fields("/electrophysiology/analogsignal/?name=grown")
        write(path, x=np.arange(20.0))
        assert archive.register(path, **RATE).state == "updated"
        after = archive.fields("/electrophysiology/analogsignal/?name=grown")
        assert after["id"] == before["id"] and after["signal"]["data"] == before["signal"]["data"]
        assert after["guid"] != before["guid"] and after["signal"]["guid"] != before["signal"]["guid"]
        assert archive.values(after["signal"]["data"]) == list(range(20))

    def test_other_options_change_the_object_but_not_the_guid_of_its_array(self, archive, tmp_path):
        path = write(tmp_path / "retold.h5", x=np.arange(10.0))
        archive.register(path, **RATE)
        before = archive.fields("/electrophysiology/analogsignal/1")
        archive.register(path, sampling_rate=(2000.0, "Hz"), units="pA")
        after = archive.fields("/electrophysiology/analogsignal/1")
        assert after["sampling_rate"]["data"] == 2000 and after["signal"]["units"] == "pA"
        assert after["guid"] != before["guid"] and after["signal"]["guid"] == before["signal"]["guid"]

    def test_what_a_file_no_longer_has_is_archived_and_comes_back_with_it(self, archive, tmp_path):
        path = write_nwb(tmp_path / "shrinking.nwb")
        archive.register(path)
        write_nwb(path, series=("a",))
        assert archive.register(path).counts["irsaanalogsignal"] == 1
        archive.error("/electrophysiology/irsaanalogsignal/2", 404)
        write_nwb(path)
        assert archive.register(path).counts["irsaanalogsignal"] == 2
        assert archive.fields("/electrophysiology/irsaanalogsignal/2")["name"] == "b"

    def test_what_an_older_version_read_is_read_again_under_the_same_ids(self, archive, tmp_path):
        path = write_nwb(tmp_path / "old.nwb")
        archive.register(path)
        before = archive.fields("/electrophysiology/spiketrain/1")
        with archive.services.transaction() as session:
            (file,) = session.query(StoredFile)
            file.options = {name: value for name, value in file.options.items() if name != "reader"}
        assert archive.register(path).state == "updated"
        assert archive.fields("/electrophysiology/spiketrain/1")["guid"] == before["guid"]
        assert archive.register(path).state == "unchanged"

    def test_owner_and_safety_level_reach_everything(self, archive, tmp_path):
        path = write_nwb(tmp_path / "secret.nwb")
        archive.register(path, safety_level=3)
        for type_name in ("block", "segment", "irsaanalogsignal", "unit", "spiketrain"):
            assert archive.get(f"/electrophysiology/{type_name}/").json["selected"] == []
        archive.register(path, safety_level=1)
        assert len(archive.get("/electrophysiology/spiketrain/").json["selected"]) == 3


class TestHostileNwb:
    """Every part that cannot be served is listed; nothing keeps the rest from being registered."""

    def served(self, archive, path, change):
        with h5py.File(write_nwb(path), "r+") as file:
            change(file)
        outcome = archive.register(path)
        assert outcome.state == "registered"
        return {refusal.path: refusal.reason for refusal in outcome.refusals}, outcome.counts

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ([2, 2, 99], "does not rise"),
            ([2, 1, 3], "does not rise"),
            ([-1, 2, 3], "does not rise"),
            ([0.5, 1.5], "whole numbers"),
            (["a"], "whole numbers"),
        ],
    )
    def test_an_index_of_spikes_that_leads_nowhere(self, archive, tmp_path, values, reason):
        def change(file):
            del file["units/spike_times_index"]
            file["units/spike_times_index"] = values

        refusals, counts = self.served(archive, tmp_path / "x.nwb", change)
        assert reason in refusals["/units"] and "unit" not in counts and counts["irsaanalogsignal"] == 2

    @pytest.mark.parametrize(
        "timestamps", [np.arange(9.0), np.zeros((10, 2)), ["a"] * 10, np.full(10, np.nan), np.arange(10.0)[::-1]]
    )
    def test_timestamps_that_are_none(self, archive, tmp_path, timestamps):
        def change(file):
            del file["processing/deep/er/a/timestamps"]
            file["processing/deep/er/a/timestamps"] = timestamps

        refusals, counts = self.served(archive, tmp_path / "x.nwb", change)
        assert "/processing/deep/er/a" in refusals and counts["unit"] == 3

    @pytest.mark.parametrize(
        ("start", "rate"), [(0, 0), (0, -1), (0, float("nan")), (float("inf"), 1), (0, "fast"), (0, None)]
    )
    def test_a_rate_that_is_none(self, archive, tmp_path, start, rate):
        def change(file):
            group = file["processing/deep/er/a"]
            group["starting_time"] = start
            if rate is not None:
                group["starting_time"].attrs["rate"] = rate

        refusals, counts = self.served(archive, tmp_path / "x.nwb", change)
        assert list(refusals) == ["/processing/deep/er/a"] and counts["irsaanalogsignal"] == 1

    def test_links_that_lead_nowhere_elsewhere_or_in_circles(self, archive, tmp_path):
        def change(file):
            group = file["processing/deep/er"]
            group["circle"] = file["processing"]
            group["dangling"] = h5py.SoftLink("/nowhere")
            group["outside"] = h5py.ExternalLink("/etc/passwd", "/x")
            del group["a/data"], group["b/data"]
            group["a/data"] = h5py.ExternalLink("other.h5", "/data")
            group["b/data"] = h5py.SoftLink("/nowhere")

        refusals, _ = self.served(archive, tmp_path / "x.nwb", change)
        sentence = "data lie in {}, which this file links to; register that file"
        assert refusals["/processing/deep/er/a"] == "its " + sentence.format("other.h5")
        assert refusals["/processing/deep/er/outside"] == "its " + sentence.format("/etc/passwd")

    def test_names_and_texts_of_any_kind(self, archive, tmp_path):
        def change(file):
            group = file["processing/deep/er"]
            group.move("a", "läb 🐭\nnext")
            group.id.links.move(b"b", group.id, b"\xff\xfe")
            group["läb 🐭\nnext"].attrs["description"] = "x" * 10_000
            group["läb 🐭\nnext"].attrs["comments"] = np.array([1, 2, 3])
            del file["session_start_time"]
            file["session_start_time"] = "0001-01-01T00:00:00+14:00"

        refusals, counts = self.served(archive, tmp_path / "x.nwb", change)
        assert refusals == {} and counts["irsaanalogsignal"] == 2
        names = {one["fields"]["name"] for one in archive.get("/electrophysiology/irsaanalogsignal/").json["selected"]}
        assert r"läb 🐭\nnext" in names  # on one line
        assert archive.register(tmp_path / "x.nwb").state == "unchanged"

    def test_series_without_data_or_times_are_listed(self, archive, tmp_path):
        def change(file):
            del file["processing/deep/er/a/timestamps"], file["processing/deep/er/b/data"]

        refusals, _ = self.served(archive, tmp_path / "x.nwb", change)
        assert "neither" in refusals["/processing/deep/er/a"] and refusals["/processing/deep/er/b"] == "it has no data"

    def test_observation_intervals_that_are_no_numbers_do_not_bound(self, archive, tmp_path):
        path = write_nwb(tmp_path / "x.nwb", observed=[[0, float("nan")]] * 3)
        archive.register(path)
        train = archive.fields("/electrophysiology/spiketrain/1")
        assert train["annotations"]["t_stop_source"] == "last spike" and train["t_stop"]["data"] == 1.5

    @pytest.mark.parametrize("conversion", [float("nan"), float("inf"), "x"])
    def test_a_conversion_that_is_no_number(self, archive, tmp_path, conversion):
        refusals, _ = self.served(
            archive,
            tmp_path / "x.nwb",
            lambda file: file["processing/deep/er/a/data"].attrs.update(conversion=conversion),
        )
        assert "conversion" in refusals["/processing/deep/er/a"]

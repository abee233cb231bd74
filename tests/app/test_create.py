"""Objects of every type, created through the API and read back."""

from __future__ import annotations

import hashlib
import io

import h5py
import numpy as np
import pytest

from tests.archive import Archive, add_every_type
from tests.bodies import ARRAYS, BODIES, LABELS, PARENTS, array, created, faults
from tests.storage.ingest.test_register import write_nwb


@pytest.fixture
def archive(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)
    archive.add_user("anne")
    return archive


@pytest.fixture
def anne(archive):
    return archive.logged_in("anne")


def got(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_every_type_with_its_arrays_inline_is_read_back_as_it_was_sent(anne):
    links = {}
    for type_name, body in BODIES.items():
        parents = {name: links[name] for name in PARENTS.get(type_name, ())}
        if type_name == "unit":
            parents = {"recordingchannel": [links["recordingchannel"]]}
        answer = anne.post(f"/electrophysiology/{type_name}/", json={**body, **parents})
        assert answer.status_code == 201, answer.text
        document = answer.json
        assert document["objects_selected"] == 1 and document["logged_in_as"] == "anne"
        links[type_name] = document["selected"][0]["permalink"]
        assert answer.headers["Location"] == f"{links[type_name]}/"
        (entry,) = got(anne, answer.headers["Location"])["selected"]
        assert entry == document["selected"][0]
        fields = entry["fields"]
        assert fields["owner"] == "/user/1" and fields["safety_level"] == body.get("safety_level", 3)
        assert len(fields["guid"]) == 40 and answer.headers["ETag"] == f'"{fields["guid"]}"'
        for name, sent in {**body, **parents}.items():
            if name in ARRAYS:
                assert fields[name]["units"] == sent["units"]
                assert got(anne, f"{fields[name]['data']}?format=json") == sent["data"]
            else:
                assert fields[name] == sent, (type_name, name)
    (block,) = got(anne, links["block"])["selected"]
    assert block["fields"]["segment_set"] == [links["segment"]]


def test_every_type_with_linked_datafiles_is_read_back(archive, anne):
    ids = add_every_type(archive)
    for type_name, id_ in ids.items():
        there = archive.fields(f"/electrophysiology/{type_name}/{id_}")
        body = {name: value for name, value in there.items() if name in BODIES[type_name] or name == "annotations"}
        fields = created(anne, type_name, **body)
        for name in body:
            assert fields[name] == there[name], (type_name, name)
        assert fields["guid"] != there["guid"] and fields["segment"] is None if "segment" in fields else True


def test_a_datafile_is_named_by_its_id_or_permalink(archive, anne):
    archive.add("one", np.arange(3.0), units="mV")
    for data in (1, "1", "/datafiles/1", "/datafiles/1/"):
        for sent in (data, {"data": data}):
            fields = created(anne, "analogsignal", signal=sent)
            assert fields["signal"]["data"] == "/datafiles/1" and fields["signal"]["units"] == "mV"


def test_integers_stay_integers_and_null_is_no_number(anne):
    for values, dtype in (
        ([1, -(2**63), 2**63 - 1], "int64"),
        ([1, 2.5], "float64"),
        ([2**53, None, -0.5], "float64"),
        ([], "float64"),
        ([1e-320, 1.7976931348623157e308], "float64"),
    ):
        fields = created(anne, "analogsignal", signal=array(values, "mV"))
        assert fields["signal"]["dtype"] == dtype and fields["signal"]["shape"] == [len(values)]
        assert got(anne, f"{fields['signal']['data']}?format=json") == values


def test_the_file_of_an_inline_array_is_hdf5_with_one_array_named_by_its_guid(anne):
    fields = created(anne, "eventarray")
    for name, expected in (("times", [1, 2, 2, 5, 9]), ("labels", LABELS)):
        link = fields[name]["data"]
        content = anne.get(f"{link}/download").data
        info = got(anne, f"{link}/info")["selected"][0]["fields"]
        assert info["sha256"] == hashlib.sha256(content).hexdigest() and info["nbytes"] == len(content)
        assert info["owner"] == "/user/1" and info["state"] == "ready" and info["safety_level"] == 3
        for file_content in (content, anne.get(link).data):
            with h5py.File(io.BytesIO(file_content)) as file:
                assert list(file) == [fields[name]["guid"]]
                dataset = file[fields[name]["guid"]]
                found = dataset.asstr()[()].tolist() if name == "labels" else dataset[()].tolist()
                assert found == expected


def test_times_that_were_sent_are_searched(anne):
    times = (np.arange(20_000) / 8).tolist()
    fields = created(anne, "spiketrain", times=array(times, "s"), waveforms=None, t_stop={"data": 2500, "units": "s"})
    (entry,) = got(anne, f"/electrophysiology/spiketrain/{fields['id']}?start_time=1999&end_time=2000")["selected"]
    link = entry["fields"]["times"]["data"]
    assert got(anne, f"{link}&format=json") == times[15992:16001]


def test_a_body_of_the_most_values_that_may_be_sent(anne):
    values = (np.arange(100_000) / 7).tolist()
    fields = created(anne, "analogsignal", signal=array(values, "mV"))
    assert got(anne, f"{fields['signal']['data']}?format=json") == values
    found = faults(anne, "/electrophysiology/analogsignal/", {**BODIES["analogsignal"], "signal": [*values, 1]})
    assert found == {"signal": ["has more than 100,000 values; upload a file to /datafiles/ instead"]}


def test_an_alias_creates_its_type(anne):
    answer = anne.post("/electrophysiology/irregularlysampledsignal", json=BODIES["irsaanalogsignal"])
    assert answer.status_code == 201 and answer.json["selected"][0]["model"] == "neo_api.irsaanalogsignal"


def test_dates_are_told_in_utc(anne):
    for sent, told in (
        ("2012-07-26T19:16:07+02:00", "2012-07-26 17:16:07"),
        ("2012-07-26T17:16:07Z", "2012-07-26 17:16:07"),
        ("2012-07-26 17:16:07.9", "2012-07-26 17:16:07"),
        ("2012-07-26", "2012-07-26 00:00:00"),
    ):
        assert created(anne, "block", filedatetime=sent)["filedatetime"] == told


def test_what_is_private_stays_so_and_what_is_public_is_for_all(archive, anne):
    archive.add_user("bob")
    bob = archive.logged_in("bob")
    for level, statuses in ((3, (401, 403)), (2, (401, 200)), (1, (200, 200))):
        fields = created(anne, "spiketrain", safety_level=level)
        for address in (
            f"/electrophysiology/spiketrain/{fields['id']}",
            fields["times"]["data"],
            fields["waveforms"]["data"],
            f"{fields['times']['data']}/download",
        ):
            assert tuple(client.get(address).status_code for client in (archive.client, bob)) == statuses, address


def test_linking_what_somebody_else_made_readable_publishes_nothing(archive, anne):
    archive.add_user("bob")
    bob = archive.logged_in("bob")
    link = created(anne, "analogsignal", safety_level=2)["signal"]["data"]
    fields = created(bob, "analogsignal", signal={"data": link}, safety_level=1)
    assert archive.client.get(f"/electrophysiology/analogsignal/{fields['id']}").status_code == 200
    assert archive.client.get(link).status_code == 401
    anne_s = created(anne, "analogsignal", signal={"data": link}, safety_level=1)
    assert archive.client.get(f"/electrophysiology/analogsignal/{anne_s['id']}").status_code == 200
    assert archive.client.get(link).status_code == 200  # its owner may show it


def test_nobody_creates_anything(archive):
    for type_name, body in BODIES.items():
        answer = archive.client.post(f"/electrophysiology/{type_name}/", json=body)
        assert answer.status_code == 401 and answer.json["message_type"] == "login_needed"
    assert archive.client.post("/electrophysiology/block/", data=b"\xff").status_code == 401


def test_times_in_float32_may_reach_the_end_of_their_train_as_it_is_written(archive, anne):
    path = archive.folder / "times.nwb"
    write_nwb(path, spikes=(), series=())
    with h5py.File(path, "r+") as file:
        group = file.create_group("series")
        group.attrs["neurodata_type"] = "TimeSeries"
        group["data"], group["timestamps"] = np.arange(3.0), np.array([0.1, 0.2, 0.7], np.float32)
    archive.register(path)
    link = archive.fields("/electrophysiology/irsaanalogsignal/1")["times"]["data"]
    window = {"t_start": {"data": 100, "units": "ms"}, "t_stop": {"data": 0.7, "units": "s"}}
    sent = {"times": {"data": link}, "waveforms": None}
    assert created(anne, "spiketrain", **window, **sent)["times"]["data"] == link
    late = {**window, "t_start": {"data": 100.1, "units": "ms"}}
    assert "before t_start" in faults(anne, "/electrophysiology/spiketrain/", {**late, **sent})["times"][0]


def test_each_end_of_the_window_of_a_slice_is_told_in_its_own_unit(anne):
    window = {"t_start": array(100, "ms"), "t_stop": array(2.5, "s")}
    fields = created(anne, "spiketrain", **window, times=array([0.2, 0.5, 1, 2], "s"), waveforms=None)
    address = f"/electrophysiology/spiketrain/{fields['id']}/"
    for asked, start, stop in (
        ("start_time=400&end_time=1500", 400, 1.5),
        ("end_time=9000", 100, 2.5),
        ("start_time=400&duration=300", 400, 0.7),
        ("start_index=1&end_index=3", 500, 1),
    ):
        (found,) = anne.get(f"{address}?{asked}").json["selected"]
        assert found["fields"]["t_start"] == array(start, "ms") and found["fields"]["t_stop"] == array(stop, "s")

"""What an object may refer to: datafiles and parents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import h5py
import numpy as np
import pytest

from storage.catalog.base import ARCHIVED
from storage.catalog.files import CHECKING, REFUSED, Datafile
from tests.archive import Archive
from tests.bodies import array, created, faults, wrong
from tests.storage.ingest.test_register import write_nwb


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("archive"))
    archive.add_user("anne")
    archive.add_user("bob")
    return archive


@pytest.fixture(scope="module")
def anne(archive):
    return archive.logged_in("anne")


@pytest.fixture(scope="module")
def bob(archive):
    return archive.logged_in("bob")


class TestLinkedDatafiles:
    def refused(self, client, link, field="signal", type_name="analogsignal", **more):
        body = {field: {"data": link, **more}}
        return wrong(client, type_name, **body)[field][0]

    def test_one_that_is_not_there_or_not_for_the_caller(self, archive, anne, bob):
        private = created(anne, "analogsignal")["signal"]["data"]
        number = int(private.rpartition("/")[2])
        assert self.refused(bob, private) == f"there is no datafile {number} that you may read"
        assert self.refused(bob, 10**9) == f"there is no datafile {10**9} that you may read"
        self.set(archive, private, current_state=ARCHIVED)
        assert self.refused(anne, private) == f"there is no datafile {number} that you may read"

    @pytest.mark.parametrize(("state", "reason"), [(CHECKING, None), (REFUSED, "it has no array")])
    def test_one_that_is_not_ready(self, archive, anne, state, reason):
        link = created(anne, "analogsignal")["signal"]["data"]
        self.set(archive, link, state=state, reason=reason)
        said = self.refused(anne, link)
        assert state in said and (reason or "") in said

    def test_one_of_another_dimension_or_kind(self, archive, anne):
        flat = created(anne, "analogsignal")["signal"]["data"]
        assert "dimension" in self.refused(anne, flat, type_name="analogsignalarray")
        assert "dimension" in self.refused(anne, flat, "waveforms", "spiketrain")
        labels = created(anne, "eventarray")["labels"]["data"]
        assert "has texts" in self.refused(anne, labels)
        assert "has numbers" in self.refused(anne, flat, "labels", "eventarray")

    def test_times_that_nobody_found_sorted(self, anne):
        signal = created(anne, "analogsignal", signal=array([1, 2, 3, 4, 5], "s"))["signal"]["data"]
        said = self.refused(anne, signal, "times", "eventarray")
        assert said == "cannot be times: its values are not sorted, or not finite numbers"
        empty = created(anne, "analogsignal", signal=array([], "s"))["signal"]["data"]
        assert created(anne, "eventarray", times=empty, labels=[])["times"]["shape"] == [0]

    def test_rows_of_a_dataset_of_times_that_are_sorted_only_one_by_one(self, archive, anne):
        path = write_nwb(archive.folder / "runs.nwb", series=())
        with h5py.File(path, "r+") as file:
            group = file.create_group("acquisition/same")
            group.attrs["neurodata_type"] = "TimeSeries"
            group["data"] = file["units/spike_times"]
            group["starting_time"] = 0.0
            group["starting_time"].attrs["rate"] = 1.0
        archive.register(path)
        signal = archive.fields("/electrophysiology/analogsignal/?name=same")["signal"]
        values = np.array(archive.values(signal["data"]))
        said = wrong(anne, "eventarray", times=array(signal["data"], "s"), labels=["a"] * len(values))
        assert (np.diff(values) < 0).any() and "not sorted" in said["times"][0]

    def test_its_unit_is_set_or_spelled_by_its_owner_only(self, archive, anne, bob):
        link = created(anne, "analogsignal", safety_level=1)["signal"]["data"]
        assert "is in mV, not in nA; its owner corrects that on" in self.refused(anne, link, units="nA")
        assert "is in mV, not in nA" in self.refused(bob, link, units="nA")
        etag = anne.get(link).headers["ETag"]
        assert created(anne, "analogsignal", signal=array(link, "MV"))["signal"]["units"] == "MV"
        assert anne.get(link).headers["ETag"] != etag
        assert created(bob, "analogsignal", signal=array(link, "mV"))["signal"]["units"] == "MV"
        self.set(archive, link, units=None)
        assert "has no unit" in self.refused(anne, link)
        assert "only its owner" in self.refused(bob, link, units="mV")
        assert created(anne, "analogsignal", signal=array(link, "uV"))["signal"]["units"] == "uV"
        assert created(bob, "analogsignal", signal=array(link, "mcV"))["signal"]["units"] == "uV"

    def test_its_owner_corrects_a_unit_while_one_object_has_it(self, archive, anne, bob):
        fields = created(anne, "analogsignal", safety_level=1)
        address, link = f"/electrophysiology/analogsignal/{fields['id']}/", fields["signal"]["data"]
        self.set(archive, link, last_modified=datetime(2020, 1, 1))
        answer = anne.post(address, json={"signal": {"units": "nA"}})
        told = anne.get(f"{link}/info/").json["selected"][0]["fields"]
        assert told["units"] == "nA" and not told["last_modified"].startswith("2020")
        assert answer.json["selected"][0]["fields"]["signal"]["units"] == "nA"
        assert "is in nA" in self.refused(anne, link, units="mV"), "a new object corrects nothing"
        theirs = created(bob, "analogsignal", signal={"data": link})
        assert theirs["signal"]["units"] == "nA"
        for unit in ("Mv", "mV/s", "%", "counts", "mv", "microvolt", "uV"):
            assert anne.post(address, json={"signal": {"units": unit}}).status_code == 200
        assert list(faults(bob, f"/electrophysiology/analogsignal/{theirs['id']}/", {"signal": {"units": "nA"}}))
        second = created(anne, "analogsignal", signal={"data": link})
        assert list(faults(anne, address, {"signal": {"data": link, "units": "mV"}})) == ["signal"]
        assert anne.delete(f"/electrophysiology/analogsignal/{second['id']}/").status_code == 200
        assert anne.post(address, json={"signal": {"data": link, "units": "mV"}}).status_code == 200
        assert wrong(anne, "analogsignal", signal={"units": "mV"}) == {"signal": ["has a unit but no data"]}

    def test_one_that_its_owner_shares_by_an_object_is_shown_in_others_objects(self, archive, anne, bob):
        link = created(anne, "spiketrain", waveforms=None)["times"]["data"]
        shared = created(anne, "spiketrain", times={"data": link}, waveforms=None, safety_level=1)
        assert archive.get(f"{link}/download").status_code == 401 and bob.get(link).status_code == 200
        theirs = created(bob, "spiketrain", times={"data": link}, waveforms=None)
        address = f"/electrophysiology/spiketrain/{theirs['id']}/"
        assert theirs["times"]["units"] == "S" and theirs["times"]["shape"] == [5]
        assert bob.get(f"{address}?start_time=0.15").status_code == 200
        assert bob.post(address, json={"t_stop": array(2.5, "s")}).status_code == 200
        anne.delete(f"/electrophysiology/spiketrain/{shared['id']}/")
        assert bob.get(f"{address}?start_time=0.15").status_code == 403
        assert bob.get(address).json["selected"][0]["fields"]["times"] == {"units": None, "data": link}

    def test_a_guid_that_it_has_no_more(self, anne):
        signal = created(anne, "analogsignal")["signal"]
        assert created(anne, "analogsignal", signal=signal)["signal"] == signal
        assert "by now" in self.refused(anne, signal["data"], guid="0" * 40)

    def set(self, archive, link, **columns: Any):
        with archive.services.transaction() as session:
            row = session.get(Datafile, int(link.rpartition("/")[2]))
            for name, value in columns.items():
                setattr(row, name, value)


class TestParents:
    def test_by_id_permalink_or_alias(self, anne):
        id_ = created(anne, "block")["id"]
        for parent in (id_, str(id_), f"/electrophysiology/block/{id_}", f"/electrophysiology/block/{id_}/"):
            assert created(anne, "segment", block=parent)["block"] == f"/electrophysiology/block/{id_}"
        assert created(anne, "segment", block=None)["block"] is None

    @pytest.mark.parametrize(
        "parent", [0, -1, 10**9, 2**63, 10**30, 1.0, True, [], "x", "/electrophysiology/segment/1"]
    )
    def test_what_is_none(self, anne, parent):
        assert list(wrong(anne, "segment", block=parent)) == ["block"]

    def test_of_others(self, anne, bob):
        private, public = created(anne, "block")["id"], created(anne, "block", safety_level=1)["id"]
        assert wrong(bob, "segment", block=private) == {"block": [f"there is no block {private} that you may read"]}
        said = wrong(bob, "segment", block=public)["block"][0]
        assert said == f"block {public} is not yours: only its owner may add to it"

    def test_archived(self, anne):
        id_ = created(anne, "block")["id"]
        assert anne.delete(f"/electrophysiology/block/{id_}/").status_code == 200
        assert list(wrong(anne, "segment", block=id_)) == ["block"]

    @pytest.mark.parametrize("several", [None, 1, "1", [None], [[1]], [10**9], ["x"], list(range(1, 1002))])
    def test_of_units(self, anne, several):
        assert list(wrong(anne, "unit", recordingchannel=several)) == ["recordingchannel"]

    def test_a_unit_has_several(self, anne):
        ids = [created(anne, "recordingchannel")["id"] for _ in range(3)]
        links = [f"/electrophysiology/recordingchannel/{id_}" for id_ in ids]
        assert created(anne, "unit", recordingchannel=[links[2], ids[0]])["recordingchannel"] == [links[0], links[2]]
        assert list(wrong(anne, "unit", recordingchannel=[ids[0], links[0]])) == ["recordingchannel"]


def test_an_array_that_its_owner_made_private_again_tells_nothing_through_others_objects(archive, anne, bob):
    theirs = created(anne, "spiketrain", safety_level=2)
    window = {"t_start": array(0, "s"), "t_stop": array(5, "s")}
    mine = created(bob, "spiketrain", **window, times=theirs["times"]["data"], waveforms=None, safety_level=1)
    address = f"/electrophysiology/spiketrain/{mine['id']}/"
    assert bob.get(f"{address}?start_time=0.15").status_code == 200
    assert archive.client.get(f"{address}?start_time=0.15").status_code == 401, "nor are friends everybody"
    assert anne.post(f"/electrophysiology/spiketrain/{theirs['id']}/", json={"safety_level": 3}).status_code == 200
    link = theirs["times"]["data"]
    for client, status in ((archive.client, 401), (bob, 403)):
        (shown,) = client.get(address).json["selected"]
        assert shown["fields"]["times"] == {"units": None, "data": link}
        for asked in ("start_time=0.15", "start_index=1", "downsample=2", "format=json"):
            assert client.get(f"{address}?{asked}").status_code == status
        listed = client.get(f"/electrophysiology/spiketrain/?id__in={mine['id']}&start_time=0.15").json["selected"][0]
        assert listed["fields"]["times"]["data"] is None and set(listed["fields"]["times"]) == {
            "units",
            "data",
            "reason",
        }
        assert client.get(link).status_code == status
    told = faults(bob, address, {"t_stop": array(0.001, "s")})
    assert "not yours to read any more" in told["times"][0]
    assert anne.get(f"{address}?start_time=0.15").status_code == 200


def test_a_hidden_array_does_not_tell_its_length(anne, bob):
    theirs = created(anne, "spiketrain", safety_level=2)
    window = {"t_start": array(0, "s"), "t_stop": array(5, "s")}
    mine = created(bob, "spiketrain", **window, times=theirs["times"]["data"], waveforms=None)
    anne.post(f"/electrophysiology/spiketrain/{theirs['id']}/", json={"safety_level": 3})
    for n_spikes in (1, 5):
        waveforms = {"waveforms": array([[[1.0]]] * n_spikes, "mV")}
        told = faults(bob, f"/electrophysiology/spiketrain/{mine['id']}/", waveforms)
        assert list(told) == ["times"] and "not yours to read any more" in told["times"][0]


class TestOneArrayInTwoFields:
    @pytest.fixture
    def link(self, anne):
        fields = created(anne, "irsaanalogsignal")
        anne.delete(f"/electrophysiology/irsaanalogsignal/{fields['id']}/")
        return fields["times"]["data"]

    def test_has_one_unit(self, archive, anne, link):
        TestLinkedDatafiles.set(self, archive, link, units=None)
        both = {"times": array(link, "s"), "signal": array(link, "mV")}
        assert wrong(anne, "irsaanalogsignal", **both) == {"times": ["is the same array as signal, which is in mV"]}

    def test_is_corrected_for_neither(self, anne, link):
        fields = created(anne, "irsaanalogsignal", times=array(link, "s"), signal=array(link, "s"))
        address = f"/electrophysiology/irsaanalogsignal/{fields['id']}/"
        for name in ("times", "signal"):
            assert list(faults(anne, address, {name: {"units": "ms" if name == "times" else "mV"}})) == [name]
        assert anne.get(f"{address}?start_index=1").status_code == 200


@pytest.mark.parametrize("unit", ["mV" + " " * 50, " mV", "mV\r\n\x0b", "s\n", "m" * 41, ""])
def test_a_unit_is_nothing_but_a_unit(anne, unit):
    assert list(wrong(anne, "analogsignal", signal=array([1.0], unit))) == ["signal"]
    assert list(wrong(anne, "irsaanalogsignal", times=array([1.0] * 5, unit))) == ["times"]
    assert list(wrong(anne, "analogsignal", t_start=array(0, unit))) == ["t_start"]
    assert list(wrong(anne, "analogsignal", sampling_rate=array(1, unit))) == ["sampling_rate"]

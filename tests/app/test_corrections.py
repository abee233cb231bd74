"""What a person changed of what a file says stays, until they say otherwise."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from storage.ingest.places import url_of
from storage.ingest.register import Options, register
from tests.archive import Archive
from tests.bodies import array, faults
from tests.storage.ingest.test_register import write_nwb


@pytest.fixture
def archive(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)
    archive.add_user("anne")
    return archive


@pytest.fixture
def anne(archive):
    return archive.logged_in("anne")


def at(fields):
    return f"/electrophysiology/{fields['type']}/{fields['id']}/"


def read(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.json["selected"][0]["fields"]


def changed(client, address, body):
    answer = client.post(address, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json["selected"][0]["fields"]


def test_a_correction_stays_when_the_file_changes_and_what_was_not_corrected_follows_the_file(archive, anne):
    signal = archive.add("rat", np.arange(3.0), owner="anne", client=anne)
    fields = changed(anne, at(signal), {"name": "mine", "t_start": array(7, "ms")})
    assert fields["corrections"] == ["name", "t_start"]
    archive.add("rat", np.arange(4.0), owner="anne", client=None, sampling_rate=(5, "kHz"), t_start=(1, "s"))
    fields = read(anne, at(signal))
    assert (fields["name"], fields["t_start"]) == ("mine", array(7, "ms"))
    assert fields["sampling_rate"] == array(5, "kHz") and fields["signal"]["shape"] == [4]
    assert fields["corrections"] == ["name", "t_start"]


def test_taking_back_gives_at_once_what_the_file_says_by_now(archive, anne):
    signal = archive.add("rat", np.arange(3.0), owner="anne", client=anne)
    changed(anne, at(signal), {"name": "mine", "t_start": array(7, "ms"), "annotations": {"a": 1}})
    archive.add("rat", np.arange(4.0), owner="anne", client=None, t_start=(2, "s"))
    fields = changed(anne, at(signal), {"corrections": ["name"]})
    assert (fields["name"], fields["t_start"]) == ("mine", array(2, "s"))
    assert fields["annotations"] == signal["annotations"] and fields["corrections"] == ["name"]
    fields = changed(anne, at(signal), {"corrections": None})
    assert fields["name"] == "rat" and "corrections" not in fields
    assert changed(anne, at(signal), {"corrections": []}) == fields


def test_what_was_read_with_its_corrections_can_be_sent_back(archive, anne):
    signal = archive.add("rat", np.arange(3.0), owner="anne", client=anne)
    changed(anne, at(signal), {"name": "mine"})
    fields = read(anne, at(signal))
    assert changed(anne, at(signal), fields) == fields


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"corrections": ["t_start"]}, "corrected are name"),
        ({"corrections": "name"}, "not a list"),
        ({"corrections": [1]}, "not a list"),
        ({"corrections": [], "name": "other"}, "taken back at once"),
    ],
)
def test_what_cannot_be_taken_back_is_told(archive, anne, sent, said):
    signal = archive.add("rat", np.arange(3.0), owner="anne", client=anne)
    changed(anne, at(signal), {"name": "mine"})
    (reasons,) = faults(anne, at(signal), sent).values()
    assert said in reasons[0]


def test_nothing_is_corrected_of_what_no_file_says(anne):
    made = anne.post("/electrophysiology/block/", json={"name": "a block"}).json["selected"][0]["fields"]
    fields = changed(anne, f"/electrophysiology/block/{made['id']}/", {"name": "another"})
    assert "corrections" not in fields


def test_links_levels_and_archived_objects_stay_as_persons_left_them(archive, anne, tmp_path):
    path = write_nwb(tmp_path / "a.nwb")
    archive.register(path, owner="anne", safety_level=3)
    own = anne.post("/electrophysiology/segment/", json={"name": "mine"}).json["selected"][0]["fields"]
    first, second = "/electrophysiology/irsaanalogsignal/1/", "/electrophysiology/irsaanalogsignal/2/"
    changed(anne, first, {"segment": own["id"], "safety_level": 1})
    assert anne.delete(second).status_code == 200
    with h5py.File(path, "r+") as file:
        file["processing/deep/er/a/data"][0] = 99
    assert archive.register(path, owner="anne", safety_level=3).state == "updated"
    fields = read(anne, first)
    assert fields["segment"] == f"/electrophysiology/segment/{own['id']}" and fields["safety_level"] == 1
    assert fields["corrections"] == ["safety_level", "segment"]
    archive.error(second, 404)
    fields = changed(anne, first, {"corrections": ["safety_level"]})
    assert fields["segment"] == "/electrophysiology/segment/1"


def test_a_unit_that_its_owner_corrected_stays(archive, anne):
    signal = archive.add("rat", np.arange(3.0), units="mV", owner="anne", client=anne)
    link = {"data": signal["signal"]["data"], "units": "uV"}
    assert changed(anne, at(signal), {"signal": link})["signal"]["units"] == "uV"
    archive.add("rat", np.arange(4.0), units="mV", owner="anne", client=None)
    fields = read(anne, at(signal))
    assert fields["signal"]["units"] == "uV" and fields["corrections"] == ["signal"]


def test_a_unit_is_taken_back_with_the_array_that_has_it(archive, anne):
    signal = archive.add("rat", np.arange(3.0), units="mV", owner="anne", client=anne)
    changed(anne, at(signal), {"signal": {"units": "uV"}, "name": "mine"})
    archive.add("rat", np.arange(4.0), units="V", owner="anne", client=None)
    fields = changed(anne, at(signal), {"corrections": ["signal"]})
    assert fields["corrections"] == ["signal"] and (fields["name"], fields["signal"]["units"]) == ("rat", "uV")
    assert "taken back at once" in str(faults(anne, at(signal), {"corrections": [], "signal": {"units": "mV"}}))
    fields = changed(anne, at(signal), {"corrections": None})
    assert "corrections" not in fields and fields["signal"]["units"] == "V"
    assert "corrections" not in read(anne, at(signal))


def test_registering_may_forget_all_corrections(archive, anne):
    signal = archive.add("rat", np.arange(3.0), units="mV", owner="anne", client=anne)
    link = {"data": signal["signal"]["data"], "units": "uV"}
    changed(anne, at(signal), {"signal": link, "name": "mine"})
    anne.delete(at(signal))
    services, url = archive.services, url_of(str(archive.folder / "rat.h5"))
    options = Options("anne", 1, forget_corrections=True)
    assert register(services.store, services.engine, url, options).state == "updated"
    fields = read(anne, at(signal))
    assert (fields["name"], fields["signal"]["units"]) == ("rat", "mV") and "corrections" not in fields


def test_another_level_told_when_registering_reads_no_file(archive, anne, tmp_path, monkeypatch):
    path = write_nwb(tmp_path / "a.nwb")
    archive.register(path, safety_level=3)
    monkeypatch.setattr("storage.ingest.register.sandbox", None)
    assert archive.register(path, safety_level=1, owner="anne").state == "updated"
    fields = archive.fields("/electrophysiology/block/1")
    assert (fields["safety_level"], fields["owner"]) == (1, "/user/1")
    assert archive.register(path, safety_level=1).state == "unchanged"

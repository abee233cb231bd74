"""Changing and archiving objects: by whom, against whom, one and many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from storage.writing import objects
from tests.archive import Archive
from tests.bodies import BODIES, array, created, faults


@pytest.fixture
def archive(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)
    archive.add_user("anne")
    archive.add_user("bob")
    return archive


@pytest.fixture
def anne(archive):
    return archive.logged_in("anne")


@pytest.fixture
def bob(archive):
    return archive.logged_in("bob")


def at(type_name, fields):
    return f"/electrophysiology/{type_name}/{fields['id']}/"


def changed(client, address, body, **more):
    answer = client.post(address, json=body, **more)
    assert answer.status_code == 200, answer.text
    return answer.json["selected"][0]["fields"]


def test_only_the_named_fields_change(anne):
    before = created(anne, "analogsignal", annotations={"a": 1})
    fields = changed(anne, at("analogsignal", before), {"name": "another", "t_start": array(1, "S")})
    assert fields == {
        **before,
        "name": "another",
        "t_start": array(1, "S"),
        "guid": fields["guid"],
        "last_modified": fields["last_modified"],
    }
    assert fields["guid"] != before["guid"]
    assert anne.get(at("analogsignal", before)).json["selected"][0]["fields"] == fields


def test_what_was_read_can_be_posted_back_and_changes_nothing(anne):
    for type_name in BODIES:
        fields = created(anne, type_name)
        answer = anne.get(at(type_name, fields))
        back = anne.post(at(type_name, fields), json=answer.json["selected"][0]["fields"])
        assert back.status_code == 200 and back.json["selected"] == answer.json["selected"], back.text
        assert changed(anne, at(type_name, fields), {}) == fields


def test_also_what_was_registered_with_a_unit_that_no_library_knows(archive, anne):
    signal = archive.add("odd", np.arange(3.0), units="mV", owner="anne", client=anne)
    signal.pop("type")
    assert changed(anne, at("analogsignal", signal), signal) == signal


def test_read_only_fields_are_told_where_they_differ(anne):
    fields = created(anne, "block")
    created(anne, "segment", block=fields["id"])
    sent = {"id": 10**6, "guid": "0" * 40, "owner": None, "current_state": 20, "segment_set": [], "name": "b"}
    found = faults(anne, at("block", fields), {**sent, "date_created": fields["date_created"]})
    assert set(found) == {"id", "guid", "owner", "current_state", "segment_set"}
    assert "it is /user/1, and cannot be changed" in found["owner"][0]


def test_each_change_gives_a_new_guid(anne):
    for type_name, body in (
        ("block", {"annotations": {"n": True}}),  # True is 1 in Python, not in JSON
        ("block", {"index": None}),
        ("segment", {"safety_level": 1}),
        ("analogsignal", {"signal": array([1, 2, 3], "mV")}),
        ("spiketrain", {"waveforms": None}),
        ("spike", {"left_sweep": array(1, "ms")}),
    ):
        before = created(anne, type_name, **({"annotations": {"n": 1}} if "annotations" in body else {}))
        after = changed(anne, at(type_name, before), body)
        assert after["guid"] != before["guid"]
        assert changed(anne, at(type_name, before), {name: after[name] for name in body})["guid"] == after["guid"]


def test_rules_hold_between_what_is_sent_and_what_is_there(anne):
    train = created(anne, "spiketrain")
    assert list(faults(anne, at("spiketrain", train), {"t_stop": array(0.5, "s")})) == ["times"]
    assert list(faults(anne, at("spiketrain", train), {"t_start": array(1, "h")})) == ["t_start"]
    assert list(faults(anne, at("spiketrain", train), {"times": array([0.1], "s")})) == ["waveforms"]
    both = {"times": array([0.1], "s"), "waveforms": array([[[1]]], "mV")}
    assert changed(anne, at("spiketrain", train), both)["times"]["shape"] == [1]
    assert list(faults(anne, at("spiketrain", train), {"times": None, "t_start": None})) == ["times", "t_start"]


def test_parents_change_and_can_be_taken_away(anne):
    one, two = created(anne, "block")["id"], created(anne, "block")["id"]
    segment = created(anne, "segment", block=one)
    assert changed(anne, at("segment", segment), {"block": two})["block"] == f"/electrophysiology/block/{two}"
    anne.delete(f"/electrophysiology/block/{two}/")
    assert changed(anne, at("segment", segment), {"name": "x", "block": two})["name"] == "x"  # it has that parent
    assert changed(anne, at("segment", segment), {"block": None})["block"] is None
    channels = [created(anne, "recordingchannel")["id"] for _ in range(2)]
    unit = created(anne, "unit", recordingchannel=channels)
    after = changed(anne, at("unit", unit), {"recordingchannel": channels[:1]})
    assert len(after["recordingchannel"]) == 1 and after["guid"] != unit["guid"]
    assert changed(anne, at("unit", unit), {"recordingchannel": after["recordingchannel"]})["guid"] == after["guid"]


def test_the_level_of_an_object_is_that_of_the_arrays_sent_with_it(archive, anne):
    fields = created(anne, "analogsignal", safety_level=1)
    link = fields["signal"]["data"]
    assert archive.get(f"{link}/download").status_code == 200
    changed(anne, at("analogsignal", fields), {"safety_level": 3})
    assert archive.get(link).status_code == 401 and archive.get(f"{link}/download").status_code == 401
    changed(anne, at("analogsignal", fields), {"safety_level": 1})
    assert archive.get(f"{link}/download").status_code == 200


class TestIfMatch:
    def test_the_guid_or_the_etag_of_any_answer(self, anne):
        fields = created(anne, "block")
        address = at("block", fields)
        for number, form in enumerate(("{}", '"{}"', '"x", "{}"', 'W/"{}"', "*", None)):
            guid = anne.get(address).json["selected"][0]["fields"]["guid"]
            etag = anne.get(address).headers["ETag"] if form is None else form.format(guid)
            assert changed(anne, address, {"index": number}, headers={"If-Match": etag})["index"] == number

    def test_a_stale_one_is_412(self, anne):
        fields = created(anne, "block")
        address = at("block", fields)
        changed(anne, address, {"index": 50})
        for etag in ('"{}"', "{}", '"{}-0123"', '"x"', "", "W/x"):
            for send in (anne.post, anne.delete):
                answer = send(address, json={"index": 51}, headers={"If-Match": etag.format(fields["guid"])})
                assert answer.status_code == 412 and answer.json["message_type"] == "stale"
        assert anne.get(address).json["selected"][0]["fields"]["index"] == 50

    def test_of_two_at_once_exactly_one_wins(self, archive, anne):
        clients = [archive.logged_in("anne") for _ in range(4)]
        for _ in range(5):
            fields = created(anne, "block")

            def send(number, fields=fields):
                sent = {"json": {"index": number + 100}, "headers": {"If-Match": fields["guid"]}}
                return clients[number].post(at("block", fields), **sent).status_code

            with ThreadPoolExecutor(4) as pool:
                assert sorted(pool.map(send, range(4))) == [200, 412, 412, 412]

    def test_without_it_all_changes_of_different_fields_stay(self, archive, anne):
        fields = created(anne, "epoch")
        clients = [archive.logged_in("anne") for _ in range(3)]
        bodies = [{"label": "x"}, {"time": array(7, "s")}, {"annotations": {"a": 1}}]
        with ThreadPoolExecutor(3) as pool:
            sent = pool.map(lambda client, body: changed(client, at("epoch", fields), body), clients, bodies)
            guids = {one["guid"] for one in sent}
        after = anne.get(at("epoch", fields)).json["selected"][0]["fields"]
        assert {**after, **bodies[0], **bodies[1], **bodies[2]} == after and len(guids) == 3


class TestMany:
    def test_all_that_the_filters_select(self, anne):
        block = created(anne, "block")["id"]
        inside = [created(anne, "segment", block=block)["id"] for _ in range(3)]
        outside = created(anne, "segment")
        answer = anne.post(f"/electrophysiology/segment/?block={block}&bulk_update=1", json={"index": 7})
        assert answer.status_code == 200 and answer.json["objects_selected"] == 3
        assert [one["fields"]["id"] for one in answer.json["selected"]] == inside
        assert {one["fields"]["index"] for one in answer.json["selected"]} == {7}
        assert anne.get(at("segment", outside)).json["selected"][0]["fields"] == outside
        again = anne.post(f"/electrophysiology/segment/?block={block}&bulk_update=1", json={"index": 7})
        assert again.json["selected"] == answer.json["selected"]  # nothing changed
        none = anne.post("/electrophysiology/segment/?name=nothing&bulk_update=1", json={"index": 7})
        assert none.status_code == 200 and none.json["selected"] == []

    def test_one_that_cannot_be_changed_keeps_all_from_it(self, anne, bob):
        created(anne, "spiketrain")
        odd = created(anne, "spiketrain", times=array([2.9], "s"), waveforms=None)
        found = faults(anne, "/electrophysiology/spiketrain/?id__in=1,2&bulk_update=1", {"t_stop": array(2, "s")})
        assert list(found) == ["times"] and f"spiketrain {odd['id']}" in found["times"][0]
        created(bob, "block", safety_level=1)
        created(anne, "block")
        address = "/electrophysiology/block/?name=a%20block"
        for answer in (anne.post(f"{address}&bulk_update=1", json={"index": 9}), anne.delete(address)):
            assert answer.status_code == 403
        assert {one["fields"]["index"] for one in anne.get(address).json["selected"]} == {3}

    def test_no_more_than_a_thousand(self, anne, monkeypatch):
        monkeypatch.setattr(objects, "MAX_AT_ONCE", 2)
        for _ in range(3):
            created(anne, "block")
        answer = anne.delete("/electrophysiology/block/?name=a%20block")
        assert answer.status_code == 400 and "more than 2 objects" in answer.json["message"]

    def test_a_list_without_a_filter_is_not_archived(self, anne):
        created(anne, "block")
        for query in ("", "?", "?offset=1", "?q=link", "?max_results=5", "?colour=red", "?cascade=1"):
            assert anne.delete(f"/electrophysiology/block/{query}").status_code == 400
        assert anne.get("/electrophysiology/block/").json["objects_total"] == 1

    def test_read_only_fields_and_if_match_are_for_one_object(self, anne):
        fields = created(anne, "block")
        address = "/electrophysiology/block/?id__in=1&bulk_update=1"
        assert list(faults(anne, address, {"guid": fields["guid"]})) == ["guid"]
        answer = anne.post(address, json={}, headers={"If-Match": fields["guid"]})
        assert answer.status_code == 400 and list(answer.json["details"]) == ["If-Match"]

    def test_one_inline_array_for_all(self, anne):
        for _ in range(2):
            created(anne, "analogsignal")
        answer = anne.post(
            "/electrophysiology/analogsignal/?id__in=1,2&bulk_update=1", json={"signal": array([7], "mV")}
        )
        assert len({one["fields"]["signal"]["data"] for one in answer.json["selected"]}) == 1


class TestArchiving:
    def test_what_is_archived_is_404_and_in_no_list(self, anne):
        block = created(anne, "block")
        segment = created(anne, "segment", block=block["id"])
        answer = anne.delete(at("segment", segment))
        (entry,) = answer.json["selected"]
        assert answer.status_code == 200 and entry["fields"]["current_state"] == 20
        assert entry["fields"]["guid"] != segment["guid"] and entry["permalink"] == at("segment", segment)[:-1]
        for send in (anne.get, anne.delete):
            assert send(at("segment", segment)).status_code == 404
        assert anne.post(at("segment", segment), json={}).status_code == 404
        assert anne.get("/electrophysiology/segment/").json["selected"] == []
        assert anne.get(at("block", block)).json["selected"][0]["fields"]["segment_set"] == []

    def test_many(self, anne):
        ids = [created(anne, "block", name=f"block {number % 2}")["id"] for number in range(4)]
        answer = anne.delete("/electrophysiology/block/?name=block%201")
        assert [one["fields"]["id"] for one in answer.json["selected"]] == ids[1::2]
        assert anne.get("/electrophysiology/block/").json["objects_total"] == 2

    def test_what_shared_its_array_shares_it_no_more(self, archive, anne):
        link = created(anne, "analogsignal")["signal"]["data"]
        public = created(anne, "analogsignal", signal={"data": link}, safety_level=1)
        assert archive.get(link).status_code == 200
        anne.delete(at("analogsignal", public))
        assert archive.get(link).status_code == 401 and anne.get(link).status_code == 200


@pytest.mark.parametrize("level", [1, 2, 3])
def test_only_the_owner_changes_and_archives(archive, anne, bob, level):
    fields = created(anne, "block", safety_level=level)
    for client, expected in ((archive.client, 401), (bob, 403), (anne, 200)):
        for body in ({"index": level}, {"index": level, "id": fields["id"]}):
            assert client.post(at("block", fields), json=body).status_code == expected
        select = f"/electrophysiology/block/?id__in={fields['id']}"
        many = client.post(f"{select}&bulk_update=1", json={"index": level + 1})
        assert many.status_code == (200 if client is bob and level == 3 else expected)  # bob cannot even select it
    for client, expected in ((archive.client, 401), (bob, 403), (anne, 200)):
        assert client.delete(at("block", fields)).status_code == expected

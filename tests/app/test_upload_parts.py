"""Files that come in parts."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.jobs import Job
from storage.catalog.uploads import Leftover, Upload
from storage.uploads.abandoned import SECOND_LOOK, remove_abandoned
from storage.uploads.in_parts import plan_of
from storage.uploads.part_plan import MAX_PART_NBYTES, MIN_PART_NBYTES
from tests.app.test_upload import limit, refused, rows
from tests.archive import Archive
from tests.people import logged_in

PART = MIN_PART_NBYTES
CONTENT = (bytes(range(256)) * (3 * PART // 256))[: 2 * PART + 1000]
LENGTHS = {1: PART, 2: PART, 3: 1000}
TOLD = {"parts": [{"number": number, "nbytes": nbytes} for number, nbytes in LENGTHS.items()]}


@pytest.fixture(params=["folder", "s3", "presigned"])
def archive(request, tmp_path):
    """A service over each store that can be told to take parts itself."""
    if request.param == "folder":
        return Archive(tmp_path)
    s3 = request.getfixturevalue("s3")
    variables = {"EPHYSTORE_STORE_URL": f"s3://recordings/{tmp_path.name}"}
    if request.param == "presigned":
        variables["EPHYSTORE_S3_PUBLIC_URL"] = s3.url
    return Archive(tmp_path, **variables)


@pytest.fixture
def bob(archive):
    return logged_in(archive, "bob")


@pytest.fixture
def upload(bob):
    return begun(bob)


def begun(client, query="", **told):
    told = {"name": "räw.h5", "nbytes": len(CONTENT), "part_nbytes": PART} | told
    answer = client.post(f"/datafiles/uploads/{query}", json=told)
    assert answer.status_code == 201, answer.text
    (entry,) = answer.json["selected"]
    assert answer.headers["Location"] == entry["permalink"] == f"/datafiles/uploads/{entry['fields']['id']}"
    return entry["fields"]


def content_of(number):
    return CONTENT[(number - 1) * PART :][: LENGTHS[number]]


def put(client, link, content):
    """Send a part to wherever its link says."""
    if "://" in link:
        return requests.put(link, data=content, timeout=20)
    return client.put(link, data=content)


def put_all(client, upload, numbers=(1, 2, 3)):
    for number in numbers:
        answer = put(client, upload["parts"][number - 1]["link"], content_of(number))
        assert answer.status_code == 200, answer.text


def shown(client, upload, query=""):
    answer = client.get(f"/datafiles/uploads/{upload['id']}/{query}")
    assert answer.status_code == 200, answer.text
    return answer.json["selected"][0]["fields"]


def is_presigned(archive):
    return archive.settings.s3_public_url is not None


def require_nothing_stored(archive, s3=None):
    if archive.settings.store_url.startswith("file"):
        assert [path for path in (archive.folder / "data" / "store").rglob("*") if path.is_file()] == []
        return
    bucket, _, prefix = archive.settings.store_url.removeprefix("s3://").partition("/")
    assert s3.client.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 0
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=bucket, Prefix=prefix)


class TestParts:
    def test_any_order_and_again_makes_the_datafile(self, archive, bob, upload):
        assert upload["name"] == "räw.h5" and upload["nbytes"] == len(CONTENT)
        assert [(part["number"], part["nbytes"], part["arrived"]) for part in upload["parts"]] == [
            (number, nbytes, False) for number, nbytes in LENGTHS.items()
        ]
        assert put(bob, upload["parts"][0]["link"], content_of(2)).status_code == 200
        put_all(bob, upload, (3, 1, 2))
        assert rows(archive, Datafile) == 0
        answer = bob.post(upload["complete"], json=TOLD)
        assert answer.status_code == 201, answer.text
        fields = answer.json["selected"][0]["fields"]
        assert (fields["name"], fields["state"], fields["nbytes"]) == ("räw.h5", "uploaded", len(CONTENT))
        assert fields["sha256"] is None
        place = answer.headers["Location"]
        assert bob.get(f"{place}/download/").data == CONTENT
        assert rows(archive, Upload) == 0 and rows(archive, Job) == 1

    def test_completing_again_answers_the_same_datafile(self, archive, bob, upload):
        put_all(bob, upload)
        first = bob.post(upload["complete"], json=TOLD)
        again = bob.post(upload["complete"], json=TOLD)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json["selected"] == again.json["selected"]
        assert rows(archive, Datafile) == rows(archive, StoredFile) == rows(archive, Job) == 1
        refused(bob.get(f"/datafiles/uploads/{upload['id']}/"), 404, "not_found")
        refused(bob.put(f"/datafiles/uploads/{upload['id']}/parts/1", data=content_of(1)), 404, "not_found")
        refused(logged_in(archive, "eve").post(upload["complete"], json=TOLD), 404, "not_found")

    def test_killed_after_the_store_joined_the_parts_it_goes_on(self, archive, bob, upload):
        put_all(bob, upload)
        with Session(archive.services.engine) as session:
            row = session.get(Upload, upload["id"])
        archive.services.store.complete(row.key, row.store_upload_id, plan_of(row).parts())
        assert shown(bob, upload)["nbytes_arrived"] == len(CONTENT)
        answer = bob.post(upload["complete"], json=TOLD)
        assert answer.status_code == 201, answer.text
        assert bob.get(f"{answer.headers['Location']}/download/").data == CONTENT

    def test_after_a_break_it_tells_what_has_arrived(self, bob, upload):
        put_all(bob, upload, (2,))
        told = shown(bob, upload)
        assert [part["arrived"] for part in told["parts"]] == [False, True, False]
        assert (told["parts_total"], told["parts_arrived"], told["nbytes_arrived"]) == (3, 1, PART)
        put_all(bob, told, (1, 3))
        assert bob.post(told["complete"], json=TOLD).status_code == 201

    def test_all_that_is_wrong_is_told_at_once(self, bob, upload):
        put_all(bob, upload, (1, 3))
        told = {"parts": [{"number": 1, "nbytes": 7}, {"number": 3, "nbytes": 1000}, {"number": 9, "nbytes": 1}]}
        document = refused(bob.post(upload["complete"], json=told), 409, "parts_wrong")
        assert document["details"]["parts"] == {
            "1": [f"as told, has 7 bytes instead of {PART}"],
            "2": [f"as told, is missing; it has {PART} bytes"],
            "9": ["as told, is no part of this file"],
        }
        document = refused(bob.post(upload["complete"], json=TOLD), 409, "parts_wrong")
        assert document["details"]["parts"] == {"2": [f"is missing; it has {PART} bytes"]}
        put_all(bob, upload, (2,))
        assert bob.post(upload["complete"], json=TOLD).status_code == 201

    def test_a_part_of_another_length_is_refused(self, archive, bob, upload):
        through = f"/datafiles/uploads/{upload['id']}/parts"
        told = refused(bob.put(f"{through}/1", data=b"short"), 400, "wrong_length")
        assert told["message"] == f"part 1 has {PART} bytes, and this request 5"
        chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        for content in (content_of(3)[:-1], content_of(3) + b"x"):
            refused(bob.put(f"{through}/3", data=content, environ_overrides=chunked), 400, "wrong_length")
        cut = {"CONTENT_LENGTH": "1000"}
        refused(bob.put(f"{through}/3", data=b"x" * 999, environ_overrides=cut), 400, "body_broken")
        for number in (0, 4, 10**18):
            refused(bob.put(f"{through}/{number}", data=b"x"), 404, "not_found")
        assert shown(bob, upload)["parts_arrived"] == 0
        assert bob.put(f"{through}/3", data=content_of(3), environ_overrides=chunked).status_code == 200

    def test_through_the_service_where_asked(self, bob):
        upload = begun(bob, "?via=service")
        links = [part["link"] for part in upload["parts"]]
        assert links == [f"/datafiles/uploads/{upload['id']}/parts/{number}" for number in (1, 2, 3)]
        put_all(bob, upload)
        assert shown(bob, upload, "?via=service")["parts_arrived"] == 3
        assert bob.post(upload["complete"], json=TOLD).status_code == 201

    def test_straight_to_the_store_where_it_can_be_reached(self, archive, bob, upload):
        for part in upload["parts"]:
            assert ("://" in part["link"]) == is_presigned(archive)
        if is_presigned(archive):
            link = urlsplit(upload["parts"][2]["link"])
            assert f"{link.scheme}://{link.netloc}" == archive.settings.s3_public_url
            query = parse_qs(link.query)
            assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
            assert query["X-Amz-SignedHeaders"] == ["content-length;host"]  # so that S3 takes no other length
            assert 86_000 < int(query["X-Amz-Expires"][0]) <= 86_400

    def test_giving_up_removes_the_bytes(self, archive, bob, upload, s3):
        put_all(bob, upload, (1,))
        assert bob.delete(f"/datafiles/uploads/{upload['id']}").status_code == 200
        require_nothing_stored(archive, s3)
        refused(bob.get(f"/datafiles/uploads/{upload['id']}"), 404, "not_found")
        refused(bob.post(upload["complete"], json=TOLD), 404, "not_found")
        assert rows(archive, Upload) == rows(archive, Datafile) == 0
        remove_abandoned(archive.services.store, archive.services.engine, moment() + SECOND_LOOK)
        assert rows(archive, Leftover) == 0


class TestAbandoned:
    def test_it_is_removed_after_a_day_without_a_sign(self, archive, bob, upload, s3):
        put_all(bob, upload, (1,))
        store, engine = archive.services.store, archive.services.engine
        assert remove_abandoned(store, engine, moment() + timedelta(hours=23)) == 0
        assert shown(bob, upload)["parts_arrived"] == 1
        assert remove_abandoned(store, engine, moment() + timedelta(hours=25)) == 1
        require_nothing_stored(archive, s3)
        refused(bob.post(upload["complete"], json=TOLD), 404, "not_found")

    def test_what_is_sent_and_what_is_asked_for_lasts(self, archive, bob, upload):
        for sign in (
            lambda: bob.put(f"/datafiles/uploads/{upload['id']}/parts/3", data=content_of(3)),
            lambda: bob.get(f"/datafiles/uploads/{upload['id']}"),
        ):
            with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
                session.get(Upload, upload["id"]).remove_after = moment() + timedelta(minutes=1)
            assert sign().status_code == 200
            assert remove_abandoned(archive.services.store, archive.services.engine, moment() + timedelta(hours=2)) == 0

    def test_a_store_that_is_away_is_tried_again(self, archive, bob, upload, s3, monkeypatch):
        if archive.settings.store_url.startswith("file"):
            pytest.skip("a folder is never away")
        put_all(bob, upload, (1,))
        fresh = Archive(archive.folder, migrated=False, EPHYSTORE_STORE_URL=archive.settings.store_url)
        with monkeypatch.context() as away:
            away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            expired = moment() + timedelta(days=1)
            assert remove_abandoned(fresh.services.store, fresh.services.engine, expired) == 0
        assert rows(archive, Upload) == 0
        later = Archive(archive.folder, migrated=False, EPHYSTORE_STORE_URL=archive.settings.store_url)
        assert remove_abandoned(later.services.store, later.services.engine, expired + SECOND_LOOK) == 1
        require_nothing_stored(archive, s3)


class TestWhoMay:
    @pytest.mark.parametrize("archive", ["folder"], indirect=True)
    def test_only_the_owner_knows_of_an_upload(self, archive, bob, upload):
        place = f"/datafiles/uploads/{upload['id']}"
        asked = [
            ("GET", place, {}),
            ("PUT", f"{place}/parts/3", {"data": content_of(3)}),
            ("POST", f"{place}/complete", {"json": TOLD}),
            ("DELETE", place, {}),
        ]
        eve = logged_in(archive, "eve")
        for method, address, more in asked:
            refused(archive.client.open(address, method=method, **more), 401, "login_needed")
            refused(eve.open(address, method=method, **more), 404, "not_found")
        for method, more in (("GET", {}), ("POST", {"json": {"name": "a", "nbytes": 1}})):
            refused(archive.client.open("/datafiles/uploads/", method=method, **more), 401, "login_needed")
        assert eve.get("/datafiles/uploads/").json["selected"] == []
        (mine,) = bob.get("/datafiles/uploads/").json["selected"]
        assert mine["permalink"] == place and "parts" not in mine["fields"]
        assert shown(bob, upload)["parts_arrived"] == 0


@pytest.mark.parametrize("archive", ["folder"], indirect=True)
class TestBeginning:
    @pytest.mark.parametrize(
        ("told", "fields"),
        [
            ({}, {"name", "nbytes"}),
            ({"name": "", "nbytes": 0}, {"name", "nbytes"}),
            ({"name": 5, "nbytes": "5"}, {"name", "nbytes"}),
            ({"name": None, "nbytes": True}, {"name", "nbytes"}),
            ({"name": "a", "nbytes": 1.5, "sha256": "xyz", "part_nbytes": 5}, {"nbytes", "sha256", "part_nbytes"}),
            ({"name": "a", "nbytes": -1, "sha256": "a" * 63}, {"nbytes", "sha256"}),
            ({"name": "a", "nbytes": 10**12, "part_nbytes": PART}, {"part_nbytes"}),
            ({"name": "a", "nbytes": 2**60}, {"nbytes"}),
            ({"name": "a", "nbytes": 5, "part_nbytes": MAX_PART_NBYTES + 1}, {"part_nbytes"}),
            ({"name": "a" * 100_001, "nbytes": 5, "more": 1}, {"name", "more"}),
        ],
    )
    def test_all_wrong_fields_are_told_at_once(self, archive, bob, told, fields):
        document = refused(bob.post("/datafiles/uploads/", json=told), 400, "bad_request")
        assert set(document["details"]) == fields
        assert rows(archive, Upload) == 0

    @pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'"a"', b"\xff", b'{"name": "\\ud800", "nbytes": 5}'])
    def test_what_is_no_json_object_is_400(self, bob, body):
        refused(bob.post("/datafiles/uploads/", data=body), 400, "bad_request")

    @pytest.mark.parametrize(
        "told",
        [
            {},
            {"parts": []},
            {"parts": 5},
            {"parts": [5]},
            {"parts": [{"number": 1}]},
            {"parts": [TOLD["parts"][0]] * 2},
        ],
    )
    def test_a_list_of_parts_that_is_none_is_400(self, bob, upload, told):
        document = refused(bob.post(upload["complete"], json=told), 400, "bad_request")
        assert set(document["details"]) == {"parts"}

    def test_a_body_beyond_a_megabyte_is_413(self, bob):
        told = {"name": "a", "nbytes": 5, "sha256": "x" * (1 << 20)}
        assert bob.post("/datafiles/uploads/", json=told).status_code == 413

    def test_the_longest_list_of_parts_fits_into_a_body(self, archive):
        parts = [{"number": number, "nbytes": MAX_PART_NBYTES} for number in range(1, 10_001)]
        assert len(json.dumps({"parts": parts})) < 1 << 20

    @pytest.mark.parametrize(
        ("nbytes", "part_nbytes", "n_parts"),
        [(1, 16 << 20, 1), (100 * 10**9, 96 << 20, 994), (5 * 10**12, 4769 << 20, 1000)],
    )
    def test_parts_are_long_enough(self, archive, bob, nbytes, part_nbytes, n_parts):
        limit(archive, max_nbytes=10**13, quota_nbytes=10**13)
        answer = bob.post("/datafiles/uploads/", json={"name": "a", "nbytes": nbytes})
        fields = answer.json["selected"][0]["fields"]
        assert (fields["part_nbytes"], fields["parts_total"]) == (part_nbytes, n_parts)
        assert sum(part["nbytes"] for part in fields["parts"]) == nbytes

    def test_a_long_list_of_parts_is_told_in_runs(self, archive, bob):
        limit(archive, max_nbytes=10**13, quota_nbytes=10**13)
        upload = begun(bob, nbytes=9_999 * PART + 1)
        assert (upload["parts_total"], len(upload["parts"])) == (10_000, 1000)
        last = shown(bob, upload, "?offset=9999&max_results=5")["parts"]
        assert [(part["number"], part["nbytes"]) for part in last] == [(10_000, 1)]

    def test_more_than_a_file_may_have_is_413(self, archive, bob):
        limit(archive, max_nbytes=1000)
        answer = bob.post("/datafiles/uploads/", json={"name": "a", "nbytes": 1001})
        assert "1000 bytes" in refused(answer, 413, "too_large")["message"]
        assert begun(bob, nbytes=1000)

    def test_what_is_reserved_counts_against_the_quota(self, archive):
        carol = logged_in(archive, "carol", quota_nbytes=1000)
        upload = begun(carol, nbytes=900)
        document = refused(carol.post("/datafiles/uploads/", json={"name": "a", "nbytes": 101}), 413, "quota_exceeded")
        assert document["details"]["nbytes"] == {"used": 900, "asked": 101, "limit": 1000}
        refused(carol.post("/datafiles/", data={"raw_file": (io.BytesIO(b"x" * 101), "a")}), 413, "quota_exceeded")
        carol.delete(f"/datafiles/uploads/{upload['id']}")
        assert begun(carol, nbytes=1000)

    def test_the_announced_hash_is_told_to_the_check(self, archive, bob):
        upload = begun(bob, sha256="AB" * 32)
        assert upload["sha256"] == "ab" * 32
        put_all(bob, upload)
        assert bob.post(upload["complete"], json=TOLD).status_code == 201
        with Session(archive.services.engine) as session:
            assert session.scalars(select(Job.options)).all() == [{"sha256": "ab" * 32}]

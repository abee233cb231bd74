"""Files that come in one request."""

from __future__ import annotations

import hashlib
import io
import resource
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.catalog.base import moment
from storage.catalog.files import UPLOADED, Datafile, StoredFile
from storage.catalog.jobs import CHECK, QUEUED, Job
from storage.catalog.uploads import Leftover, Upload
from storage.errors import StoreAway
from storage.uploads.abandoned import SECOND_LOOK, remove_abandoned
from tests.archive import Archive
from tests.people import logged_in

CONTENT = bytes(range(256)) * 5000
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
HEAD = b'--XX\r\nContent-Disposition: form-data; name="raw_file"; filename="a"\r\n\r\n'
TAIL = b"\r\n--XX--\r\n"


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


@pytest.fixture
def bob(archive):
    return logged_in(archive, "bob")


def send(client, content=CONTENT, name="a.h5", field="raw_file", **more):
    return client.post("/datafiles/", data={field: (io.BytesIO(content), name)}, **more)


def limit(archive, **limits):
    settings = archive.services.settings
    archive.services.settings = replace(settings, limits=replace(settings.limits, **limits))


def stored(archive):
    """Every file in the store, hidden ones too."""
    return [path for path in (archive.folder / "data" / "store").rglob("*") if path.is_file()]


def rows(archive, model):
    with Session(archive.services.engine) as session:
        return session.scalar(select(func.count()).select_from(model))


def require_nothing(archive):
    assert stored(archive) == []
    assert [rows(archive, model) for model in (Upload, StoredFile, Datafile, Job)] == [0, 0, 0, 0]


def refused(answer, status, word):
    assert answer.status_code == status, answer.text
    assert answer.json["selected"] == [] and answer.json["message_type"] == word
    return answer.json


class TestUpload:
    def test_the_file_is_stored_and_will_be_checked(self, archive, bob):
        answer = send(bob, name="Größe µV ☃.h5")
        assert answer.status_code == 201
        (entry,) = answer.json["selected"]
        fields = entry["fields"]
        assert answer.headers["Location"] == entry["permalink"] == f"/datafiles/{fields['id']}"
        assert answer.json["logged_in_as"] == "bob"
        assert fields["name"] == "Größe µV ☃.h5"
        assert (fields["state"], fields["safety_level"], fields["type"]) == (UPLOADED, 3, 5)
        assert fields["nbytes"] == len(CONTENT)
        assert fields["sha256"] == hashlib.sha256(CONTENT).hexdigest()
        with Session(archive.services.engine) as session:
            (job,) = session.scalars(select(Job))
            assert (job.kind, job.state, job.datafile_id, job.options) == (CHECK, QUEUED, fields["id"], {})
            (file,) = session.scalars(select(StoredFile))
        assert archive.services.store.stat(file.name).pin == file.pin
        assert rows(archive, Upload) == 0
        assert [path.read_bytes() for path in stored(archive)] == [CONTENT]

    def test_it_is_downloaded_under_the_name_it_was_sent_with(self, bob):
        place = send(bob, name="rät 1.h5").headers["Location"]
        answer = bob.get(f"{place}/download/")
        assert answer.data == CONTENT
        assert answer.headers["Content-Disposition"].endswith("filename*=UTF-8''r%C3%A4t%201.h5")
        refused(bob.get(place), 409, "not_ready")

    def test_only_who_is_logged_in_may(self, archive):
        refused(send(archive.client), 401, "login_needed")
        require_nothing(archive)

    def test_nobody_else_sees_it(self, archive, bob):
        place = send(bob).headers["Location"]
        eve = logged_in(archive, "eve")
        for address in (place, f"{place}/info/", f"{place}/download/"):
            assert bob.get(address).status_code in (200, 409)
            refused(archive.client.get(address), 401, "login_needed")
            refused(eve.get(address), 403, "forbidden")
        assert eve.get("/datafiles/").json["objects_total"] == 0

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("../../etc/passwd", "passwd"),
            ("/", "unnamed"),
            ("..", "unnamed"),
            ("a\x07b\x7f.h5", "ab.h5"),
            ("invoice\u202egnp.h5", "invoicegnp.h5"),
            ("x" * 100_000 + ".h5", "x" * 252 + ".h5"),
            ("日" * 1000 + ".nwb", "日" * 83 + ".nwb"),
            ("'; DROP TABLE datafile; --", "'; DROP TABLE datafile; --"),
            ("<script>.h5", "<script>.h5"),
        ],
    )
    def test_odd_names_become_names(self, archive, bob, name, told):
        answer = send(bob, name=name)
        assert answer.status_code == 201, answer.text
        assert answer.json["selected"][0]["fields"]["name"] == told
        assert len(stored(archive)) == 1

    @pytest.mark.parametrize("nbytes", [1, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1, 3_000_000])
    def test_every_byte_is_kept(self, archive, bob, nbytes):
        content = (CONTENT * 3)[:nbytes]
        assert send(bob, content).json["selected"][0]["fields"]["sha256"] == hashlib.sha256(content).hexdigest()
        assert [path.read_bytes() for path in stored(archive)] == [content]

    @pytest.mark.parametrize("content", [b"\r\n", b"\r", b"--", b"\r\n--", b"\r\n--X", b"\r\n--X\r" * 30_000])
    def test_what_looks_like_the_end_of_a_form_is_content(self, archive, bob, content):
        body = (
            b'--XX\r\nContent-Disposition: form-data; name="raw_file"; filename="a"\r\n\r\n'
            + content
            + b"\r\n--XX--\r\n"
        )
        answer = bob.post("/datafiles/", data=body, content_type="multipart/form-data; boundary=XX")
        assert answer.status_code == 201, answer.text
        assert [path.read_bytes() for path in stored(archive)] == [content]


class TestRefused:
    """What is not taken leaves nothing behind."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self, archive):
        yield
        require_nothing(archive)

    def test_an_empty_file(self, bob):
        assert "empty" in refused(send(bob, b""), 400, "wrong_length")["message"]

    def test_a_form_without_the_field(self, bob):
        assert "'file'" in refused(send(bob, field="file"), 400, "bad_request")["message"]
        nothing = bob.post("/datafiles/", data=b"\r\n", content_type="multipart/form-data; boundary=X")
        refused(nothing, 400, "body_broken")
        empty = bob.post("/datafiles/", data=b"--X--\r\n", content_type="multipart/form-data; boundary=X")
        assert "no field raw_file" in refused(empty, 400, "bad_request")["message"]

    def test_a_field_that_is_no_file(self, bob):
        form = "multipart/form-data"
        told = refused(bob.post("/datafiles/", data={"raw_file": "text"}, content_type=form), 400, "bad_request")
        assert "-F raw_file=@FILE" in told["message"]
        body = b'--X\r\nContent-Disposition: form-data; name="raw_file"; filename=""\r\n\r\n\r\n--X--\r\n'
        answer = bob.post("/datafiles/", data=body, content_type="multipart/form-data; boundary=X")
        assert "none was chosen" in refused(answer, 400, "bad_request")["message"]

    def test_two_files_at_once(self, bob):
        both = {"raw_file": [(io.BytesIO(CONTENT), "a.h5"), (io.BytesIO(CONTENT), "b.h5")]}
        assert "more than one" in refused(bob.post("/datafiles/", data=both), 400, "bad_request")["message"]
        more = {"raw_file": (io.BytesIO(CONTENT), "a.h5"), "name": "mine"}
        more["raw_file"][0].seek(0)
        assert refused(bob.post("/datafiles/", data=dict(reversed(more.items()))), 400, "bad_request")

    @pytest.mark.parametrize(
        "content_type",
        [
            "application/json",
            "",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "multipart/mixed; boundary=X",
        ],
    )
    def test_another_media_type(self, bob, content_type):
        refused(bob.post("/datafiles/", data=CONTENT, content_type=content_type), 415, "wrong_media_type")

    @pytest.mark.parametrize("cut", [3, 50, 100_000, len(CONTENT)])
    def test_a_body_that_ends_too_soon(self, bob, cut):
        body = (HEAD + CONTENT + TAIL)[:-cut]
        answer = bob.post("/datafiles/", data=body, content_type="multipart/form-data; boundary=XX")
        refused(answer, 400, "body_broken")
        whole = {"CONTENT_LENGTH": str(len(body) + cut)}
        answer = bob.post(
            "/datafiles/", data=body, content_type="multipart/form-data; boundary=XX", environ_overrides=whole
        )
        refused(answer, 400, "body_broken")

    @pytest.mark.parametrize(
        "head",
        [
            b"\xff\xfe: x\r\n",
            b"X: y\r\n",
            b'Content-Disposition: form-data; name="raw_file"; filename="\xff"\r\n',
            b"A: b\r\n" * 400_000,
            b"A" * 3_000_000 + b"\r\n",
        ],
    )
    def test_headers_that_are_none(self, bob, head):
        answer = bob.post(
            "/datafiles/", data=b"--X\r\n" + head + b"\r\nabc\r\n--X--", content_type="multipart/form-data; boundary=X"
        )
        refused(answer, 400, "body_broken")

    def test_an_unknown_parameter(self, bob):
        refused(bob.post("/datafiles/?name=a", data={"raw_file": (io.BytesIO(CONTENT), "a")}), 400, "bad_request")

    @pytest.mark.parametrize("announced", [True, False])
    def test_more_than_a_request_takes(self, archive, bob, announced):
        limit(archive, max_request_nbytes=len(CONTENT) - 1)
        hidden = {} if announced else {"environ_overrides": CHUNKED}
        told = refused(send(bob, **hidden), 413, "too_large")
        assert str(len(CONTENT) - 1) in told["message"] and "/datafiles/uploads/" in told["message"]

    @pytest.mark.parametrize("announced", [True, False])
    def test_more_than_the_quota(self, archive, announced):
        carol = logged_in(archive, "carol", quota_nbytes=len(CONTENT) - 1)
        hidden = {} if announced else {"environ_overrides": CHUNKED}
        told = refused(send(carol, **hidden), 413, "quota_exceeded")
        assert told["details"]["nbytes"]["limit"] == len(CONTENT) - 1
        if announced:
            assert told["details"]["nbytes"] == {"used": 0, "asked": len(CONTENT), "limit": len(CONTENT) - 1}

    def test_what_comes_with_an_upload_that_was_given_up(self, archive, bob):
        """The sweep was faster, as after a process stood still: the request makes no datafile."""

        class Slow(io.BytesIO):
            def read(inner, nbytes=-1):
                if inner.tell():
                    remove_abandoned(archive.services.store, archive.services.engine, moment() + SECOND_LOOK)
                return super().read(nbytes)

        body = HEAD + CONTENT * 3 + TAIL
        answer = bob.post(
            "/datafiles/",
            input_stream=Slow(body),
            content_length=len(body),
            content_type="multipart/form-data; boundary=XX",
        )
        assert answer.status_code in (404, 503), answer.text
        remove_abandoned(archive.services.store, archive.services.engine, moment() + 2 * SECOND_LOOK)
        assert rows(archive, Leftover) == 0


class TestStoreThatFails:
    def test_a_full_disk_is_507_and_leaves_nothing(self, archive, bob):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        body = HEAD + CONTENT * 5 + TAIL
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, before[1]))
        try:
            answer = bob.post("/datafiles/", data=body, content_type="multipart/form-data; boundary=XX")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        refused(answer, 507, "store_full")
        require_nothing(archive)

    def test_a_store_that_is_away_is_503(self, tmp_path, s3, monkeypatch):
        archive = Archive(tmp_path, EPHYSTORE_STORE_URL="s3://recordings/away")
        bob = logged_in(archive, "bob")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        answer = send(bob)
        refused(answer, 503, "store_away")
        assert answer.headers["Retry-After"]
        assert [rows(archive, model) for model in (Upload, StoredFile, Datafile, Job)] == [0, 0, 0, 0]
        with pytest.raises(StoreAway):
            archive.services.store.stat("x")

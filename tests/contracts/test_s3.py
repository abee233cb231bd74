"""What S3 can be asked beyond what every store must do, run for each of its clients."""

from __future__ import annotations

import json
import socket
import threading
import time
from itertools import count

import pytest

from storage.errors import FileChanged, NotStored, StoreAway
from storage.objectstore import S3_CLIENTS, ObjectStore
from storage.ranges import ByteRange
from storage.stores.s3 import region_of
from tests.s3 import S3Server

CONTENT = bytes(range(256)) * 300
number = count()


@pytest.fixture(params=S3_CLIENTS)
def s3_store(request):
    """Makes stores of S3, by each client in turn."""
    return lambda url: ObjectStore(url, s3_client=request.param)


class TestS3:
    @pytest.fixture
    def store(self, s3, s3_store):
        s3.put("recordings/counted/a.h5", CONTENT)
        store = s3_store("s3://recordings/counted")
        store.stat("a.h5")
        s3.clear()
        return store

    def test_each_range_is_one_get_with_the_pin_and_nothing_else_is_asked(self, s3, store):
        pin = store.stat("a.h5").pin
        s3.clear()
        ranges = [ByteRange(100 * k, 10 + k) for k in range(50)]
        store.get_ranges("a.h5", ranges, pin=pin)
        asked = sorted((r.method, r.path, r.range, r.if_match, r.nbytes) for r in s3.requests)
        assert asked == sorted(
            ("GET", "/recordings/counted/a.h5", f"bytes={r.byte_offset}-{r.end - 1}", pin, r.nbytes) for r in ranges
        )

    @pytest.mark.parametrize("key", ["a//b.h5", "/a.h5", "a/./b.h5", "a/../b.h5", "x\ty.h5"])
    def test_a_key_that_only_s3_allows_is_that_key(self, s3, s3_store, key):
        s3.put(f"recordings/{key}", key.encode())
        assert s3_store("s3://recordings").get_ranges(f"s3://recordings/{key}", [ByteRange(0, len(key))]) == [
            key.encode()
        ]

    def test_a_public_bucket_is_read_without_keys(self, s3, s3_store, monkeypatch, tmp_path):
        s3.create_bucket("public")
        s3.put("public/a.h5", CONTENT)
        allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::public/*"}
        s3.client.put_bucket_policy(Bucket="public", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("EPHYSTORE_S3_ANONYMOUS", "1")
        assert s3_store("s3://public").get_ranges("a.h5", [ByteRange(7, 9)]) == [CONTENT[7:16]]

    def test_a_bucket_tells_its_region(self, s3):
        s3.client.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "ap-southeast-2"})
        assert region_of("far-away", s3.client) == "ap-southeast-2"
        assert region_of("no-such-bucket", s3.client) == "us-east-1"

    def test_a_new_client_asks_nothing_before_its_first_range(self, s3, store, s3_store):
        s3_store("s3://recordings/counted").get_ranges("a.h5", [ByteRange(3, 4)])
        assert [(r.method, r.range, r.if_match) for r in s3.requests] == [("GET", "bytes=3-6", None)]

    def test_a_stat_is_one_head_each_time(self, s3, store):
        store.stat("a.h5")
        store.stat("a.h5")
        assert [r.method for r in s3.requests] == ["HEAD", "HEAD"]

    def test_an_etag_is_the_pin(self, s3, store):
        told = s3.client.head_object(Bucket="recordings", Key="counted/a.h5")["ETag"]
        assert store.stat("a.h5").pin == told

    def test_a_bucket_that_is_not_there_is_not_stored(self, s3, store):
        with pytest.raises(NotStored, match=r"a\.h5"):
            store.get_ranges("s3://no-such-bucket/a.h5", [ByteRange(0, 4)])

    def test_what_may_not_be_read_says_so(self, s3, store):
        bucket = f"closed{next(number)}"
        deny = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        s3.create_bucket(bucket)
        s3.put(f"{bucket}/a.h5", CONTENT)
        s3.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
        for ask in (
            lambda: store.get_ranges(f"s3://{bucket}/a.h5", [ByteRange(0, 4)]),
            lambda: store.stat(f"s3://{bucket}/a.h5"),
            lambda: store.list(f"s3://{bucket}/a.h5"),
        ):
            with pytest.raises(StoreAway, match="may not be read with these credentials"):
                ask()

    def test_no_credentials_at_all_says_so(self, s3, monkeypatch, tmp_path, s3_store):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        with pytest.raises(StoreAway, match="credentials"):
            s3_store("s3://recordings").get_ranges("a.h5", [ByteRange(0, 4)])


class TestAnswersThatAreNoAnswers:
    """One server that answers as it is told."""

    @pytest.fixture
    def answering(self, s3, monkeypatch):
        """Make a store whose server sends these bytes as its answer to everything."""
        listening = []

        def make(answer):
            listener = socket.create_server(("127.0.0.1", 0))
            listening.append(listener)

            def serve():
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)

            threading.Thread(target=serve, daemon=True).start()
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
            return ObjectStore("s3://recordings")

        yield make
        for listener in listening:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    @pytest.mark.parametrize("key", ["run416.h5", "a/416/b.h5", "status code: 416 .h5"])
    def test_a_number_in_a_name_is_no_status(self, answering, key):
        store = answering(b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\nConnection: close\r\n\r\n416")
        with pytest.raises(StoreAway, match="does not answer"):
            store.get_ranges(key, [ByteRange(416, 4)], pin='"x"')

    def test_the_whole_file_for_a_range_is_told(self, answering):
        head = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\nETag: "x"\r\n'
        store = answering(head + b"Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n123456789")
        with pytest.raises(StoreAway, match="EPHYSTORE_S3_CLIENT=s3fs"):
            store.get_ranges("a.h5", [ByteRange(0, 4)])

    def test_another_files_answer_to_a_pinned_range_is_refused(self, answering):
        head = b'HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nConnection: close\r\nETag: "other"\r\n'
        more = b"Content-Range: bytes 0-3/9\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n1234"
        store = answering(head + more)
        with pytest.raises(FileChanged, match="changed since"):
            store.get_ranges("a.h5", [ByteRange(0, 4)], pin='"mine"')
        assert store.get_ranges("a.h5", [ByteRange(0, 4)], pin='"other"') == [b"1234"]

    @pytest.mark.parametrize(("name", "value"), [("AWS_ENDPOINT_URL", "127.0.0.1:5055"), ("AWS_PROFILE", "nosuch")])
    def test_wrong_settings_are_told(self, s3, s3_store, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        with pytest.raises(StoreAway, match=r"set up.*(5055|nosuch)"):
            s3_store("s3://recordings").get_ranges("a.h5", [ByteRange(0, 4)])


class TestStoreAway:
    """A store that does not answer is told as such, and soon."""

    def assert_away_within(self, limit_s, store):
        for ask in (
            lambda: store.get_ranges("a.h5", [ByteRange(k, 4) for k in range(40)], pin='"x"'),
            lambda: store.stat("a.h5"),
            lambda: store.list("s3://recordings/away"),
        ):
            began = time.monotonic()
            with pytest.raises(StoreAway, match="does not answer"):
                ask()
            assert time.monotonic() - began < limit_s

    def test_a_server_that_was_stopped(self, s3, monkeypatch, s3_store):
        server = S3Server()
        server.put("recordings/away/a.h5", CONTENT)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        store = s3_store("s3://recordings/away")
        assert store.get_ranges("a.h5", [ByteRange(0, 4)]) == [CONTENT[:4]]
        server.stop()
        self.assert_away_within(5, store)

    def test_a_port_where_nobody_listens(self, s3, monkeypatch, s3_store):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        self.assert_away_within(5, s3_store("s3://recordings/away"))

    def test_a_store_that_comes_back_is_read_again(self, s3, monkeypatch, s3_store):
        server = S3Server()
        server.put("recordings/away/a.h5", CONTENT)
        store = s3_store("s3://recordings/away")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        store.get_ranges("a.h5", [ByteRange(0, 4)])
        server.cut()
        assert store.get_ranges("a.h5", [ByteRange(0, 4)]) == [CONTENT[:4]]
        server.stop()

    def test_an_answer_that_breaks_off_is_never_handed_out(self, s3, monkeypatch, s3_store):
        head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\nContent-Range: bytes 0-99/200\r\n\r\n"
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def answer_half():
                while True:
                    try:
                        connection, _ = listening.accept()
                    except OSError:
                        return
                    with connection:
                        connection.recv(65536)
                        connection.sendall(head + bytes(50))

            threading.Thread(target=answer_half, daemon=True).start()
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
            with pytest.raises(StoreAway, match="does not answer"):
                s3_store("s3://recordings").get_ranges("a.h5", [ByteRange(0, 100)])
            listening.shutdown(socket.SHUT_RDWR)

"""rclone's S3 behind the proxy answers as S3 does, by clients that refuse what S3 would not say."""

import importlib.util
import os
import socket
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.http_messages import ChunkedBody
from benchmarks.s3.corrections import Request, corrected
from benchmarks.s3.server import serving
from tests.s3 import rounds

CONTENT = bytes(range(251)) * 8000
RANGES = [(0, 1), (0, 10), (5, 250_000), (65_536, 131_072), (1_000_000, 1_000_001), (0, len(CONTENT))]
needs_obstore = pytest.mark.skipif(not importlib.util.find_spec("obstore"), reason="obstore is not installed")


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    root = tmp_path_factory.mktemp("s3")
    (root / "bucket").mkdir()
    (root / "bucket" / "file.bin").write_bytes(CONTENT)
    with serving(root, tmp_path_factory.mktemp("logs")) as found:
        yield found


@pytest.fixture(scope="module")
def client(s3):
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=s3.url, config=Config(retries={"total_max_attempts": 1}), **keys)


def got(client, start, stop, **more):
    return client.get_object(Bucket="bucket", Key="file.bin", Range=f"bytes={start}-{stop - 1}", **more)


def code(error):
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(("start", "stop"), RANGES)
def test_a_range_is_206_with_its_bytes(client, start, stop):
    answer = got(client, start, stop)
    assert answer["Body"].read() == CONTENT[start:stop]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"


@needs_obstore
def test_obstore_gets_the_same(s3):
    import obstore
    from obstore.store import S3Store

    options = {"allow_http": True}
    store = S3Store("bucket", endpoint=s3.url, region="us-east-1", skip_signature=True, client_options=options)
    tag = obstore.head(store, "file.bin")["e_tag"]
    for start, stop in RANGES:
        answer = obstore.get(store, "file.bin", options={"range": (start, stop), "if_match": tag})
        assert bytes(answer.bytes()) == CONTENT[start:stop]
    with pytest.raises(obstore.exceptions.PreconditionError):
        obstore.get(store, "file.bin", options={"range": (0, 5), "if_match": '"other"'}).bytes()


def test_the_whole_is_200(client):
    answer = client.get_object(Bucket="bucket", Key="file.bin")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["Body"].read() == CONTENT


def test_a_range_after_the_end_is_416_and_an_absent_key_404(client):
    with pytest.raises(ClientError) as error:
        got(client, len(CONTENT) + 1, len(CONTENT) + 2)
    assert code(error) == 416
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket="bucket", Key="absent.bin")
    assert code(error) == 404


def test_a_changed_file_has_another_tag_and_is_412(client):
    client.put_object(Bucket="bucket", Key="changing.bin", Body=b"a" * 100)
    before = client.head_object(Bucket="bucket", Key="changing.bin")["ETag"]
    asked = {"Bucket": "bucket", "Key": "changing.bin", "Range": "bytes=0-9"}
    assert client.get_object(IfMatch=before, **asked)["Body"].read() == b"a" * 10
    client.put_object(Bucket="bucket", Key="changing.bin", Body=b"b" * 100)
    assert client.head_object(Bucket="bucket", Key="changing.bin")["ETag"] != before
    for _ in range(3):
        with pytest.raises(ClientError) as error:
            client.get_object(IfMatch=before, **asked)
        assert code(error) == 412
    assert client.get_object(**asked)["Body"].read() == b"b" * 10


def test_what_was_put_is_listed(client):
    keys = [f"many/{number:04}" for number in range(300)]
    for key in keys:
        client.put_object(Bucket="bucket", Key=key, Body=b"x" * 10)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix="many/")
    assert [one["Key"] for page in pages for one in page["Contents"]] == keys
    client.create_bucket(Bucket="later")
    client.put_object(Bucket="later", Key="größe ☃.h5", Body=b"y")
    assert client.get_object(Bucket="later", Key="größe ☃.h5")["Body"].read() == b"y"


def test_it_delays_and_remembers(s3, client):
    s3.clear()
    s3.delay(0.05)
    began_s = time.monotonic()
    got(client, 0, 10)["Body"].read()
    got(client, 10, 30)["Body"].read()
    assert time.monotonic() - began_s >= 0.1
    s3.delay(0)
    assert (s3.counts.n_requests, s3.counts.nbytes) == (2, 30)
    assert [(one.method, one.range, one.status) for one in s3.requests] == [
        ("GET", "bytes=0-9", 206),
        ("GET", "bytes=10-29", 206),
    ]
    assert rounds(s3.requests) == 2
    s3.clear()
    assert s3.requests == []


def test_a_caller_who_leaves_does_not_disturb_the_next(s3, client):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", s3.port)) as leaving:
            leaving.sendall(b"GET /bucket/file.bin HTTP/1.1\r\nHost: here\r\n\r\n")
            leaving.recv(10)
        assert got(client, 7, 70_000)["Body"].read() == CONTENT[7:70_000]


def test_requests_sent_ahead_are_answered_in_order(s3):
    wanted = [(3, 5), (100, 109), (250, 252)]
    asked = "".join(
        f"GET /bucket/file.bin HTTP/1.1\r\nHost: here\r\nRange: bytes={start}-{stop - 1}\r\n\r\n"
        for start, stop in wanted
    )
    with socket.create_connection(("127.0.0.1", s3.port), timeout=10) as caller:
        caller.sendall(asked.encode() + b"GET /bucket/absent HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: caller.recv(65536), b""))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert bodies[:3] == [CONTENT[start:stop] for start, stop in wanted]
    assert answers.split(b"HTTP/1.1 ")[4].startswith(b"404")


def test_a_tag_is_of_the_file_only(tmp_path):
    head = b'HTTP/1.1 200 OK\r\nEtag: ""\r\nContent-Length: 3\r\nAccess-Control-Allow-Origin: *'
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_bytes(b"abc")
    answers = [corrected(Request("GET", target, {}), head, tmp_path).head for target in ("/b/x", "/b", "/b/../b/x")]
    assert [b"etag" in answer for answer in answers] == [True, False, False]
    os.utime(tmp_path / "b" / "x", ns=(1, 1))
    assert corrected(Request("GET", "/b/x", {}), head, tmp_path).head != answers[0]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_body_is_put_together(size):
    sent = b"3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n"
    body = ChunkedBody()
    for start in range(0, len(sent), size):
        assert not body.is_complete
        body.feed(sent[start : start + size])
    assert (body.is_complete, bytes(body.content)) == (True, b"abc0123456789abcdef")

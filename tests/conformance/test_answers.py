"""The contract's sections on documents, formats, errors and who may: what every answer is."""

from __future__ import annotations

import io
import os

import h5py
import numpy as np
import pytest

from app.conditional import json_answer
from storage.catalog.models import TYPES
from tests.archive import Archive
from tests.conformance.conftest import CHANNELS, SAMPLES


class TestDocuments:
    def test_a_list_of_objects(self, archive, ids):
        document = archive.get("/electrophysiology/analogsignal/?name=a signal").json
        assert document["logged_in_as"] is None
        assert document["objects_selected"] == document["objects_total"] == len(document["selected"]) == 1
        assert document["selected_range"] == [0, 0]
        assert document["message"] and document["message_type"] == "object_selected"

    def test_an_empty_list(self, archive):
        document = archive.get("/electrophysiology/block/?name=nobody").json
        assert (document["selected"], document["selected_range"], document["objects_total"]) == ([], [], 0)

    def test_paging(self, tmp_path):
        archive = Archive(tmp_path)
        for number in range(5):
            archive.add(f"signal {number}", SAMPLES[:10])
        document = archive.get("/electrophysiology/analogsignal/?offset=1&max_results=3&q=link").json
        assert document["selected"] == [f"/electrophysiology/analogsignal/{number}" for number in (2, 3, 4)]
        assert document["selected_range"] == [1, 3] and document["objects_total"] == 5
        assert archive.get("/electrophysiology/analogsignal/?offset=9").json["selected_range"] == []

    @pytest.mark.parametrize(
        "query", ["max_results=0", "max_results=1001", "offset=-1", "q=all", "id__in=a", "block=x"]
    )
    def test_bad_list_parameters_are_400(self, archive, query):
        archive.error(f"/electrophysiology/segment/?{query}", 400)

    @pytest.mark.parametrize("type_name", TYPES)
    def test_every_type_has_its_attributes_parents_and_children(self, archive, ids, type_name):
        fields = archive.fields(f"/electrophysiology/{type_name}/{ids[type_name]}")
        common = {"id", "guid", "annotations", "owner", "safety_level", "current_state", "date_created"}
        assert common <= fields.keys() and fields["annotations"] == {"made_by": "a test"}
        for parent in TYPES[type_name].parent_fields:
            assert parent in fields
        children = {f"{name}_set" for name, child in TYPES.items() if type_name in child.parent_fields}
        assert {name for name in fields if name.endswith("_set")} == children
        if type_name == "segment":
            assert fields["block"] == f"/electrophysiology/block/{ids['block']}"
            assert fields["spiketrain_set"] == [f"/electrophysiology/spiketrain/{ids['spiketrain']}"]
        if type_name == "unit":
            assert fields["recordingchannel"] == [f"/electrophysiology/recordingchannel/{ids['recordingchannel']}"]
        if type_name == "recordingchannel":
            assert fields["unit_set"] == [f"/electrophysiology/unit/{ids['unit']}"]

    @pytest.mark.parametrize("parent", ["segment", "unit"])
    def test_filter_by_a_parent_given_as_id_or_permalink(self, archive, ids, parent):
        for given in (ids[parent], f"/electrophysiology/{parent}/{ids[parent]}"):
            document = archive.get(f"/electrophysiology/spiketrain/?{parent}={given}&q=link").json
            assert document["selected"] == [f"/electrophysiology/spiketrain/{ids['spiketrain']}"]
        assert archive.get(f"/electrophysiology/spiketrain/?{parent}=99999").json["selected"] == []

    def test_q_info_leaves_children_out_and_q_link_answers_permalinks(self, archive, ids):
        address = f"/electrophysiology/segment/{ids['segment']}"
        assert not [name for name in archive.fields(f"{address}?q=info") if name.endswith("_set")]
        assert archive.get(f"{address}?q=link").json["selected"] == [address]

    def test_irsaanalogsignal_also_answers_as_irregularlysampledsignal(self, archive, ids):
        one = archive.get(f"/electrophysiology/irregularlysampledsignal/{ids['irsaanalogsignal']}")
        other = archive.get(f"/electrophysiology/irsaanalogsignal/{ids['irsaanalogsignal']}")
        assert one.json == other.json

    def test_an_unset_value_is_null_with_null_units(self, archive, ids):
        spike = archive.fields(f"/electrophysiology/spike/{ids['spike']}")
        assert spike["left_sweep"] == {"units": None, "data": None}
        assert spike["time"] == {"units": "s", "data": 0.5}

    def test_an_array_field_tells_guid_shape_and_dtype(self, array):
        told = array["signal"]
        assert (told["shape"], told["dtype"], len(told["guid"])) == ([4000, 8], "float32", 40)

    @pytest.mark.parametrize(
        "address", ["/electrophysiology/segment/1", "/datafiles/1", "/datafiles/1/info", "/health"]
    )
    def test_every_path_works_with_and_without_its_trailing_slash_without_a_redirect(self, archive, ids, address):
        plain, slashed = archive.get(address), archive.get(address + "/")
        assert plain.status_code == slashed.status_code == 200
        assert plain.data == slashed.data

    def test_the_document_of_a_datafile(self, archive, array):
        fields = archive.fields(array["signal"]["data"] + "/info/")
        assert (fields["state"], fields["type"], fields["shape"], fields["dtype"]) == (
            "ready",
            5,
            [4000, 8],
            "float32",
        )
        assert fields["guid"] == array["signal"]["guid"] and fields["units"] == "mv"
        assert "start_time" in archive.error("/datafiles/?start_time=1", 400)["details"]
        listed = archive.get("/datafiles/?name=array").json["selected"]
        assert fields in [one["fields"] for one in listed]


class TestFormats:
    @pytest.mark.parametrize("query", ["", "?start_index=990&end_index=2020&channels=5,0"])
    def test_all_four_formats_answer_the_same_numbers(self, archive, array, query):
        expected = CHANNELS if not query else CHANNELS[990:2020, [5, 0]]
        link = array["signal"]["data"] + query
        asked = link + ("&" if query else "?") + "format="
        with h5py.File(io.BytesIO(archive.get(link).data)) as file:
            dataset = file[array["signal"]["guid"]]
            np.testing.assert_array_equal(dataset[()], expected)
            assert list(dataset.attrs["channels"]) == (list(range(8)) if not query else [5, 0])
        np.testing.assert_array_equal(np.load(io.BytesIO(archive.get(asked + "npy").data)), expected)
        np.testing.assert_array_equal(archive.get(asked + "json").json, expected)
        text = archive.get(asked + "csv")
        assert text.mimetype == "text/csv"
        np.testing.assert_array_equal(np.loadtxt(io.StringIO(text.text), delimiter=",", skiprows=1), expected)

    @pytest.mark.parametrize(
        ("accept", "media_type"),
        [
            ("application/json", "application/json"),
            ("text/csv", "text/csv"),
            ("application/x-npy", "application/x-npy"),
            ("application/x-hdf5", "application/x-hdf5"),
            ("*/*", "application/x-hdf5"),
            ("text/html, application/json", "application/x-hdf5"),
        ],
    )
    def test_an_accept_header_that_names_one_media_type_does_the_same(self, archive, signal, accept, media_type):
        answer = archive.get(signal["signal"]["data"], headers={"Accept": accept})
        assert answer.mimetype == media_type
        assert archive.get(signal["signal"]["data"] + "?format=npy", headers={"Accept": accept}).mimetype.endswith(
            "npy"
        )

    @pytest.mark.parametrize("format", ["hdf5", "npy"])
    def test_length_is_known_before_reading(self, archive, signal, format):
        address = f"{signal['signal']['data']}?format={format}"
        assert archive.client.head(address).content_length == len(archive.get(address).data)

    def test_strings_are_fixed_width_utf_8(self, archive, ids):
        link = archive.fields(f"/electrophysiology/eventarray/{ids['eventarray']}")["labels"]["data"]
        assert archive.values(link)[3] == "löcher"
        with h5py.File(io.BytesIO(archive.get(link).data)) as file:
            assert next(iter(file.values())).asstr()[3] == "löcher"


class TestConditional:
    @pytest.mark.parametrize("kind", ["object", "array", "list", "info", "download"])
    def test_a_match_is_304_without_a_body(self, archive, signal, permalink, kind):
        link = signal["signal"]["data"]
        addresses = {
            "object": permalink + "?start_time=50",
            "array": link + "?downsample=7",
            "list": "/electrophysiology/analogsignal/?name=signal",
            "info": link + "/info",
            "download": link + "/download",
        }
        first = archive.get(addresses[kind])
        again = archive.get(addresses[kind], headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        other = archive.get(addresses[kind], headers={"If-None-Match": '"other"'})
        assert other.status_code == 200

    def test_an_objects_etag_begins_with_its_guid(self, archive, permalink):
        answer = archive.get(permalink)
        guid = answer.json["selected"][0]["fields"]["guid"]
        assert answer.headers["ETag"].startswith(f'"{guid}-')
        assert answer.last_modified is not None

    def test_another_question_has_another_etag(self, archive, signal):
        link = signal["signal"]["data"]
        queries = [
            "",
            "?end_index=5",
            "?downsample=4",
            "?downsample=4&method=stride",
            "?format=json",
            "?format=npy",
        ]
        assert len({archive.get(link + query).headers["ETag"] for query in queries}) == len(queries)

    def test_times_beside_extrema_have_an_etag_of_their_own(self, archive, ids):
        address = f"/electrophysiology/irsaanalogsignal/{ids['irsaanalogsignal']}"
        beside = archive.fields(f"{address}?downsample=4&method=extrema")["times"]["data"]
        alone = beside.replace("&beside=extrema", "")
        assert beside != alone and archive.get(beside).data != archive.get(alone).data
        assert archive.get(beside).headers["ETag"] != archive.get(alone).headers["ETag"]

    def test_what_is_not_public_is_for_private_caches_only(self, archive):
        with archive.app.test_request_context("/"):
            assert json_answer(b"{}", public=False).headers["Cache-Control"] == "private, no-cache"

    def test_who_may_keep_an_answer(self, archive, signal, permalink):
        for address in (permalink, signal["signal"]["data"]):
            headers = archive.get(address).headers
            assert headers["Vary"] == "Accept, Cookie, Authorization"
            assert headers["Cache-Control"] == "public, no-cache"

    def test_head_answers_the_headers_of_get(self, archive, signal, permalink):
        link = signal["signal"]["data"]
        for address in (permalink, link, link + "?format=json", link + "?format=npy", link + "/download"):
            head, get = archive.client.head(address), archive.get(address)
            assert head.status_code == 200 and head.data == b""
            for name in ("ETag", "Content-Type", "Content-Length", "Vary"):
                assert head.headers.get(name) == get.headers.get(name)


class TestPlanAndTimings:
    def test_explain_answers_the_plan_instead_of_the_data(self, archive, signal):
        (plan,) = archive.get(signal["signal"]["data"] + "?start_index=500&end_index=1500&explain=1").json["selected"]
        assert plan["selection"] == [500, 1500] and plan["points"] == 1000 and plan["chunks"] == 2
        assert plan["requests"] == len(plan["byte_ranges"]) == 1
        whole = archive.get(signal["signal"]["data"] + "?start_index=500&end_index=1500")
        assert plan["nbytes_answered"] == len(whole.data) and plan["nbytes_of_values"] == 2000
        with h5py.File(archive.folder / "signal.h5") as file:
            stored = [file["array"].id.get_chunk_info(chunk) for chunk in (0, 1)]
        start = min(chunk.byte_offset for chunk in stored)
        end = max(chunk.byte_offset + chunk.size for chunk in stored)
        assert plan["byte_ranges"] == [[start, end - start]] and plan["nbytes_fetched"] == end - start

    def test_server_timing_tells_the_parts(self, archive, signal):
        told = archive.get(signal["signal"]["data"]).headers["Server-Timing"]
        assert [part.partition(";")[0] for part in told.split(", ")] == ["index", "fetch", "decode", "encode"]


class TestDownload:
    def test_range(self, archive, signal):
        stored = (archive.folder / "signal.h5").read_bytes()
        address = signal["signal"]["data"] + "/download"
        for asked, first, last in (
            ("0-7", 0, 7),
            ("100-", 100, len(stored) - 1),
            ("-5", len(stored) - 5, len(stored) - 1),
        ):
            answer = archive.get(address, headers={"Range": f"bytes={asked}"})
            assert answer.status_code == 206 and answer.data == stored[first : last + 1]
            assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(stored)}"
        assert archive.get(address).data == stored

    def test_a_range_beyond_the_file_is_416(self, archive, signal):
        archive.error(signal["signal"]["data"] + "/download", 416, headers={"Range": "bytes=99999999-"})


class TestErrors:
    @pytest.mark.parametrize(
        "address",
        [
            "/electrophysiology/analogsignal/99999",
            "/electrophysiology/analogsignal/99999999999999999999",
            "/electrophysiology/analogsignal/-1",
            "/electrophysiology/analogsignal/１",
            "/electrophysiology/nosuchtype/",
            "/datafiles/99999",
            "/datafiles/99999/info",
            "/datafiles/99999/download",
            "/datafiles/../../etc/passwd",
            "/nowhere",
        ],
    )
    def test_what_does_not_exist_is_404(self, archive, ids, address):
        archive.error(address, 404)

    def test_another_method_is_405(self, archive, permalink):
        answer = archive.client.put(permalink)
        assert answer.status_code == 405 and "GET" in answer.headers["Allow"]
        assert answer.json["message_type"] == "method_not_allowed"

    def test_an_unknown_parameter_is_400_with_the_known_ones(self, archive, permalink):
        document = archive.error(f"{permalink}?start_tme=1", 400)
        assert "start_time" in document["message"] and "start_tme" in document["details"]

    def test_ten_thousand_parameters_are_400(self, archive, permalink):
        archive.error(f"{permalink}?" + "&".join(f"p{number}=1" for number in range(10_000)), 400)
        archive.error(f"{permalink}?" + "&".join(["start_time=1"] * 10_000), 400)

    def test_a_stranger_may_not_read_what_is_private(self, archive):
        private = archive.folder / "private.h5"
        with h5py.File(private, "w") as file:
            file["x"] = SAMPLES
        archive.register(private, safety_level=3, sampling_rate=(1.0, "Hz"))
        ids = [n for n in range(1, 40) if archive.get(f"/datafiles/{n}").status_code == 401]
        assert len(ids) == 1
        for address in ("", "/info", "/download"):
            assert archive.error(f"/datafiles/{ids[0]}{address}", 401)["message_type"] == "login_needed"
        assert archive.get("/electrophysiology/analogsignal/?name=private").json["objects_total"] == 0
        hidden = [n for n in range(1, 40) if archive.get(f"/electrophysiology/analogsignal/{n}").status_code == 401]
        assert len(hidden) == 1

    @pytest.mark.parametrize("harm", ["replaced", "truncated", "touched"])
    def test_a_file_that_changed_under_its_index_is_409(self, archive, harm):
        signal = archive.add(f"file {harm}", SAMPLES, chunks=(500,))
        path = archive.folder / f"file {harm}.h5"
        if harm == "replaced":
            path.write_bytes(path.read_bytes()[::-1])
        elif harm == "truncated":
            os.truncate(path, path.stat().st_size // 2)
        else:
            os.utime(path, (1, 1))
        document = archive.error(signal["signal"]["data"] + "?format=json", 409)
        assert document["message_type"] == "file_changed" and path.name in document["message"]
        archive.error(signal["signal"]["data"] + "/download", 409)
        archive.register(path, sampling_rate=(20000, "Hz"))

    def test_a_deleted_file_is_404_naming_it(self, archive):
        signal = archive.add("deleted", SAMPLES)
        (archive.folder / "deleted.h5").unlink()
        document = archive.error(signal["signal"]["data"], 404)
        assert document["message_type"] == "not_stored" and "deleted.h5" in document["message"]
        assert str(archive.folder) not in document["message"]

    def test_a_catalog_that_is_away_is_503_with_retry_after(self, tmp_path):
        archive = Archive(
            tmp_path, migrated=False, EPHYSTORE_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:9/none"
        )
        document = archive.error("/electrophysiology/block/", 503)
        assert document["message_type"] == "database_away"
        assert archive.get("/health").headers["Retry-After"]

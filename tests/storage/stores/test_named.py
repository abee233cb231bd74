"""Stores by name: what a settings file may say, and that nothing of it is told to anybody."""

from __future__ import annotations

import logging

import pytest

from app.config import BadSetting, Settings
from storage.errors import NotStored, ReadOnly, StoreAway
from storage.ingest.places import files_at, url_of
from storage.objectstore import S3_CLIENTS, ObjectStore
from storage.ranges import ByteRange
from storage.stores import named
from storage.stores.access import Access
from storage.stores.backend import file_name
from tests.s3 import KEYS

SECRET = "s3cr3t-of-the-lab"


def settings(tmp_path, content, **more):
    (tmp_path / "stores.toml").write_text(content)
    return Settings.from_environment({"EPHYSTORE_STORES": str(tmp_path / "stores.toml"), **more})


class TestFile:
    def test_a_store_has_all_that_is_told_of_it(self, tmp_path):
        (tmp_path / "ca.pem").write_text("")
        found = settings(
            tmp_path,
            f"""
            [lab]
            url = "s3://recordings/2024/"
            endpoint = "https://s3.example.org:9000"
            region = "eu-central-1"
            access_key_id = "AKIA"
            secret_access_key = "{SECRET}"
            ca = "{tmp_path}/ca.pem"
            [open-data]
            url = "s3://dandiarchive"
            anonymous = true
            [disk]
            url = "file:///srv/recordings"
            read_only = false
            """,
        ).stores
        assert set(found) == {"lab", "open-data", "disk"}
        assert found["lab"].url == "s3://recordings/2024" and found["lab"].read_only
        assert found["lab"].access.keys == ("AKIA", SECRET, None) and found["lab"].access.client == {
            "endpoint_url": "https://s3.example.org:9000",
            "region_name": "eu-central-1",
            "verify": f"{tmp_path}/ca.pem",
        }
        assert found["open-data"].access.is_anonymous and not found["disk"].read_only
        assert SECRET not in repr(found) and "AKIA" not in repr(found)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("[lab]", "lab.url is missing"),
            ('[lab]\nurl = "/srv"', "lab.url is not a URL"),
            ('[lab]\nurl = "s3://b"\nbucket = "b"', "lab.bucket is not known; known are url, endpoint"),
            ('[lab]\nurl = "s3://b"\nendpoint = "s3.example.org"', "lab.endpoint is not a URL such as https://"),
            ('[lab]\nurl = "s3://b"\nendpoint = "https://me:secret@s3"', "lab.endpoint is not a URL such as https://"),
            ('[lab]\nurl = "s3://b"\naccess_key_id = "AKIA"', "lab.secret_access_key is missing beside access_key_id"),
            ('[lab]\nurl = "s3://b"\nsecret_access_key = "secret"', "lab.access_key_id is missing"),
            ('[lab]\nurl = "s3://b"\nsecret_access_key = ["secret"]', "lab.secret_access_key is not a key"),
            ('[lab]\nurl = "s3://b"\nsession_token = "secret"', "lab.session_token is of no use"),
            ('[lab]\nurl = "s3://b"\nanonymous = 1', "lab.anonymous is neither true nor false"),
            ('[lab]\nurl = "s3://b"\nread_only = "no"', "lab.read_only is neither true nor false"),
            ('[lab]\nurl = "s3://b"\nca = "/no/such.pem"', "lab.ca is not a file that is there"),
            ('[lab]\nurl = "s3://b"\nregion = "Frankfurt am Main"', "lab.region is not a region"),
            ('[lab]\nurl = "file:///srv"\nregion = "eu"', "lab.region is for stores of s3:// only"),
            ('[s3]\nurl = "s3://b"', "'s3' is no name for a store"),
            ('[Lab]\nurl = "s3://b"', "'Lab' is no name for a store"),
            ('[c]\nurl = "s3://b"', "'c' is no name for a store"),
            ('lab = "secret"', "lab is not a table"),
            ('[lab]\nurl = "s3://b"\nsecret = secret', "is not TOML (at line 3"),
            ('[lab]\nurl = "s3://b"\nanonymous = true\naccess_key_id = "a"\nsecret_access_key = "secret"', "anonymous"),
        ],
    )
    def test_whatever_is_wrong_is_told_by_its_name_and_without_its_value(self, tmp_path, content, said):
        with pytest.raises(BadSetting, match="EPHYSTORE_STORES") as error:
            settings(tmp_path, content)
        assert said in str(error.value) and "secret@" not in str(error.value)
        assert not {"secret", '"secret"'} & set(str(error.value).replace(",", " ").split())

    def test_all_that_is_wrong_is_told_at_once(self, tmp_path):
        with pytest.raises(BadSetting) as error:
            settings(tmp_path, '[lab]\nurl = 3\nbucket = 4\n[other]\nanonymous = "x"')
        for word in ("lab.url", "lab.bucket", "other.anonymous", "other.url"):
            assert word in str(error.value)

    def test_a_file_that_is_not_there_is_told(self, tmp_path):
        with pytest.raises(BadSetting, match=r"EPHYSTORE_STORES: .*none\.toml cannot be read: No such file"):
            Settings.from_environment({"EPHYSTORE_STORES": str(tmp_path / "none.toml")})

    def test_the_service_keeps_its_own_files_only_where_it_may_write(self, tmp_path):
        told = '[own]\nurl = "file:///srv"\nread_only = false\n[lab]\nurl = "file:///lab"'
        assert settings(tmp_path, told, EPHYSTORE_STORE_URL="own:ephystore").store_url == "own:ephystore"
        for place, said in (("lab:x", "lab, which is read-only"), ("nosuch:x", "does not name: nosuch")):
            with pytest.raises(BadSetting, match=said):
                settings(tmp_path, told, EPHYSTORE_STORE_URL=place)


def test_places_are_told_apart():
    assert named.split_place("lab:night/3.nwb") == ("lab", "night/3.nwb")
    for name in ("s3://lab/x", "datafiles/aa/b.h5", "/srv/a:b.h5", "c:x", "s3:/x", "file:///lab:x"):
        assert named.split_place(name) is None
    assert (
        named.is_registered("lab:a") and named.is_registered("s3://b/a") and not named.is_registered("datafiles/a.h5")
    )
    assert (file_name("lab:a.nwb"), file_name("lab:night/3.nwb")) == ("a.nwb", "3.nwb")


class TestFolder:
    @pytest.fixture
    def store(self, tmp_path):
        (tmp_path / "lab" / "night").mkdir(parents=True)
        (tmp_path / "lab" / "night" / "3.nwb").write_bytes(b"content")
        stores = named.parsed(
            f'[lab]\nurl = "file://{tmp_path}/lab"\n[own]\nurl = "file://{tmp_path}"\nread_only = false'
        )
        return ObjectStore("own:store", stores=stores)

    def test_its_files_are_named_by_it(self, store):
        assert files_at(store, "lab:") == files_at(store, "lab:night/") == ["lab:night/3.nwb"]
        assert files_at(store, "lab:/night//3.nwb") == ["lab:night/3.nwb"]
        assert store.get_ranges("lab:night/3.nwb", [ByteRange(1, 3)], pin=store.stat("lab:night/3.nwb").pin) == [b"ont"]
        assert store.open_local("lab:night/3.nwb").read() == b"content"

    def test_nothing_leads_out_of_it(self, store, tmp_path):
        (tmp_path / "secret.nwb").write_bytes(b"secret")
        with pytest.raises(NotStored, match="leads out"):
            store.stat("lab:../secret.nwb")

    def test_a_store_of_no_name_is_told(self, store):
        with pytest.raises(StoreAway, match="no store named nosuch; EPHYSTORE_STORES has lab, own"):
            store.stat("nosuch:a")

    def test_a_path_that_is_spelled_like_a_place_is_a_path(self, store, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "rat:7.nwb").touch()
        assert url_of("rat:7.nwb", store) == f"file://{tmp_path}/rat:7.nwb"
        assert url_of("lab:7.nwb", store) == "lab:7.nwb"

    def test_nothing_is_written_where_it_is_read_only(self, store, tmp_path):
        for ask in (
            lambda: store.put("lab:a.h5", b"x"),
            lambda: store.write("lab:a.h5", [b"x"], at_most_nbytes=1),
            lambda: store.remove("lab:night/3.nwb"),
            lambda: store.begin_parts("lab:a.h5"),
        ):
            with pytest.raises(ReadOnly, match="lab is read-only"):
                ask()
        assert [path.name for path in (tmp_path / "lab").rglob("*.*")] == ["3.nwb"]

    def test_the_service_may_keep_its_own_files_in_one(self, store, tmp_path):
        store.put("sidecars/aa/a.h5", b"x")
        assert (tmp_path / "store/sidecars/aa/a.h5").read_bytes() == b"x"
        assert store.find_all("sidecars") == {"sidecars/aa/a.h5"}


@pytest.mark.parametrize("client", S3_CLIENTS)
class TestS3:
    def store(self, s3, client, **told):
        access = {"endpoint": s3.url, "region": "us-east-1", **told}
        if not told:
            access |= {"access_key_id": KEYS["aws_access_key_id"], "secret_access_key": KEYS["aws_secret_access_key"]}
        lines = "\n".join(
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = true" for key, value in access.items()
        )
        stores = named.parsed(f'[lab]\nurl = "s3://recordings/{client}"\n{lines}')
        return ObjectStore("memory://own", s3_client=client, stores=stores)

    def test_it_is_reached_by_what_is_told_of_it_and_by_nothing_else(self, s3, client, monkeypatch):
        s3.put(f"recordings/{client}/night/3.nwb", b"content")
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)
        store = self.store(s3, client)
        assert store.list("lab:night") == ["lab:night/3.nwb"] == files_at(store, "lab:")
        pin = store.stat("lab:night/3.nwb").pin
        assert store.get_ranges("lab:night/3.nwb", [ByteRange(1, 3)], pin=pin) == [b"ont"]
        (found,) = store.find("lab:night").files
        assert found.stat == store.stat("lab:night/3.nwb") and found.modified_s > 1.6e9

    def test_its_secrets_are_in_no_error_and_no_log(self, s3, client, caplog):
        caplog.set_level(logging.DEBUG)
        store = self.store(s3, client, access_key_id="AKIAOFTHELAB", secret_access_key=SECRET)
        s3.create_bucket(f"shut-{client}")
        said = []
        for ask in (store.stat, store.find, lambda url: store.get_ranges(url, [ByteRange(0, 1)])):
            with pytest.raises(NotStored) as error:
                ask("lab:none.nwb")
            said.append(str(error.value))
        own = [one.getMessage() for one in caplog.records if one.name.startswith(("storage", "app"))]
        assert SECRET not in "".join([*said, *own, repr(store.stores)])
        with pytest.raises(StoreAway) as error:
            ObjectStore("memory://own", s3_client=client, stores={"lab": unreachable()}).stat("lab:a")
        assert SECRET not in str(error.value)

    def test_a_folder_that_is_one_recording_is_told_once_and_its_files_are_not_listed(self, s3, client):
        names = [f"{number:04}" for number in range(2500)]
        for name in names[:40]:
            s3.put(f"recordings/{client}/zarr/a.zarr/{name}", b"x")
        for key in ("zarr/0.nwb", "zarr/a.zarr.nwb", "zarr/b.nwb", "zarr/deep/c.ZARR/0/0"):
            s3.put(f"recordings/{client}/{key}", b"x")
        listing = self.store(s3, client).find("lab:zarr")
        assert [one.name for one in listing.files] == ["lab:zarr/0.nwb", "lab:zarr/a.zarr.nwb", "lab:zarr/b.nwb"]
        assert listing.closed == ["lab:zarr/a.zarr", "lab:zarr/deep/c.ZARR"]


def unreachable():
    access = Access("http://127.0.0.1:9", "us-east-1", "AKIAOFTHELAB", SECRET)
    return named.NamedStore("lab", "s3://recordings", access, read_only=True)


def test_of_a_zarr_only_one_page_is_listed_however_many_files_it_has(s3):
    for number in range(2300):
        s3.put(f"recordings/pages/a.zarr/{number:04}", b"x")
    for key in ("b.nwb", "c.nwb"):
        s3.put(f"recordings/pages/{key}", b"x")
    store = ObjectStore("s3://recordings")
    store.find("s3://recordings/pages/b.nwb")
    s3.clear()
    listing = store.find("s3://recordings/pages")
    assert [file_name(one.name) for one in listing.files] == ["b.nwb", "c.nwb"] and len(listing.closed) == 1
    assert [r.method for r in s3.requests] == ["GET", "GET"]

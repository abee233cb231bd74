"""What every object store must do, run for each kind."""

from __future__ import annotations

import os

import pytest

from storage.errors import FileChanged, NotStored
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.serving import pinned
from storage.objectstore import ObjectStore
from storage.ranges import ByteRange
from tests.contracts.stores import KINDS, make

CONTENT = bytes(range(256)) * 300
NAMES = [
    "plain.h5",
    "Größe µV ☃.h5",
    "two words.h5",
    "100%.h5",
    "a%20b.h5",
    "run#2.h5",
    "what?.h5",
    "a+b&c=d.h5",
    "[1]*.h5",
    "deep/er/one.h5",
]


@pytest.fixture(params=KINDS)
def store(request, tmp_path, monkeypatch):
    """An empty store of each kind."""
    return make(request.param, request, tmp_path, monkeypatch)


@pytest.fixture
def root(store):
    """Where its files are."""
    return store.root_url


class TestEveryStore:
    @pytest.mark.parametrize("name", NAMES)
    def test_what_was_put_is_got_listed_and_opened(self, store, root, name):
        store.put(name, CONTENT)
        pin = store.stat(name).pin
        assert store.get_ranges(name, [ByteRange(5, 10)], pin=pin) == [CONTENT[5:15]]
        with pinned(store, name, store.stat(name), Limits()) as file:
            assert file.answer([[0, len(CONTENT)]]) == [CONTENT]
        assert store.list(root) == store.list(f"{root}/{name}")

    @pytest.mark.parametrize("name", NAMES)
    def test_a_listed_url_names_the_file(self, store, root, name):
        store.put(name, CONTENT)
        (url,) = store.list(root)
        assert url == f"{root}/{name}"
        assert store.get_ranges(url, [ByteRange(0, 4)], pin=store.stat(name).pin) == [CONTENT[:4]]

    def test_ranges_come_back_in_the_order_asked(self, store):
        store.put("a.h5", CONTENT)
        ranges = [ByteRange(70000, 5), ByteRange(0, 1), ByteRange(256, 256), ByteRange(0, 1)]
        assert store.get_ranges("a.h5", ranges) == [CONTENT[r.byte_offset : r.end] for r in ranges]

    def test_the_last_byte_is_there(self, store):
        store.put("a.h5", CONTENT)
        assert store.get_ranges("a.h5", [ByteRange(len(CONTENT) - 1, 1)]) == [CONTENT[-1:]]

    def test_a_whole_file_is_one_range(self, store):
        store.put("a.h5", CONTENT)
        assert store.get_ranges("a.h5", [ByteRange(0, len(CONTENT))]) == [CONTENT]

    def test_stat_tells_size_and_a_pin_that_stays(self, store):
        store.put("a.h5", CONTENT)
        assert store.stat("a.h5").nbytes == len(CONTENT)
        assert store.stat("a.h5") == store.stat("a.h5")

    def test_a_file_of_the_same_size_with_other_content_is_changed(self, store):
        store.put("a.h5", CONTENT)
        pin = store.stat("a.h5").pin
        store.put("a.h5", CONTENT[::-1])
        with pytest.raises(FileChanged, match=r"a\.h5"):
            store.get_ranges("a.h5", [ByteRange(0, 4)], pin=pin)
        assert store.stat("a.h5").pin != pin

    @pytest.mark.parametrize("pinned", [True, False])
    @pytest.mark.parametrize("part", [ByteRange(80, 40), ByteRange(200, 5), ByteRange(100, 1)])
    def test_a_file_that_became_shorter_is_changed(self, store, pinned, part):
        store.put("a.h5", CONTENT)
        pin = store.stat("a.h5").pin if pinned else None
        store.put("a.h5", CONTENT[:100])
        with pytest.raises(FileChanged, match=r"a\.h5"):
            store.get_ranges("a.h5", [ByteRange(0, 4), part], pin=pin)

    def test_what_is_missing_is_not_stored(self, store, root):
        for ask in (
            lambda: store.get_ranges("none.h5", [ByteRange(0, 4)]),
            lambda: store.get_ranges("none.h5", [ByteRange(0, 4)], pin="pin"),
            lambda: store.stat("none.h5"),
            lambda: store.open_local("none.h5") or store.stat("none.h5"),
        ):
            with pytest.raises(NotStored, match=r"^none\.h5 is not in the store"):
                ask()
        with pytest.raises(NotStored):
            store.list(f"{root}/none.h5")

    def test_a_folder_that_is_one_recording_is_listed_once_and_nothing_in_it(self, store, root):
        names = ["a.nwb", "b.zarr/.zattrs", "b.zarr/x.nwb", "b.zarr0", "deep/c.ZARR/0/0.0", "deep/d.nwb", "e.nwb"]
        for name in names:
            store.put(name, b"x")
        found = store.find(root)
        files = [one.name.removeprefix(f"{root}/") for one in found.files]
        assert files == ["a.nwb", "b.zarr0", "deep/d.nwb", "e.nwb"]
        assert [url.removeprefix(f"{root}/") for url in found.closed] == ["b.zarr", "deep/c.ZARR"]

    def test_a_folder_is_not_a_file(self, store):
        store.put("folder/a.h5", CONTENT)
        with pytest.raises(NotStored):
            store.stat("folder")
        with pytest.raises(NotStored):
            assert store.open_local("folder") or store.stat("folder")
        with pytest.raises(NotStored):
            store.get_ranges("folder", [ByteRange(0, 4)])

    def test_a_list_holds_all_below_a_folder_and_nothing_beside_it(self, store, root):
        for name in ("rat1/b.h5", "rat1/deep/a.h5", "rat10/c.h5", "rat2.h5"):
            store.put(name, CONTENT)
        expected = [f"{root}/rat1/b.h5", f"{root}/rat1/deep/a.h5"]
        assert store.list(f"{root}/rat1") == expected
        assert store.list(f"{root}/rat1/") == expected

    def test_nothing_wanted_is_nothing_got(self, store):
        assert store.get_ranges("none.h5", []) == []

    def test_put_replaces_a_file_whole(self, store):
        store.put("a.h5", CONTENT)
        store.put("a.h5", b"short")
        assert store.stat("a.h5").nbytes == 5
        assert store.get_ranges("a.h5", [ByteRange(0, 5)]) == [b"short"]


def test_a_store_is_a_url():
    with pytest.raises(ValueError, match="URL"):
        ObjectStore("/srv/store")


def test_an_unknown_store_is_not_stored():
    with pytest.raises(NotStored, match="nosuch://"):
        ObjectStore("nosuch://place").stat("a.h5")


class TestFolder:
    def test_hidden_files_are_not_listed(self, tmp_path):
        for name in (".hidden/a.h5", "seen/.b.h5", "seen/c.h5"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"1")
        assert ObjectStore(f"file://{tmp_path}").list(f"file://{tmp_path}") == [f"file://{tmp_path}/seen/c.h5"]

    def test_put_leaves_no_other_file_behind(self, tmp_path):
        ObjectStore(f"file://{tmp_path}").put("a.h5", CONTENT)
        assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]

    def test_a_file_replaced_by_one_of_the_same_age_and_size_is_changed(self, tmp_path):
        store = ObjectStore(f"file://{tmp_path}")
        store.put("a.h5", CONTENT)
        seen = (tmp_path / "a.h5").stat()
        pin = store.stat("a.h5").pin
        store.put("a.h5", CONTENT[::-1])
        os.utime(tmp_path / "a.h5", ns=(seen.st_atime_ns, seen.st_mtime_ns))
        with pytest.raises(FileChanged):
            store.get_ranges("a.h5", [ByteRange(0, 4)], pin=pin)

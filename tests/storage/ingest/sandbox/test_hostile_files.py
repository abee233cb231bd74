"""Files made to do harm: each is refused with a reason, or served right; none takes longer than the limits."""

from __future__ import annotations

import io
import logging
import struct

import h5py
import numpy as np
import pytest

from storage.errors import Refused
from storage.hdf5 import sidecar
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from tests.storage.hdf5.many_chunks import write as write_many_chunks
from tests.storage.ingest.sandbox.files import nwb, reasons, series
from tests.storage.stored import described_dataset, expected_of, read, reader_of

CANARY = b"canary 5f3a9c71"


class TestOtherFiles:
    """What HDF5 would read of other files of the machine is in no finding, no sidecar and no line of the log."""

    @pytest.fixture
    def secret(self, tmp_path):
        (tmp_path / "secret").write_bytes(CANARY * 10)
        with h5py.File(tmp_path / "secret.h5", "w") as file:
            file["data"] = np.frombuffer(CANARY, "u1")
            file["text"] = CANARY
            file.create_group("group").attrs.update(neurodata_type=CANARY, description=CANARY)
        return tmp_path

    def assert_nothing_came_over(self, found, caplog):
        kept = [repr((found.objects, found.arrays, found.refusals)).encode(), caplog.text.encode()]
        for path, told in found.datasets.items():
            parts = {"chunks": told.chunks, "values": told.values, "blocks": found.blocks.get(path)}
            kept.append(sidecar.dump({name: part for name, part in parts.items() if part is not None})[0])
        assert not any(CANARY in content for content in kept)
        assert not any(str(list(CANARY))[1:-1].encode() in content for content in kept)

    def test_external_samples(self, inspected, secret, caplog):
        caplog.set_level(logging.DEBUG)

        def write(file):
            external = [(str(secret / "secret"), 0, len(CANARY))]
            series(nwb(file), "s", shape=(len(CANARY),), dtype="u1", external=external)
            series(file, "fine", data=np.arange(3.0))

        found = inspected(write)
        with h5py.File(secret / "a.h5") as file:
            assert file["s/data"][...].tobytes() == CANARY  # which is what whoever opens it here would get
        assert "in another file" in reasons(found)["/s"]
        assert [one.source_path for one in found.objects] == ["/", "/", "/fine"]
        self.assert_nothing_came_over(found, caplog)

    def test_links_to_other_files(self, inspected, secret, caplog):
        caplog.set_level(logging.DEBUG)
        other = str(secret / "secret.h5")

        def write(file):
            nwb(file)
            group = series(file, "s")
            group["data"] = h5py.ExternalLink(other, "/data")
            times = series(file, "t", data=np.arange(3.0))
            del times["starting_time"]
            times["timestamps"] = h5py.ExternalLink(other, "/data")
            file["session_description"] = h5py.ExternalLink(other, "/text")
            file["processing"] = h5py.ExternalLink(other, "/group")
            file["soft"] = h5py.SoftLink("/processing")
            names = series(file, "names", data=np.zeros((3, 2)))
            names["electrodes"] = h5py.SoftLink("/elsewhere")
            names["channel_conversion"] = h5py.ExternalLink(other, "/data")

        found = inspected(write)
        with h5py.File(secret / "a.h5") as file:
            assert file["s/data"][...].tobytes() == CANARY and file["session_description"][()] == CANARY
        assert reasons(found).keys() == {"/s", "/t", "/names", "/processing", "/session_description"}
        self.assert_nothing_came_over(found, caplog)

    def test_plain_files_with_links(self, inspected, secret, caplog):
        def write(file):
            file["signal"] = np.arange(5.0)
            file["other"] = h5py.ExternalLink(str(secret / "secret.h5"), "/data")

        self.assert_nothing_came_over(inspected(write), caplog)

    @pytest.mark.parametrize("own", [False, True])
    def test_virtual_datasets_and_cycles_of_them(self, inspected, secret, caplog, own):
        def virtual(file, source, name):
            layout = h5py.VirtualLayout((10,), "u1")
            layout[:] = h5py.VirtualSource(source, name, (10,))
            return layout

        def write(file):
            nwb(file)
            for name, source in (("a", "b"), ("b", "a"), ("c", "c")):
                place = "." if own else str(secret / "secret.h5")
                group = series(file, name)
                group.create_virtual_dataset("data", virtual(file, place, f"/{source}/data" if own else "/data"))

        found = inspected(write)
        assert all("virtual" in reasons(found)[f"/{name}"] for name in "abc") and len(found.objects) == 2
        self.assert_nothing_came_over(found, caplog)


class TestTrees:
    def test_groups_that_contain_themselves(self, inspected):
        def write(file):
            nwb(file)
            a = file.create_group("a")
            a["up"], a["self"] = file["/"], a
            series(a, "s", data=np.arange(3.0))
            file["again"] = a

        found = inspected(write)
        assert [one.type_name for one in found.objects] == ["block", "segment", "analogsignal"]

    def test_three_thousand_nested_groups(self, inspected):
        def write(file):
            group = nwb(file)
            for _ in range(3000):
                group = group.create_group("g")
                group.attrs["neurodata_type"] = "LabMetaData"
            series(file, "s", data=np.arange(3.0))

        found = inspected(write)
        assert [one.type_name for one in found.objects] == ["block", "segment", "analogsignal"]

    def test_a_billion_paths(self, inspected):
        def write(file):
            group = nwb(file)
            for _ in range(30):
                inner = group.create_group("left")
                inner.attrs["neurodata_type"] = "ProcessingModule"
                group["right"] = inner
                group = inner
            series(group, "s", data=np.arange(3.0))

        found = inspected(write, timeout_s=5)
        assert [one.type_name for one in found.objects] == ["block", "segment", "analogsignal"]

    def test_more_series_than_are_taken(self, inspected, store):
        few = Sandbox(Limits(items=50))

        def write(file):
            for number in range(60):
                series(nwb(file), str(number), data=np.arange(3.0))

        with pytest.raises(Refused, match="more than 50 objects"):
            inspected(write, by=few.inspect)
        few.close()


class TestSizes:
    def test_a_chunk_of_two_gigabytes_in_nine_kilobytes(self, inspected, store, tmp_path):
        def write(file):
            dataset = file.create_dataset("a", (2 << 30,), "u1", chunks=(2 << 30,), compression="gzip")
            dataset.id.write_direct_chunk((0,), b"x" * 5000)

        found = inspected(write)
        assert (tmp_path / "a.h5").stat().st_size < 10_000
        assert "2147483648 bytes" in reasons(found)["/a"] and found.arrays == {}

    def test_a_bomb_that_parsing_would_inflate(self, inspected):
        """Times are read from end to end; a chunk of 3 GiB of them is more memory than is allowed."""

        def write(file):
            group = series(nwb(file), "s", data=np.zeros(3))
            del group["starting_time"]
            shape = (400 << 20,)
            times = group.create_dataset("timestamps", shape, "f8", chunks=shape, compression="gzip")
            times.id.write_direct_chunk((0,), b"x" * 5000)
            del group["data"]
            group.create_dataset("data", shape, "u1", chunks=(1 << 20,))

        found = inspected(write)
        assert reasons(found).keys() == {"/s"} and len(found.objects) == 2

    def test_more_chunks_than_an_index_can_hold(self, inspected):
        found = inspected(lambda file: file.create_dataset("a", (1 << 50,), "u1", chunks=(1,)))
        assert "chunks, more than" in reasons(found)["/"]

    def test_an_index_too_large_to_be_told(self, inspected):
        """Fifty million chunks that were never written: their rows alone are more than a process may say."""
        with pytest.raises(Refused, match=r"said more than is allowed|needs more memory"):
            inspected(lambda file: file.create_dataset("a", (49_000_000,), "u1", chunks=(1,)))

    def test_petabytes_that_were_never_written(self, inspected):
        found = inspected(lambda file: file.create_dataset("a", (1 << 60,), "u1"))
        assert "64 TiB" in reasons(found)["/a"]

    @pytest.mark.parametrize(
        ("creation", "reason"),
        [
            ({"shape": (2, 1 << 28), "dtype": "f8"}, "channels"),
            ({"shape": (1, 1 << 33), "dtype": "u1"}, "channels"),
            ({"shape": (3, 1 << 12, 1 << 13), "dtype": "f8"}, "one of its samples"),
            (
                {"shape": (10, 4096, 4096), "dtype": "i1", "chunks": (1, 4096, 4096)},
                "one of its samples has 16777216 numb",
            ),
            ({"shape": (3, 1 << 10, 100), "dtype": "S1000"}, "one of its samples has 102400000 bytes"),
            ({"shape": (1 << 11, 1 << 16), "dtype": "f8", "chunks": (1 << 11, 1 << 10)}, "the chunks of one"),
            ({"shape": (1 << 40, 8), "dtype": "f8"}, "cannot hold"),
            ({"shape": (1 << 28, 9), "dtype": "f8", "chunks": (1 << 20, 1), "compression": "gzip"}, "cannot hold"),
        ],
    )
    def test_a_small_file_that_would_make_reading_large(self, inspected, sandbox, creation, reason):
        def write(file):
            file.create_dataset("a", **creation)

        with pytest.raises(Refused, match=reason):
            inspected(write, by=sandbox.check)
        if len(creation["shape"]) < 3:  # more axes are no signal anyway
            assert reason in reasons(inspected(write))["/a"]

    def test_an_index_of_a_million_chunks_passes(self, inspected):
        content = write_many_chunks((2 * 1_300_000,), (2,), written=set(range(0, 1_300_000, 13)), nbytes=8)
        found = inspected(content)
        assert len(found.datasets["/signal"].chunks) == 1_300_000

    def test_text_of_megabytes(self, inspected):
        def write(file):
            nwb(file).create_dataset("session_description", data="x" * (5 << 20))
            group = series(file, "s", data=np.arange(3.0))
            group.attrs.create("description", "y" * 60_000)
            group["comments"] = "z" * (5 << 20)

        found = inspected(write)
        assert max(len(str(one.fields)) for one in found.objects) < 20_000
        assert found.refusals == []


def chunked_content():
    """A file of four chunks, and the places in it of the number and length of each one's bytes."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        dataset = file.create_dataset("a", data=np.arange(4000.0), chunks=(1000,), compression="gzip")
        chunks = [dataset.id.get_chunk_info(number) for number in range(4)]
    content = memory.getvalue()
    return content, [(content.index(struct.pack("<Q", one.byte_offset)), one) for one in chunks]


class TestIndices:
    @pytest.mark.parametrize("offset", [0, 1, 1 << 30, 2**63 - 1, 2**63, 2**64 - 2, -1])
    def test_lying_offsets(self, inspected, store, offset):
        content, places = chunked_content()
        place, chunk = places[2]
        offset = len(content) - chunk.size + 1 if offset == -1 else offset
        lying = content[:place] + struct.pack("<Q", offset) + content[place + 8 :]
        self.refused_or_read_right(inspected, store, lying, must_refuse=offset > len(content) - chunk.size)

    @pytest.mark.parametrize("nbytes", [0, 1, 50_000_000, 2**31, 2**32 - 1])
    def test_lying_sizes(self, inspected, store, nbytes):
        content, places = chunked_content()
        place, chunk = places[2]
        key = content.rindex(struct.pack("<IIQQ", chunk.size, 0, 2000, 0), 0, place)
        lying = content[:key] + struct.pack("<I", nbytes) + content[key + 4 :]
        self.refused_or_read_right(inspected, store, lying, must_refuse=nbytes != 1)

    def refused_or_read_right(self, inspected, store, content, *, must_refuse):
        try:
            found = inspected(content)
        except Refused:
            return
        if must_refuse:
            assert found.arrays == {} and "damaged" in reasons(found)["/a"]
            return
        for path, told in found.datasets.items():
            dataset = described_dataset(store, "a.h5", told)
            with pytest.raises(Exception, match=r"damaged|changed"):
                read(reader_of(store), stored_array_of(dataset))
            with pytest.raises(OSError, match="read"):
                expected_of(content, path)

    def test_a_chunk_that_is_told_but_not_found(self, inspected):
        """Its key is damaged: libhdf5 tells of it, and gives fill values for it."""
        content, places = chunked_content()
        key = places[2][0] - 16
        lying = content[:key] + struct.pack("<Q", 3000) + content[key + 8 :]
        with h5py.File(io.BytesIO(lying)) as file:
            assert file["a"].id.get_num_chunks() == 4 and not file["a"][2000:3000].any()
        found = inspected(lying)
        assert found.arrays == {} and "not in order" in reasons(found)["/"]

    def test_chunks_beyond_the_end_that_the_file_tells(self, inspected):
        content, _ = chunked_content()
        ends = [(40, len(content) - 5), (24, 5)]  # the end itself, or a beginning that moves it
        for place, number in ends:
            lying = content[:place] + struct.pack("<Q", number) + content[place + 8 :]
            with h5py.File(io.BytesIO(lying)) as file, pytest.raises(OSError, match="overflow"):
                file["a"][...]
            found = inspected(lying)
            assert found.arrays == {} and "beyond the end" in reasons(found)["/a"]

    def test_a_part_of_a_file_that_is_spread_over_several(self, inspected):
        content = write_many_chunks((10,), (2,), userblock=512)
        with pytest.raises(Refused, match="spread over several"):
            inspected(content[: 512 + 48] + struct.pack("<Q", 2**64 - 1 - 2**54) + content[512 + 56 :])

    def test_a_node_of_the_index_that_leads_to_itself(self, inspected):
        """Which libhdf5 by itself walks for ever."""
        content = bytearray(write_many_chunks((2 * 500,), (2,), nbytes=20, compression="gzip"))
        roots = [place for place in range(len(content)) if content.startswith(b"TREE\x01\x01", place)]
        (root,) = roots
        first_child = root + 24 + 8 + 16
        assert content[struct.unpack_from("<Q", content, first_child)[0] :].startswith(b"TREE\x01\x00")
        struct.pack_into("<Q", content, first_child, root)
        with pytest.raises(Refused) as told:
            found = inspected(bytes(content))
            assert found.arrays == {}
            raise Refused(reasons(found)["/"])
        assert "damaged" in str(told.value) or "processor time" in str(told.value)


def stored_array_of(dataset):
    from storage.answer import StoredArray

    return StoredArray(dataset, first_row=0, n_samples=dataset.shape[0])

"""Files read over a network: what libhdf5 gets is what lies there, in few rounds and a small part of the bytes."""

from __future__ import annotations

import io
import struct
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import Refused, StoreAway
from storage.hdf5 import chunk_index, index_nodes, look_ahead, sectors
from storage.hdf5.remote_file import RemoteFile
from tests.storage.hdf5.many_chunks import Remote, chunk_infos, rows_of, write

STRUCTURES = {
    "btree1": ((40_000,), (2,), {"maxshape": (None,)}),
    "btree1-2d": ((10_000, 8), (2, 2), {}),
    "extensible": ((40_000,), (2,), {"libver": "latest", "maxshape": (None,)}),
    "btree2": ((10_000, 8), (2, 2), {"libver": "latest", "maxshape": (None, None)}),
    "fixed": ((40_000,), (2,), {"libver": "latest"}),
}


def opened(content, **options):
    remote = Remote(content)
    return RemoteFile(remote.fetch, len(content), **options), remote


def same_index(content, **options):
    """Whether the index built over ranges is the one that libhdf5 tells of the local copy; and what it took."""
    file, remote = opened(content, **options)
    with h5py.File(file, "r") as read:
        rows = chunk_index.build(read["signal"])
    assert rows.tolist() == rows_of(content)
    return file, remote


@st.composite
def datasets(draw):
    """A file of up to some thousand chunks, with any kind of index."""
    rank = draw(st.integers(1, 3))
    chunks = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    longest = {1: 3000, 2: 60, 3: 14}[rank]
    grid = tuple(draw(st.integers(1, longest)) for _ in range(rank))
    shape = tuple(draw(st.integers((n - 1) * length + 1, n * length)) for n, length in zip(grid, chunks, strict=True))
    growing = draw(st.integers(0, rank))
    options = {
        "libver": draw(st.sampled_from(["earliest", "v108", "latest"])),
        "userblock": draw(st.sampled_from([0, 512, 2048])),
        "compression": draw(st.sampled_from([None, "gzip"])),
        "maxshape": (None,) * growing + tuple(map(max, shape[growing:], chunks[growing:])),
        "nbytes": draw(st.sampled_from([4, 40, 400])),
    }
    if draw(st.booleans()):
        n_chunks = int(np.prod(grid))
        every, first = draw(st.integers(1, n_chunks)), draw(st.integers(0, n_chunks))
        options["written"] = set(range(first, n_chunks, every))
    return write(shape, chunks, **options)


@given(datasets(), st.sampled_from([4096, 64 * 1024]), st.sampled_from([10_000, 300_000, 64 << 20]))
@settings(max_examples=80)
def test_an_index_built_over_ranges_is_that_of_the_local_file(content, sector_nbytes, max_nodes_nbytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sectors, "SECTOR_NBYTES", sector_nbytes)
        file, _ = same_index(content, max_nodes_nbytes=max_nodes_nbytes)
    assert file.kept_nbytes <= max_nodes_nbytes + (32 << 20)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("shape", [(2,), (5000,)])
def test_an_index_without_nodes(shape, early):
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if early:
        dcpl.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    same_index(write(shape, (2,), libver="latest", dcpl=dcpl))


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_an_index_of_any_structure_takes_four_rounds_at_the_most(structure, compression):
    shape, chunks, creation = STRUCTURES[structure]
    _, remote = same_index(write(shape, chunks, nbytes=200, compression=compression, **creation))
    assert remote.rounds <= 4


@pytest.mark.parametrize("structure", ["extensible", "fixed"])
def test_an_index_of_long_data_blocks_takes_four_rounds_at_the_most(structure):
    """Beyond 65,536 chunks, data blocks of an extensible array come in parts."""
    _, _, creation = STRUCTURES[structure]
    content = write((300_000,), (2,), nbytes=200, compression="gzip", **creation)
    file, remote = opened(content)
    assert chunk_infos(file) == chunk_infos(io.BytesIO(content))
    assert remote.rounds <= 4


@pytest.mark.parametrize("structure", STRUCTURES)
def test_scattered_nodes_are_read_and_not_the_chunks_between_them(structure):
    shape, chunks, creation = STRUCTURES[structure]
    content = write(shape, chunks, nbytes=8000, compression="gzip", **creation)
    _, remote = same_index(content)
    assert remote.rounds <= 4
    assert remote.nbytes < len(content) * 0.01


def test_a_user_block_changes_nothing():
    shape, chunks, creation = STRUCTURES["btree1"]
    content = write(shape, chunks, nbytes=1000, compression="gzip", userblock=4096, **creation)
    _, remote = same_index(content)
    assert remote.rounds <= 4


def test_no_byte_is_fetched_twice_while_there_is_room():
    shape, chunks, creation = STRUCTURES["btree1-2d"]
    content = write(shape, chunks, nbytes=8000, compression="gzip", **creation)
    _, remote = same_index(content)
    assert remote.times_asked(first_call=1).max() == 1


@pytest.mark.parametrize("structure", STRUCTURES)
def test_memory_is_bounded_and_what_found_no_room_is_fetched_together_later(structure):
    shape, chunks, creation = STRUCTURES[structure]
    content = write(shape, chunks, nbytes=4000, compression="gzip", **creation)
    budget = 200_000
    remote, most, file = Remote(content), [0], None

    def fetch(ranges):
        most[0] = max(most[0], file.kept_nbytes - file._sectors.kept.nbytes)
        if remote.calls:
            assert sum(part.nbytes for part in ranges) <= budget
        return remote.fetch(ranges)

    file = RemoteFile(fetch, len(content), max_nodes_nbytes=budget)
    with h5py.File(file, "r") as read:
        rows = chunk_index.build(read["signal"])
    assert rows.tolist() == rows_of(content)
    assert 0 < most[0] <= budget
    assert remote.rounds <= 4 + 2 * remote.nbytes / budget


def test_reads_that_go_forward_are_met_by_longer_and_longer_runs():
    content = np.random.default_rng(1).bytes(20 << 20)
    file, remote = opened(content)
    assert b"".join(iter(lambda: file.read(30_000), b"")) == content
    assert remote.rounds < 14
    assert file.kept_nbytes <= 32 << 20
    assert remote.nbytes == len(content)


def test_reads_here_and_there_fetch_what_surrounds_them():
    content = np.random.default_rng(1).bytes(20 << 20)
    file, remote = opened(content)
    places = np.random.default_rng(2).integers(0, len(content) - 600, 50).tolist()
    for place in places:
        file.seek(place)
        assert file.read(600) == content[place : place + 600]
    assert remote.nbytes <= 51 * 2 * sectors.SECTOR_NBYTES + 4 * sectors.SECTOR_NBYTES


@given(st.lists(st.tuples(st.integers(0, 300_000), st.integers(0, 20_000)), max_size=30), st.integers(1, 300_000))
def test_a_file_reads_as_its_bytes(reads, nbytes):
    content = np.random.default_rng(nbytes).bytes(nbytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sectors, "SECTOR_NBYTES", 1000)
        patch.setattr(sectors, "LONG_NBYTES", 15_000)
        file, local = opened(content)[0], io.BytesIO(content)
        for place, length in reads:
            assert file.seek(place) == local.seek(place)
            assert file.read(length) == local.read(length)
            assert file.tell() == local.tell()
        assert file.seek(0, io.SEEK_END) == nbytes


def test_after_a_failure_nothing_more_is_asked():
    shape, chunks, creation = STRUCTURES["btree1"]
    content = write(shape, chunks, nbytes=4000, compression="gzip", **creation)
    remote = Remote(content)

    def fetch(ranges):
        if remote.rounds == 2:
            remote.calls.append([])
        if remote.rounds > 2:
            raise StoreAway("the store does not answer")
        return remote.fetch(ranges)

    file = RemoteFile(fetch, len(content))
    with h5py.File(file, "r") as read:
        for _ in range(2):
            with pytest.raises(StoreAway):
                chunk_index.build(read["signal"])
    with pytest.raises(StoreAway):
        file.raise_failure()
    assert remote.rounds == 3


class TestDamagedNodes:
    """Trees that are not what they say: libhdf5's own judgement, or a refusal, and soon."""

    CHILDREN, STEP = 24 + 24, 32

    @pytest.fixture(scope="class")
    @staticmethod
    def content():
        return write((120_000,), (2,), maxshape=(None,))

    @pytest.fixture(scope="class")
    @staticmethod
    def nodes(content):
        """Where the nodes of each level lie; the root is the only one of level 2."""
        places, start = {}, content.find(b"TREE\x01")
        while start >= 0:
            places.setdefault(content[start + 5], []).append(start)
            start = content.find(b"TREE\x01", start + 1)
        assert len(places[2]) == 1
        return places

    def child(self, node, number):
        return node + self.CHILDREN + number * self.STEP

    def told(self, read):
        """All chunks, or who would not tell them."""
        try:
            return chunk_infos(read)
        except Refused:
            return "refused"
        except Exception:  # h5py raises nearly anything for damaged files
            return "damaged"

    def check(self, content, *patches, loops=False):
        damaged = bytearray(content)
        for place, said in patches:
            damaged[place : place + len(said)] = said
        file, remote = opened(bytes(damaged))
        began = time.monotonic()
        got = self.told(file)
        assert time.monotonic() - began < 10
        assert remote.nbytes <= 3 * len(content)
        if got != "refused":
            assert not loops
            assert got == self.told(io.BytesIO(damaged))
        return got

    @pytest.mark.parametrize("number", [0, 1, 18])
    def test_a_node_that_leads_to_itself(self, content, nodes, number):
        (root,) = nodes[2]
        assert self.check(content, (self.child(root, number), struct.pack("<Q", root)), loops=True) == "refused"

    @pytest.mark.parametrize("number", [0, 30])
    def test_a_node_that_leads_back_up(self, content, nodes, number):
        (root,) = nodes[2]
        for node in nodes[1][:3]:
            assert self.check(content, (self.child(node, number), struct.pack("<Q", root)), loops=True) == "refused"

    @pytest.mark.parametrize("level", [0, 1, 2, 7, 255])
    def test_levels_that_do_not_fall_one_by_one(self, content, nodes, level):
        for node in (nodes[2][0], nodes[1][1], nodes[0][5]):
            if content[node + 5] != level:
                self.check(content, (node + 5, bytes([level])))

    @pytest.mark.parametrize("n_entries", [0, 1, 65, 1000, 65535])
    def test_numbers_of_entries(self, content, nodes, n_entries):
        for node in (nodes[2][0], nodes[1][1], nodes[0][5]):
            self.check(content, (node + 6, struct.pack("<H", n_entries)))

    @pytest.mark.parametrize("address", [0, 1, 1 << 20, 1 << 40, 2**63, 2**64 - 2, 2**64 - 1])
    def test_addresses_outside_and_amid(self, content, nodes, address):
        for node in (nodes[2][0], nodes[1][1], nodes[0][5]):
            self.check(content, (self.child(node, 1), struct.pack("<Q", address)))

    def test_a_node_that_is_there_twice_is_read_as_libhdf5_does(self, content, nodes):
        (root,) = nodes[2]
        first = content[self.child(root, 0) :][:8]
        assert len(self.check(content, (self.child(root, 1), first))) == 60_000

    @pytest.mark.parametrize("part", [0.001, 0.01, 0.5, 0.999])
    def test_files_that_were_cut_short(self, content, part):
        cut = content[: int(len(content) * part)]
        assert self.told(opened(cut)[0]) == "damaged"

    def test_more_chunks_than_the_shape_has_are_refused(self, content, nodes):
        """As it ends for a local file whose index leads back up after some chunks."""
        (root,) = nodes[2]
        damaged = bytearray(content)
        damaged[self.child(root, 18) : self.child(root, 18) + 8] = struct.pack("<Q", root)
        with h5py.File(io.BytesIO(damaged), "r") as file, pytest.raises(Refused, match="more than the 60000 chunks"):
            chunk_index.build(file["signal"])

    def test_a_chunk_beyond_the_shape_is_refused(self, content, nodes):
        damaged = bytearray(content)
        key = nodes[0][5] + 24 + 8
        damaged[key : key + 8] = struct.pack("<Q", 2 * 60_001)
        with h5py.File(io.BytesIO(damaged), "r") as file, pytest.raises(Refused, match="beyond its shape"):
            chunk_index.build(file["signal"])

    @given(st.data())
    @settings(max_examples=60)
    def test_bits_flipped_in_an_index_of_any_structure(self, data):
        shape, chunks, creation = STRUCTURES[data.draw(st.sampled_from(sorted(set(STRUCTURES) - {"btree1"})))]
        content = bytearray(write((shape[0] // 20, *shape[1:]), chunks, compression="gzip", **creation))
        with h5py.File(io.BytesIO(content), "r") as file:
            start = h5py.h5g.get_objinfo(file["signal"].id).objno[0]
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(start, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        got = self.told(opened(bytes(content))[0])
        assert got == "refused" or got == self.told(io.BytesIO(content))


@given(st.sampled_from(sorted(index_nodes.STARTS)), st.binary(max_size=300), st.booleans())
@settings(max_examples=400)
def test_any_bytes_may_stand_in_a_node(signature, rest, is_btree1):
    """Three levels down, with any bytes of the right length: no exception, and never many."""
    content = signature + (b"\x01" if is_btree1 else b"") + rest
    nodes = index_nodes.below(content)
    for _ in range(3):
        assert len(nodes) <= 2 * index_nodes.MAX_PARTS
        small = [node for node in nodes[:40] if 0 < node.nbytes < 10_000]
        named = [(node, name + rest * node.nbytes) for node in small for name in (b"EAIB", b"EASB", b"BTIN")]
        nodes = [child for node, filled in named for child in node.below(filled[: node.nbytes].ljust(node.nbytes))]


def test_what_may_be_fetched_ahead_has_a_bound(monkeypatch):
    monkeypatch.setattr(look_ahead, "MAX_NODES", 100)
    shape, chunks, creation = STRUCTURES["btree1"]
    _, remote = same_index(write(shape, chunks, nbytes=4000, compression="gzip", **creation))
    assert max(len(call) for call in remote.calls) <= 100


def test_a_super_block_that_claims_millions_of_pages_is_not_believed():
    """Each of its 256 data blocks would have 32,768 pages of one element."""
    array = index_nodes._ExtensibleArray(8, 64, 0, 128, 2, 0)
    content = b"EASB" + bytes(array._super_nbytes(16) - 4)
    assert array._below_super(content, 16) == []
    assert len(index_nodes._ExtensibleArray(8, 64, 0, 16, 4, 10)._below_super(content, 4)) == 4


def test_beyond_the_end_there_are_zeros_whatever_was_in_memory():
    file = RemoteFile(Remote(b"abc").fetch, 3)
    for offset, expected in ((1, b"bc\0\0"), (3, bytes(4)), (99, bytes(4))):
        target = bytearray(b"####")
        file.seek(offset)
        assert file.readinto(memoryview(target)) == max(0, 3 - offset)
        assert target == expected

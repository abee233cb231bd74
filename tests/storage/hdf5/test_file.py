"""What a file may do that its chunks and types do not show: it is read exactly, or refused by name."""

from __future__ import annotations

import ctypes
import io
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from storage.errors import FileChanged, FileDamaged, Refused
from storage.hdf5.file import describe
from storage.objectstore import ObjectStore
from tests.storage.stored import assert_same_bits, expected_of, read, reader_of, stored_array


@pytest.fixture
def store(tmp_path):
    return ObjectStore(f"file://{tmp_path}")


def check(store, content):
    store.put("a.h5", content)
    got = read(reader_of(store), stored_array(store, "a.h5", content))
    assert_same_bits(got, expected_of(content))


@pytest.mark.parametrize("pad", [h5py.h5t.STR_NULLTERM, h5py.h5t.STR_NULLPAD, h5py.h5t.STR_SPACEPAD])
@pytest.mark.parametrize("chunks", [None, (2,)])
def test_strings_end_where_their_padding_says(store, pad, chunks):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(5)
        kind.set_strpad(pad)
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunks:
            creation.set_chunk(chunks)
        dataset = h5py.h5d.create(file.id, b"signal", kind, h5py.h5s.create_simple((3,)), creation)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(b"ab\0xyabcdeab   ", "S5"), mtype=kind)
    check(store, memory.getvalue())


@pytest.mark.parametrize("texts", [["Größe", "", "µV"], [""], []])
def test_strings_of_any_length_are_utf8_of_one_width(store, texts):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("signal", data=np.array(texts, object), dtype=h5py.string_dtype())
    store.put("a.h5", memory.getvalue())
    got = read(reader_of(store), stored_array(store, "a.h5", memory.getvalue()))
    assert [text.decode() for text in got.tolist()] == texts
    assert got.dtype.kind == "S"


@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("fill", [None, 7])
def test_an_array_that_was_never_written_is_its_fill_value(store, userblock, fill):
    memory = io.BytesIO()
    with h5py.File(memory, "w", userblock_size=userblock) as file:
        file.create_dataset("signal", (5,), "<i4", fillvalue=fill)
    check(store, memory.getvalue())


@pytest.mark.parametrize("base", [h5py.h5t.STD_I8LE, h5py.h5t.STD_I32LE])
def test_booleans_of_more_than_a_byte_are_refused(base):
    def write(file):
        kind = h5py.h5t.enum_create(base)
        kind.enum_insert(b"FALSE", 0)
        kind.enum_insert(b"TRUE", 1)
        h5py.h5d.create(file.id, b"signal", kind, h5py.h5s.create_simple((3,)))

    if base.get_size() > 1:
        assert "booleans are stored in 4 bytes" in refusal(write)
    else:
        with h5py.File(io.BytesIO(), "w") as file:
            write(file)
            assert describe(file["signal"]).dtype == bool


def hdf5_library():
    """libhdf5 as h5py has it, for what h5py does not reach; None where it is not beside h5py."""
    beside = sorted((Path(h5py.__file__).parents[1] / "h5py.libs").glob("libhdf5-*.so*"))
    return ctypes.CDLL(str(beside[0])) if beside else None


@pytest.mark.skipif(hdf5_library() is None, reason="h5py comes without a libhdf5 of its own")
@pytest.mark.parametrize("filters", ["shuffle", "gzip", "fletcher32"])
@pytest.mark.parametrize(("shape", "chunks"), [((250,), (100,)), ((25, 7), (10, 3)), ((200,), (100,))])
@pytest.mark.parametrize("values", ["noise", "zeros"])
def test_edge_chunks_that_a_writer_left_unfiltered(store, filters, shape, chunks, values):
    library = hdf5_library()
    library.H5Pset_chunk_opts.argtypes = [ctypes.c_int64, ctypes.c_uint]
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk(chunks)
    {
        "shuffle": creation.set_shuffle,
        "gzip": lambda: creation.set_deflate(4),
        "fletcher32": creation.set_fletcher32,
    }[filters]()
    assert library.H5Pset_chunk_opts(creation.id, 2) == 0  # H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS
    samples = np.zeros(shape, "<i4")
    if values == "noise":
        samples = np.random.default_rng(1).integers(-(2**31), 2**31, shape, dtype="<i4")
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="latest") as file:
        file.create_dataset("signal", data=samples, dcpl=creation)
    check(store, memory.getvalue())


def refusal(write):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        write(file)
        with pytest.raises(Refused) as caught:
            describe(file["signal"])
    return str(caught.value)


def write_virtual(file, dtype="f4"):
    layout = h5py.VirtualLayout((4,), dtype)
    layout[:] = h5py.VirtualSource("/no/such.h5", "signal", (4,))
    file.create_virtual_dataset("signal", layout)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda file: file.create_dataset("signal", data=h5py.Empty("f4")), "empty"),
        (write_virtual, "virtual"),
        (
            lambda file: file.create_dataset("signal", (4,), "i4", external=[("/no/such.raw", 0, 16)]),
            "another file .*such.raw",
        ),
        (lambda file: file.create_dataset("signal", (4,), "c8"), "compound|complex"),
        (lambda file: file.create_dataset("signal", (4,), [("a", "i4"), ("b", "f4")]), "compound"),
        (lambda file: file.create_dataset("signal", (4,), h5py.vlen_dtype("i4")), "variable-length"),
        (lambda file: file.create_dataset("signal", (4,), h5py.ref_dtype), "reference"),
        (lambda file: file.create_dataset("signal", (4,), np.dtype("V7")), "opaque"),
        (lambda file: file.create_dataset("signal", (4,), np.longdouble), "long double"),
        (lambda file: file.create_dataset("signal", (4,), "i4", chunks=(2,), scaleoffset=0), "scaleoffset"),
    ],
)
def test_what_cannot_be_served_exactly_is_refused_by_name(write, reason):
    assert re.search(reason, refusal(write))


def test_a_damaged_chunk_is_told_and_not_answered(store):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("signal", data=np.arange(1000), chunks=(100,), compression="gzip", fletcher32=True)
        chunk = file["signal"].id.get_chunk_info(3)
    content = bytearray(memory.getvalue())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    store.put("a.h5", bytes(content))
    array, reader = stored_array(store, "a.h5", memory.getvalue()), reader_of(store)
    assert_same_bits(read(reader, array, 0, 300), np.arange(300))
    with pytest.raises(FileDamaged, match=r"a\.h5"):
        read(reader, array, 250, 350)


def test_a_truncated_file_is_changed_and_not_answered(store):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("signal", data=np.arange(1000))
    store.put("a.h5", memory.getvalue())
    array = stored_array(store, "a.h5", memory.getvalue())
    store.put("a.h5", memory.getvalue()[:-100])
    with pytest.raises(FileChanged, match=r"a\.h5"):
        read(reader_of(store), array, 0, 1000)

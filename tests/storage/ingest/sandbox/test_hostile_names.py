"""Names made to do harm: they are written out, or refused."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest

from storage.errors import Refused
from storage.ingest.found import Found
from tests.storage.ingest.sandbox.files import nwb, series


class TestNames:
    NAMES = (
        b"..", rb"..\..\..\etc\passwd", b"a\nb", b"a\r\tb", b"\x1b[2J\x1b]0;owned\x07", b"\xff\xfe",
        "\u202egpj".encode(), b"$(touch canary)", b"'; DROP TABLE datafile; --", b"<img src=x onerror=alert(1)>",
        b"%00%s%n", b"x" * 1000,
    )  # fmt: skip

    @pytest.mark.parametrize("name", NAMES)
    def test_of_datasets_are_written_out(self, inspected, sandbox, name):
        def write(file):
            h5py.h5d.create(file.id, name, h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((5,)))

        (array,) = inspected(write, by=sandbox.check).arrays.values()
        assert array.name == array.source_path.removeprefix("/")
        assert not any(ord(letter) < 32 or letter == "\u202e" for letter in array.name)
        assert array.name.encode() == name or "\\" in array.name

    def test_of_100_kb_are_refused(self, inspected, sandbox):
        def write(file):
            file.create_dataset("x" * 60_000, data=np.arange(5.0))
            file["s"] = file["x" * 60_000]
            series(nwb(file), "y" * 60_000, data=np.arange(3.0))

        found = inspected(write)
        assert [len(one.path) <= 500 for one in found.refusals] == [True] and "2000 bytes" in found.refusals[0].reason
        with pytest.raises(Refused, match="2000 bytes"):
            inspected(lambda file: file.create_dataset("x" * 60_000, data=1.0), by=sandbox.check)

    def test_two_that_are_written_out_alike_do_not_get_each_others_samples(self, inspected):
        def write(file):
            nwb(file)
            for number, name in enumerate((b"\xff", rb"\xff", b"a\nb", rb"a\nb")):
                group = h5py.Group(h5py.h5g.create(file.id, name))
                group.attrs["neurodata_type"] = "TimeSeries"
                group["data"] = np.arange(3.0 + number)
                group["starting_time"] = 0.0
                group["starting_time"].attrs["rate"] = 10.0

        found = inspected(write)
        assert sorted(one.source_path for one in found.objects if one.arrays) == [r"/\xff", r"/a\nb"]
        assert len(found.refusals) == 2 and all("same path" in one.reason for one in found.refusals)
        for path, told in found.datasets.items():
            assert found.arrays[path].n_samples == told.shape[0]

    def test_a_dataset_is_not_taken_for_another_that_is_written_out_alike(self):
        with h5py.File(io.BytesIO(), "w") as file:
            spaces = [h5py.h5s.create_simple((length,)) for length in (3, 4)]
            for name, space in zip((b"\xff", rb"\xff"), spaces, strict=True):
                h5py.h5d.create(file.id, name, h5py.h5t.NATIVE_DOUBLE, space)
            found = Found()
            first, second = (h5py.Dataset(h5py.h5d.open(file.id, name)) for name in (b"\xff", rb"\xff"))
            assert found.describe(first) == found.describe(first) == r"/\xff"
            with pytest.raises(Refused, match="same path"):
                found.describe(second)

    @pytest.mark.parametrize("text", [b"a\0b", b"\xff\xfe", b"\x1b[2J\n", b"x" * 60_000, "\u202e".encode()])
    def test_of_units_and_attributes(self, inspected, sandbox, text):
        def write(file):
            file["a"] = np.arange(5.0)
            h5py.h5a.create(file["a"].id, b"units", h5py.h5t.C_S1, h5py.h5s.create(h5py.h5s.SCALAR))
            file["a"].attrs["units"] = np.void(text) if b"\0" in text else np.bytes_(text)
            file["a"].attrs["n" * 60_000] = 1
            file["a"].attrs["../\n"] = np.bytes_(text)

        (array,) = inspected(write, by=sandbox.check).arrays.values()
        assert array.units is None or (len(array.units) <= 500 and "\x1b" not in array.units)

    def test_of_files(self, inspected):
        found = inspected(lambda file: file.create_dataset("a", data=np.arange(5.0)), name="a\n\x1b[2J'\\x.h5")
        assert [one.fields["name"] for one in found.objects] == ["a\\n\\x1b[2J'\\x"]

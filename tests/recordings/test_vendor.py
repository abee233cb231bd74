"""Real recordings of other formats, imported and served over the API, against values measured by other software."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.archive import Archive

SAMPLES = Path(os.environ.get("EPHYSTORE_SAMPLES", "nowhere"))

pytestmark = pytest.mark.skipif(not (SAMPLES / "expected.json").exists(), reason="EPHYSTORE_SAMPLES is not set")

EXPECTED = json.loads((SAMPLES / "expected.json").read_text()) if (SAMPLES / "expected.json").exists() else []
VENDOR = {Path(one["file"]).name: one for one in EXPECTED if one["file"].startswith("vendor/") and "error" not in one}
ALONE = [name for name in VENDOR if name.endswith((".abf", ".ibw"))]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Copies of all files, imported for everybody by one command."""
    folder = tmp_path_factory.mktemp("vendor")
    files = [path for path in (SAMPLES / "vendor").rglob("*") if path.is_file()]
    for path in files:
        shutil.copy(path, folder / path.name)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    archive = Archive(tmp_path_factory.mktemp("archive"))
    places = [str(folder / name) for name in sorted(before)]
    result = archive.app.test_cli_runner().invoke(args=["import", *places, "--safety-level", "1"])
    assert result.exit_code == 0, result.output
    assert "left out" not in result.output and result.output.count("imported ") == 7
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == before
    return archive


def tree(archive, name):
    """The fields of the signals of each segment of a recording, in order."""
    block = archive.fields(f"/electrophysiology/block/?name={Path(name).stem}")
    found = []
    for segment in block["segment_set"]:
        fields = archive.fields(segment)
        signals = fields["analogsignal_set"] + fields["analogsignalarray_set"]
        found.append([archive.fields(permalink) for permalink in signals])
    return block, found


def samples(archive, signal):
    return np.array(archive.values(signal["signal"]["data"]))


@pytest.mark.parametrize("name", ALONE)
def test_samples_are_those_that_neo_reads(archive, name):
    """A channel is a signal of its own: column for column what neo has in one array."""
    _, segments = tree(archive, name)
    n_compared = 0
    for array in VENDOR[name]["arrays"]:
        number, of = map(int, re.search(r"segment (\d+) of (\d+)", array["path"]).groups())
        assert len(segments) == of
        signals = segments[number]
        assert len(signals) == array["shape"][1]
        columns = [samples(archive, one) for one in signals]
        assert [column.shape for column in columns] == [(array["shape"][0],)] * len(columns)
        together = np.stack(columns, axis=1)
        real = array["real"]
        np.testing.assert_allclose(together.ravel()[:5], real["first5"], rtol=2e-7)
        np.testing.assert_allclose(together.ravel()[-1], real["last"], rtol=2e-7, atol=1e-7)
        np.testing.assert_allclose([together.min(), together.max()], [real["min"], real["max"]], rtol=2e-7)
        np.testing.assert_allclose(together.mean(), real["mean"], rtol=1e-6)
        for place, values in array["real_slices"].items():
            if ":" in place:
                start, stop = (int(end) if end else None for end in place.split(":"))
                part = together[start:stop].ravel()[: len(values)]
                np.testing.assert_allclose(part, values, rtol=2e-7, atol=1e-7)
        for one in signals:
            assert one["signal"]["units"] == array["unit"]
            assert one["sampling_rate"] == {"units": "Hz", "data": array["rate"]}
            assert one["t_start"] == {"units": "s", "data": array["t_start"]}
        n_compared += 1
    assert n_compared == len(VENDOR[name]["arrays"]) > 0


@pytest.mark.parametrize("name", [name for name in ALONE if name.endswith(".abf")])
def test_samples_of_abf_are_those_that_pyabf_reads(archive, name):
    _, segments = tree(archive, name)
    for opinion in VENDOR[name]["second_opinion"]:
        assert len(segments) == opinion["sweeps"]
        words = opinion["path"].split()
        signal = segments[int(words[2])][int(words[4])]
        np.testing.assert_allclose(samples(archive, signal)[:5], opinion["first5"], rtol=2e-7)
        assert signal["name"] == opinion["path"].partition("'")[2].rstrip("'")
        assert (signal["signal"]["units"], signal["sampling_rate"]["data"]) == (opinion["unit"], opinion["rate"])


def test_sweeps_of_abf_have_their_own_starts_and_lengths(archive):
    _, segments = tree(archive, "2020_06_16_0001.abf")
    assert [one[0]["signal"]["shape"] for one in segments] == [[22040], [11040]]
    assert [one[0]["t_start"]["data"] for one in segments] == [2.6979, 5.9979]


def test_edf_has_the_gain_that_its_specification_says(archive):
    """The second opinion is mne's; neo's gain is off by one step of the digital range."""
    block, [signals] = tree(archive, "test_uneven_samp.edf")
    (opinion,) = VENDOR["test_uneven_samp.edf"]["second_opinion"]
    assert [one["name"] for one in signals] == opinion["names"]
    first = samples(archive, signals[0])
    np.testing.assert_allclose(first[:5], opinion["ch0_first5"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(first.mean(), opinion["ch0_mean"], rtol=1e-4)
    for one, array in zip(signals, VENDOR["test_uneven_samp.edf"]["arrays"], strict=True):
        assert one["signal"]["shape"] == array["shape"][:1] and one["signal"]["units"] == array["unit"]
        assert one["sampling_rate"]["data"] == array["rate"]
        np.testing.assert_allclose(samples(archive, one)[:5], array["real"]["first5"], atol=0.005)
    assert any("gain" in text for text in block["annotations"]["corrections"])


def test_brainvision_has_its_channels_units_and_markers(archive):
    block, [signals] = tree(archive, "test.vhdr")
    columns, units = {}, {}
    for one in signals:
        found = samples(archive, one).reshape(7900, -1)
        names = one["annotations"].get("channel_names", [one["name"]])
        for place, name in enumerate(names):
            columns[name], units[name] = found[:, place], one["signal"]["units"]
        assert one["sampling_rate"]["data"] == 1000 and one["t_start"]["data"] == 0
    assert len(columns) == 32
    arrays = VENDOR["test.vhdr"]["arrays"]
    for array in arrays:
        if "shape" not in array:
            continue
        names = array["path"].partition("(")[2].rstrip("')").split()
        together = np.stack([columns[name] for name in names], axis=1)
        assert list(together.shape) == array["shape"]
        np.testing.assert_array_equal(together.ravel()[:5], array["real"]["first5"])
        assert (together.min(), together.max()) == (array["real"]["min"], array["real"]["max"])
        np.testing.assert_allclose(together.mean(), array["real"]["mean"], rtol=1e-6)
    told = {"CP5": "BS", "CP6": "uS", "HL": "ARU", "HR": "uS", "Vb": "S", "ReRef": "C"}
    assert units == {name: told.get(name, "uV") for name in columns}
    events = archive.get("/electrophysiology/eventarray/").json["selected"]
    markers = {}
    for event in events:
        fields = event["fields"]
        times, labels = (archive.values(fields[name]["data"]) for name in ("times", "labels"))
        markers[fields["annotations"]["name"]] = list(zip(times, labels, strict=True))
    for array in arrays:
        if "times_s" in array:
            kind = array["path"].partition("'")[2].rstrip("'")
            times, labels = zip(*markers[kind][: len(array["times_s"])], strict=True)
            np.testing.assert_allclose(times, np.array(array["times_s"]) - 0.001, atol=1e-9)  # neo's are a sample late
            assert list(labels) == array["labels"]
    (opinion,) = VENDOR["test.vhdr"]["second_opinion"]
    in_order = sorted((time, f"{kind}/{label}") for kind, every in markers.items() for time, label in every if label)
    assert in_order[: len(opinion["annotations"])] == [(time, text) for time, text in opinion["annotations"]]
    assert block["filedatetime"] == "2013-11-13 16:14:03"
    assert len(block["annotations"]["corrections"]) == 2


def test_the_converted_file_is_plain_hdf5_in_chunks_of_a_megabyte(archive):
    import h5py

    for key in archive.services.store.find_all("datafiles"):
        with h5py.File(Path(archive.settings.store_url.removeprefix("file://")) / key) as file:

            def check(_, found):
                if isinstance(found, h5py.Dataset) and found.size:
                    assert found.compression == "gzip" and found.shuffle
                    chunk_nbytes = np.prod(found.chunks) * found.dtype.itemsize
                    assert found.chunks[1:] == found.shape[1:] and chunk_nbytes <= 1 << 20
                    assert found.chunks[0] == found.shape[0] or chunk_nbytes > 1 << 19

            file.visititems(check)

"""Real NWB recordings, registered and served over the API, against values measured by other software."""

from __future__ import annotations

import hashlib
import io
import json
import os
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.archive import Archive

SAMPLES = Path(os.environ.get("EPHYSTORE_SAMPLES", "nowhere"))

pytestmark = pytest.mark.skipif(not (SAMPLES / "expected.json").exists(), reason="EPHYSTORE_SAMPLES is not set")

EXPECTED = json.loads((SAMPLES / "expected.json").read_text()) if (SAMPLES / "expected.json").exists() else []
ARRAYS = [
    pytest.param(one["file"], array, id=f"{Path(one['file']).stem}{array['path'].replace(' ', '_')}")
    for one in EXPECTED
    if one["file"].startswith("nwb/")
    for array in one["arrays"]
]
LISTS = ("analogsignal", "analogsignalarray", "irsaanalogsignal", "spiketrain")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """All NWB files, registered in place."""
    archive = Archive(tmp_path_factory.mktemp("archive"))
    before = {path: path.stat().st_mtime_ns for path in (SAMPLES / "nwb").iterdir()}
    for path in sorted(before):
        outcome = archive.register(path)
        assert outcome.state == "registered" and outcome.refusals == []
    assert {path: path.stat().st_mtime_ns for path in (SAMPLES / "nwb").iterdir()} == before
    return archive


@pytest.fixture(scope="module")
def objects(archive):
    """The fields of every object with an array, by stem of the file and place in it."""
    found = {}
    for type_name in LISTS:
        for one in archive.get(f"/electrophysiology/{type_name}/?max_results=1000").json["selected"]:
            block = archive.fields(archive.fields(one["fields"]["segment"])["block"])
            found[block["name"], one["fields"]["annotations"]["nwb_path"]] = one["fields"]
    return found


def hdf5(archive, link):
    """Return the array of an HDF5 answer."""
    with h5py.File(io.BytesIO(archive.get(link).data)) as file:
        return next(iter(file.values()))[()]


def of_expected(objects, file, array):
    """Return the fields of the object that an expected array belongs to."""
    path = array["path"]
    if path.startswith("/units unit "):
        path = f"/units[{path.removeprefix('/units unit ')}]"
    return objects[Path(file).stem, path]


def assert_close(found, expected, stored_dtype):
    """Compare quantities: computed in float64, rounded once to what is answered."""
    dtype = np.float32 if stored_dtype == "int16" else np.float64
    np.testing.assert_array_equal(np.asarray(found, dtype), np.asarray(expected, np.float64).astype(dtype))


@pytest.mark.parametrize(("file", "array"), [one for one in ARRAYS if "stored" in one.values[1]])
class TestSeries:
    def test_whole(self, archive, objects, file, array):
        link = of_expected(objects, file, array)["signal"]["data"]
        stored = hdf5(archive, link + "?scaled=0")
        assert list(stored.shape) == array["shape"] and stored.dtype == array["dtype"]
        little = np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("<")))
        assert hashlib.sha256(little.tobytes()).hexdigest() == array["stored"]["sha256_le"]
        real = hdf5(archive, link).astype(float)
        for name, value in (("min", real.min()), ("max", real.max()), ("mean", real.mean())):
            np.testing.assert_allclose(value, array["real"][name], rtol=1e-6, atol=1e-9)
        assert_close(real.ravel()[:5], array["real"]["first5"], array["dtype"])
        as_json = np.array(archive.values(link), np.float32 if array["dtype"] == "int16" else np.float64)
        np.testing.assert_array_equal(as_json, real)

    def test_three_slices(self, archive, objects, file, array):
        link = of_expected(objects, file, array)["signal"]["data"]
        slices = {key: value for key, value in array["real_slices"].items() if ":" in key}
        assert len(slices) == 3
        for key, expected in slices.items():
            start, stop = (int(end) if end else None for end in key.split(":"))
            start, stop, _ = slice(start, stop).indices(array["shape"][0])
            asked = f"{link}?start_index={start}&end_index={stop}"
            for values in (hdf5(archive, asked), archive.values(asked)):
                assert len(values) == stop - start
                assert_close(np.ravel(values)[: len(expected)], expected, array["dtype"])  # at most 12 are known

    def test_axis_and_units(self, archive, objects, file, array):
        fields = of_expected(objects, file, array)
        assert fields["signal"]["units"] == array["unit"]
        if "rate" in array:
            assert fields["sampling_rate"] == {"units": "Hz", "data": array["rate"]}
            assert fields["t_start"] == {"units": "s", "data": array["t_start"]}
        else:
            times = hdf5(archive, fields["times"]["data"])
            assert len(times) == array["timestamps"]["n"] and times[-1] == array["timestamps"]["last"]
            np.testing.assert_array_equal(times[:5], array["timestamps"]["first5"])
            assert fields["t_start"]["data"] == array["timestamps"]["first5"][0]


@pytest.mark.parametrize(("file", "array"), [one for one in ARRAYS if "n_spikes" in one.values[1]])
def test_spike_trains(archive, objects, file, array):
    fields = of_expected(objects, file, array)
    times = hdf5(archive, fields["times"]["data"])
    assert len(times) == array["n_spikes"] and times[-1] == array["last"]
    np.testing.assert_array_equal(times[:5], array["first5"])
    np.testing.assert_allclose(times.sum(), array["sum"], rtol=1e-12)
    assert archive.values(fields["times"]["data"]) == times.tolist()
    assert (fields["t_start"]["data"], fields["t_stop"]["data"]) == (0, array["last"])
    assert fields["annotations"]["t_stop_source"] == "last spike"
    unit = archive.fields(fields["unit"])
    assert unit["annotations"]["id"] == array["id"] and unit["name"] == f"unit {array['id']}"
    window = archive.fields(f"/electrophysiology/spiketrain/{fields['id']}?start_time=100&end_time=110.5")
    expected = times[(times >= 100) & (times <= 110.5)]
    assert archive.values(window["times"]["data"]) == expected.tolist()


def test_one_block_per_file_with_its_date_and_zone(archive):
    blocks = archive.get("/electrophysiology/block/").json["selected"]
    assert len(blocks) == len(list((SAMPLES / "nwb").iterdir()))
    for one in blocks:
        with h5py.File(SAMPLES / "nwb" / f"{one['fields']['name']}.nwb") as file:
            started = file["session_start_time"][()].decode()
        annotations = one["fields"]["annotations"]
        assert annotations["session_start_time"] == started and annotations["time_zone"]
        moment = datetime.fromisoformat(started)
        assert one["fields"]["filedatetime"] == (moment - (moment.utcoffset() or moment - moment)).strftime(
            "%Y-%m-%d %H:%M:%S"
        )


def test_registering_again_changes_nothing(archive, objects):
    for path in sorted((SAMPLES / "nwb").iterdir()):
        assert archive.register(path).state == "unchanged"
    for (_, _), fields in objects.items():
        kind = "spiketrain" if "t_stop" in fields else None
        if kind:
            assert archive.fields(f"/electrophysiology/{kind}/{fields['id']}")["guid"] == fields["guid"]

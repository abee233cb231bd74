"""Real NIX, MCS and WaveSurfer recordings, registered and served, against values measured by other software."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.archive import Archive

SAMPLES = Path(os.environ.get("EPHYSTORE_SAMPLES", "nowhere"))

pytestmark = pytest.mark.skipif(not (SAMPLES / "expected.json").exists(), reason="EPHYSTORE_SAMPLES is not set")

EXPECTED = json.loads((SAMPLES / "expected.json").read_text()) if (SAMPLES / "expected.json").exists() else []
MCS, WAVESURFER = "mcs_2014-07-09T10-17-35W8_500Hz", "wavesurfer_test2"


def arrays(kind, wanted):
    return [
        pytest.param(one["file"], array, id=f"{Path(one['file']).stem}/{array['path']}".replace(" ", "_"))
        for one in EXPECTED
        if one["file"].startswith(kind)
        for array in one["arrays"]
        if wanted(array)
    ]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """All NIX and HDF5 files, registered in place."""
    archive = Archive(tmp_path_factory.mktemp("archive"))
    paths = [path for kind in ("nix", "hdf5") for path in sorted((SAMPLES / kind).iterdir())]
    before = {path: path.stat().st_mtime_ns for path in paths}
    for path in paths:
        outcome = archive.register(path)
        assert outcome.state == "registered" and outcome.refusals == [], outcome
        assert archive.register(path).state == "unchanged"
    assert {path: path.stat().st_mtime_ns for path in paths} == before
    return archive


@pytest.fixture(scope="module")
def objects(archive):
    """The fields of every object with an array, by the stem of its file and the path that annotations tell."""
    stems = {}
    for block in archive.get("/electrophysiology/block/").json["selected"]:
        names = {"mea": "rewrapped_mea_int16_polynom", "block name": "spike_features"}
        name = block["fields"]["name"]
        stem = "rewrapped_17o05027_neo" if name.startswith("rewrapped ") else names.get(name, name)
        for segment in archive.get(f"/electrophysiology/segment/?block={block['fields']['id']}").json["selected"]:
            stems[segment["permalink"].rstrip("/")] = stem
    found = {}
    for type_name in ("analogsignal", "analogsignalarray", "irsaanalogsignal", "spiketrain", "eventarray"):
        for one in archive.get(f"/electrophysiology/{type_name}/?max_results=1000").json["selected"]:
            fields, annotations = one["fields"], one["fields"]["annotations"]
            path = next(annotations[key] for key in ("nix_path", "mcs_path", "wavesurfer_path") if key in annotations)
            found[stems[fields["segment"].rstrip("/")], path] = {"type": type_name, **fields}
    return found


def hdf5(archive, link):
    """Return the array of an HDF5 answer."""
    with h5py.File(io.BytesIO(archive.get(link).data)) as file:
        return next(iter(file.values()))[()]


def digest(values):
    return hashlib.sha256(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()


def of_nix(objects, file, array):
    """Return the object of an expected array of a NIX file."""
    block, name = array["path"].split("/", 1)
    stem = Path(file).stem
    if array["path"] == "block name/times" or array.get("type", "").startswith("nix.positions"):
        return objects[stem, "/data/block name/multi_tags/spike times"]
    kind = "multi_tags" if "shape" not in array else "data_arrays"
    return objects[stem, f"/data/{block}/{kind}/{name}"]


@pytest.mark.parametrize(("file", "array"), arrays("nix/", lambda array: "shape" in array))
class TestNix:
    def test_values(self, archive, objects, file, array):
        fields = of_nix(objects, file, array)
        link = fields["times" if fields["type"] == "eventarray" else "signal"]["data"]
        values = hdf5(archive, link)
        is_transposed = array["real_slices"]["axis"] == 1
        assert list(values.shape) == array["shape"][:: -1 if is_transposed else 1]
        as_told = values.T if is_transposed else values
        if not array["polynom_coefficients"]:
            assert as_told.dtype == array["dtype"] and digest(as_told) == array["real"]["sha256_le"]
        for key in ("min", "max", "mean"):
            rounding = 1e-8 * array["real"]["max"]
            np.testing.assert_allclose(getattr(values.astype(float), key)(), array["real"][key], 1e-6, rounding)
        np.testing.assert_allclose(as_told.ravel()[:5], array["real"]["first5"], rtol=1e-7)
        stored = hdf5(archive, link + "?scaled=0")
        assert (stored.T if is_transposed else stored).ravel()[:5].tolist() == array["stored_first5"]

    def test_three_slices(self, archive, objects, file, array):
        fields = of_nix(objects, file, array)
        link = fields["times" if fields["type"] == "eventarray" else "signal"]["data"]
        axis = array["real_slices"]["axis"]
        for key, expected in array["real_slices"].items():
            if key == "axis":
                continue
            start, stop = (int(end) if end else None for end in key.split(":"))
            start, stop, _ = slice(start, stop).indices(array["shape"][axis])
            values = np.array(archive.values(f"{link}?start_index={start}&end_index={stop}"))
            assert len(values) == stop - start
            np.testing.assert_allclose(values.ravel()[: len(expected)], expected, rtol=1e-6)

    def test_axis_and_unit(self, archive, objects, file, array):
        fields = of_nix(objects, file, array)
        if fields["type"] == "eventarray":
            assert fields["times"]["units"] == "s"
            return
        assert fields["signal"]["units"] == array["unit"]
        (dimension,) = [one for one in array["dims"] if one["kind"] != "Set"]
        if dimension["kind"] == "Range":
            times = hdf5(archive, fields["times"]["data"])
            assert times[:3].tolist() == dimension["first3"] and fields["times"]["units"] == dimension["unit"]
            return
        factor = {"s": 1, "ms": 1000, "1/Hz": 1}[dimension["unit"]]
        assert fields["sampling_rate"] == {"units": "Hz", "data": round(factor / dimension["interval"])}
        unit = "ms" if dimension["unit"] == "ms" else "s"
        assert fields["t_start"] == {"units": unit, "data": dimension["offset"] or 0}


def test_labels_of_a_set_dimension_name_channels(archive, objects):
    fields = objects["rewrapped_mea_int16_polynom", "/data/mea/data_arrays/signals"]
    assert fields["annotations"]["channel_names"] == ["E1", "E2", "E3", "E4"]
    with h5py.File(io.BytesIO(archive.get(fields["signal"]["data"] + "?channels=3,1").data)) as file:
        assert list(next(iter(file.values())).attrs["channel_names"]) == ["E4", "E2"]


def test_what_is_said_of_a_multi_tag(objects):
    fields = objects["spike_features", "/data/block name/multi_tags/spike times"]
    assert fields["type"] == "eventarray" and fields["annotations"]["references"] == ["membrane voltage"]
    assert fields["annotations"]["features"] == ["stimulus"]


def test_the_tree_that_neo_wrote(archive):
    (block,) = archive.get("/electrophysiology/block/?name=rewrapped 17o05027_ic_ramp.abf").json["selected"]
    segments = archive.get(f"/electrophysiology/segment/?block={block['fields']['id']}").json["selected"]
    assert len(segments) == 2
    for segment, t_start in zip(segments, (0, 1), strict=True):
        signal = archive.fields(f"/electrophysiology/analogsignal/?segment={segment['fields']['id']}")
        assert (signal["name"], signal["t_start"]["data"]) == ("Signals", t_start)


SIGNALS = arrays("hdf5/", lambda array: array["path"].endswith(("/ChannelData", "/analogScans", "/digitalScans")))


@pytest.mark.parametrize(("file", "array"), SIGNALS)
class TestChannelMajor:
    def fields(self, objects, file, array):
        path = array["path"].removesuffix("/ChannelData")
        return objects[Path(file).stem, path]

    def test_stored_numbers(self, archive, objects, file, array):
        link = self.fields(objects, file, array)["signal"]["data"]
        stored = hdf5(archive, link + "?scaled=0")
        assert list(stored.shape) == array["shape"][::-1] and stored.dtype == array["dtype"]
        assert digest(stored.T) == array["sha256_le"]
        for key, expected in array["slices"].items():
            if key != "axis":
                start, stop = (int(end) if end else None for end in key.split(":"))
                start, stop, _ = slice(start, stop).indices(array["shape"][1])
                values = archive.values(f"{link}?scaled=0&start_index={start}&end_index={stop}")
                assert np.ravel(values)[: len(expected)].tolist() == expected

    def test_quantities_units_and_axis(self, archive, objects, file, array):
        fields = self.fields(objects, file, array)
        real = hdf5(archive, fields["signal"]["data"])
        with h5py.File(SAMPLES / file) as whole:
            stored = whole[array["path"]][()].T
            vendor = mcs if "ChannelData" in array["path"] else wavesurfer
            expected, unit, rate, t_start = vendor(whole, array, stored)
        np.testing.assert_allclose(real, expected, rtol=2e-7 if real.dtype == np.float32 else 1e-15)
        assert fields["signal"]["units"] == unit
        assert fields["sampling_rate"] == {"units": "Hz", "data": rate} and fields["t_start"] == t_start


def mcs(file, array, stored):
    """Return what the vendor's own reader makes of a stream."""
    stream = file[array["path"]].parent
    info = stream["InfoChannel"][()]
    (start, _, _), *_ = stream["ChannelDataTimeStamps"][()].tolist()
    t_start = {"units": "us", "data": start}
    if info["Unit"][0] == b"NoUnit":
        return stored, None, 500, t_start
    step = info["ConversionFactor"] * 10.0 ** info["Exponent"]
    return (stored - info["ADZero"]) * step, "V", 500, t_start


def wavesurfer(file, array, stored):
    """Return what the vendor's own reader makes of a sweep."""
    header, sweep = file["header"], file[array["path"]].parent
    t_start = {"units": "s", "data": sweep["timestamp"][0, 0]}
    if stored.dtype == np.uint8:
        return stored, None, 20000, t_start
    scales = header["AIChannelScales"][()][header["IsAIChannelActive"][()].astype(bool)]
    coefficients = header["AIScalingCoefficients"][()]
    rows = [np.polyval(coefficients[row][::-1], stored[:, row]) / scales[row] for row in range(stored.shape[1])]
    return np.transpose(rows), "V", 20000, t_start


@pytest.mark.parametrize(
    ("file", "array"), arrays("hdf5/", lambda array: "SegmentData_" in array["path"] or "Entity_" in array["path"])
)
def test_times_and_cutouts(archive, objects, file, array):
    with h5py.File(SAMPLES / file) as whole:
        stored = whole[array["path"]][()]
    assert digest(stored) == array["sha256_le"]
    fields = objects[MCS, array["path"].replace("SegmentData_ts_", "SegmentData_")]
    if stored.dtype == np.int32:
        waveforms = hdf5(archive, fields["waveforms"]["data"] + "?scaled=0")
        np.testing.assert_array_equal(waveforms, stored.T[:, np.newaxis, :])
        real = hdf5(archive, fields["waveforms"]["data"])
        np.testing.assert_allclose(real, stored.T[:, np.newaxis, :] * 0.00038147, rtol=1e-15)
        assert fields["waveforms"]["units"] == "V"
        return
    np.testing.assert_array_equal(hdf5(archive, fields["times"]["data"]), stored[0])
    assert fields["times"]["units"] == "us"
    if fields["type"] == "spiketrain":
        assert fields["t_stop"] == {"units": "us", "data": 19700000}


def test_sweeps_and_recordings_are_segments(archive):
    for stem, names in {MCS: ["Recording 0"], WAVESURFER: ["sweep_0001", "sweep_0002", "sweep_0003"]}.items():
        (block,) = archive.get(f"/electrophysiology/block/?name={stem}").json["selected"]
        segments = archive.get(f"/electrophysiology/segment/?block={block['fields']['id']}").json["selected"]
        assert [one["fields"]["name"] for one in segments] == names
    assert block["fields"]["filedatetime"] == "2017-10-02 13:49:23"


def test_channels_are_those_of_the_file(archive, objects):
    fields = objects[WAVESURFER, "/sweep_0001/analogScans"]
    assert fields["annotations"]["channel_names"] == ["AI0", "AI2"]
    group = archive.fields(fields["recordingchannelgroup"])
    channels = archive.get(f"/electrophysiology/recordingchannel/?recordingchannelgroup={group['id']}").json["selected"]
    assert [(one["fields"]["index"], one["fields"]["name"]) for one in channels] == [(0, "AI0"), (1, "AI2")]
    group = archive.fields(objects[MCS, "/Data/Recording_0/AnalogStream/Stream_1"]["recordingchannelgroup"])
    assert group["name"] == "Data Acquisition (1) Electrode Raw Data"

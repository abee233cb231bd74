"""Time series: what is said of them, what they share, and why what is no signal is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, TimeSeries
from pynwb.base import ImageReferences, Images
from pynwb.behavior import Position, SpatialSeries
from pynwb.core import DynamicTable, VectorData
from pynwb.ecephys import ElectricalSeries, FeatureExtraction
from pynwb.image import GrayscaleImage, ImageSeries
from pynwb.misc import AbstractFeatureSeries, DecompositionSeries
from pynwb.ophys import (
    Fluorescence,
    ImageSegmentation,
    OpticalChannel,
    RoiResponseSeries,
    TwoPhotonSeries,
)

from tests.storage.ingest.nwb.written import add_electrodes, array, by_name, by_path, objects, reasons, session, write

SAMPLES = np.arange(12, dtype=np.int16).reshape(4, 3)
REGULAR = {"starting_time": 0.5, "rate": 10.0}


def test_everything_that_is_said_of_a_series_is_an_annotation(archive, registered):
    made = session()
    add_electrodes(made, 3)
    region = made.create_electrode_table_region([0, 1, 2], "all")
    made.add_acquisition(
        ElectricalSeries(
            name="raw", data=SAMPLES, electrodes=region, filtering="0.3-7500 Hz", comments="noisy",
            description="a probe", conversion=0.25, offset=1.5, resolution=0.125,
            channel_conversion=[1.0, 2.0, 4.0], **REGULAR,
        )
    )  # fmt: skip
    place = SpatialSeries(
        name="place", data=SAMPLES, reference_frame="corner of the box", conversion=0.01, unit="meters", **REGULAR
    )
    made.create_processing_module("behavior", "x").add(Position(spatial_series=place))
    registered(made)
    arrays = by_name(archive, "analogsignalarray")
    told = arrays["raw"]["annotations"]
    assert {name: told[name] for name in ("filtering", "comments", "description", "neurodata_type")} == {
        "filtering": "0.3-7500 Hz",
        "comments": "noisy",
        "description": "a probe",
        "neurodata_type": "ElectricalSeries",
    }
    assert (told["conversion"], told["offset"], told["resolution"]) == (0.25, 1.5, 0.125)
    assert told["channel_conversion"] == [1, 2, 4]
    values = SAMPLES * (0.25 * np.array([1.0, 2, 4])) + 1.5
    np.testing.assert_array_equal(array(archive, arrays["raw"]["signal"]), values)
    told = arrays["place"]["annotations"]
    assert told["reference_frame"] == "corner of the box" and told["conversion"] == 0.01
    assert arrays["place"]["signal"]["units"] == "meters"
    assert "data" not in told and "namespace" not in told and "object_id" not in told


def test_the_session_and_its_devices_are_told_of_the_block(archive, registered):
    made = session(
        experimenter=["Doe, Jane", "Roe, Jo"], lab="a lab", institution="a place", keywords=["one", "two"], notes="µ",
        session_id="7", surgery="none",
    )  # fmt: skip
    made.create_device("probe", description="a probe", serial_number="12")
    registered(made)
    told = objects(archive, "block")[0]["annotations"]
    assert told["experimenter"] == ["Doe, Jane", "Roe, Jo"] and told["keywords"] == ["one", "two"]
    assert (told["lab"], told["institution"], told["notes"], told["surgery"]) == ("a lab", "a place", "µ", "none")
    assert told["session_id"] == "7" and told["identifier"] == "test-1"
    assert told["devices"] == {"probe": {"description": "a probe", "serial_number": "12"}}


def test_linked_data_and_timestamps_are_one_datafile(archive, registered):
    made = session()
    first = TimeSeries(name="first", data=np.arange(4.0), unit="V", timestamps=np.arange(4.0) / 3)
    made.add_acquisition(first)
    made.add_acquisition(TimeSeries(name="same times", data=np.arange(4.0) * 2, unit="V", timestamps=first))
    made.add_acquisition(TimeSeries(name="same data", data=first, unit="V", timestamps=np.arange(4.0)))
    registered(made)
    found = by_name(archive, "irsaanalogsignal")
    assert found["first"]["times"]["data"] == found["same times"]["times"]["data"]
    assert found["first"]["signal"]["data"] == found["same data"]["signal"]["data"]
    assert archive.get("/datafiles/").json["objects_total"] == 4


def test_columns_that_are_no_electrodes_have_names_too(archive, registered):
    made = session()
    features = AbstractFeatureSeries(
        name="gratings", feature_units=["°", "1"], features=["orientation", "contrast"], data=SAMPLES[:, :2], **REGULAR
    )
    made.add_stimulus(features)
    device = made.create_device("microscope")
    channel = OpticalChannel(name="green", description="x", emission_lambda=500.0)
    plane = made.create_imaging_plane(
        name="plane", optical_channel=channel, description="x", device=device, excitation_lambda=600.0,
        indicator="GCaMP", location="V1",
    )  # fmt: skip
    cells = ImageSegmentation()
    module = made.create_processing_module("ophys", "x")
    module.add(cells)
    segmentation = cells.create_plane_segmentation(name="cells", description="x", imaging_plane=plane)
    for number in (11, 22, 33):
        segmentation.add_roi(pixel_mask=[(number, 1, 1.0)], id=number)
    rois = segmentation.create_roi_table_region(region=[2, 0], description="x")
    trace = RoiResponseSeries(name="dff", data=SAMPLES[:, :2], rois=rois, unit="n.a.", **REGULAR)
    module.add(Fluorescence(roi_response_series=trace))
    assert reasons(registered(made, complete=False)) == {
        "/processing/ophys/ImageSegmentation/cells": "it is a table of masks: "
        "only signals, spikes, events and intervals are served"
    }
    found = by_name(archive, "analogsignalarray")
    assert found["gratings"]["annotations"]["channel_names"] == ["orientation", "contrast"]
    assert found["dff"]["annotations"]["channel_names"] == ["33", "11"]


class TestRefused:
    def test_video_pictures_and_spectra_each_have_their_sentence(self, archive, registered, tmp_path):
        made = session()
        (tmp_path / "secret.avi").write_bytes(b"never opened")
        outside = ImageSeries(
            name="outside", external_file=[str(tmp_path / "secret.avi")], unit="n.a.", format="external",
            starting_frame=[0], timestamps=[0.0, 0.1],
        )  # fmt: skip
        made.add_acquisition(outside)
        made.add_acquisition(ImageSeries(name="inside", data=np.zeros((4, 2, 3)), unit="n.a.", **REGULAR))
        device = made.create_device("microscope")
        channel = OpticalChannel(name="green", description="x", emission_lambda=500.0)
        plane = made.create_imaging_plane(
            name="plane", optical_channel=channel, description="x", device=device, excitation_lambda=600.0,
            indicator="GCaMP", location="V1",
        )  # fmt: skip
        made.add_acquisition(
            TwoPhotonSeries(name="stack", data=np.zeros((4, 2, 3)), imaging_plane=plane, unit="n.a.", **REGULAR)
        )
        made.add_acquisition(TimeSeries(name="cube", data=np.zeros((4, 2, 3)), unit="V", **REGULAR))
        bands = DecompositionSeries(name="bands", data=np.zeros((4, 2, 3)), metric="power", unit="V", **REGULAR)
        for name in ("theta", "alpha", "beta"):
            bands.add_band(band_name=name, band_limits=(1.0, 2.0), band_mean=1.5, band_stdev=0.1)
        made.create_processing_module("spectra", "x").add(bands)
        made.add_acquisition(TimeSeries(name="signal", data=np.zeros(4), unit="V", **REGULAR))
        outcome = registered(made, complete=False)
        assert reasons(outcome) == {
            "/acquisition/outside": "it is video in files of its own, which are never opened: only signals are served",
            "/acquisition/inside": "it is video, 4 pictures of 2 × 3: only signals are served",
            "/acquisition/stack": "it is video, 4 pictures of 2 × 3: only signals are served",
            "/acquisition/cube": "it has 3 dimensions: pictures and the like are not served",
            "/processing/spectra/bands": "it is spectra, samples × channels × bands: "
            "only signals of one or two axes are served",
        }
        assert [one["name"] for one in objects(archive, "analogsignal")] == ["signal"]

    def test_links_to_other_files_name_the_file_to_register(self, archive, tmp_path):
        raw = session()
        raw.add_acquisition(TimeSeries(name="raw", data=np.arange(4.0), unit="V", **REGULAR))
        write(raw, tmp_path / "raw.nwb")
        with NWBHDF5IO(tmp_path / "raw.nwb", "r") as source:
            there = source.read().acquisition["raw"]
            made = session()
            made.add_acquisition(there)
            made.add_acquisition(TimeSeries(name="data", data=there.data, unit="V", **REGULAR))
            made.add_acquisition(TimeSeries(name="own", data=np.arange(4.0), unit="V", **REGULAR))
            with NWBHDF5IO(tmp_path / "processed.nwb", "w", manager=source.manager) as io:
                io.write(made, link_data=True)
        outcome = archive.register(tmp_path / "processed.nwb")
        sentence = "its data lie in raw.nwb, which this file links to; register that file"
        assert {path: reason.replace(f"{tmp_path}/", "") for path, reason in reasons(outcome).items()} == {
            "/acquisition/raw": sentence,
            "/acquisition/data": sentence,
        }
        assert [one["name"] for one in objects(archive, "analogsignal")] == ["own"]
        assert archive.register(tmp_path / "raw.nwb").counts["analogsignal"] == 1

    @pytest.mark.parametrize(
        ("dtype", "word"),
        [
            (np.dtype([("x", "f8"), ("y", "i4")]), "compound"),
            (h5py.ref_dtype, "reference"),
            (h5py.regionref_dtype, "reference"),
            (h5py.vlen_dtype(np.float64), "variable-length rows"),
            (np.dtype("c16"), "complex"),
        ],
    )
    def test_types_that_are_no_numbers(self, archive, tmp_path, dtype, word):
        made = session()
        made.add_acquisition(TimeSeries(name="x", data=np.arange(4.0), unit="V", **REGULAR))
        made.add_acquisition(TimeSeries(name="y", data=np.arange(4.0), unit="V", **REGULAR))
        path = write(made, tmp_path / "x.nwb")
        with h5py.File(path, "r+") as file:
            del file["acquisition/x/data"]
            file["acquisition/x"].create_dataset("data", shape=(4,), dtype=dtype).attrs["unit"] = "V"
        assert reasons(archive.register(path)) == {"/acquisition/x": f"its type {word} is neither numbers nor strings"}
        assert [one["name"] for one in objects(archive, "analogsignal")] == ["y"]

    def test_arrays_that_are_no_signals_are_listed_one_by_one(self, archive, registered):
        made = session()
        add_electrodes(made, 2)
        region = made.create_electrode_table_region(region=[0, 1], description="x")
        signal = ElectricalSeries(name="e", data=SAMPLES[:, :2], electrodes=region, **REGULAR)
        made.add_acquisition(signal)
        region = made.create_electrode_table_region(region=[0, 1], description="x")
        made.add_acquisition(
            FeatureExtraction(
                name="features", electrodes=region, description=["a", "b", "c"], times=[0.1, 0.2],
                features=np.zeros((2, 2, 3)),
            )
        )  # fmt: skip
        module = made.create_processing_module("module", "x")
        module.add(DynamicTable(name="table", description="x", columns=[VectorData("c", "x", data=[1, 2])]))
        made.add_scratch(np.arange(3.0), name="dumped", description="x")
        picture = GrayscaleImage(name="picture", data=np.zeros((5, 5)))
        made.add_acquisition(
            Images(
                name="pictures",
                images=[picture],
                order_of_images=ImageReferences(name="order_of_images", data=[picture]),
            )
        )
        outcome = registered(made, complete=False)
        served = "only signals, spikes, events and intervals are served"
        assert reasons(outcome) == {
            "/acquisition/features": f"it is features of spikes, spikes × channels × features: {served}",
            "/acquisition/pictures": f"it is pictures: {served}",
            "/processing/module/table": f"it is a table without times: {served}",
            "/scratch/dumped": f"it belongs to no series or table: {served}",
        }
        assert outcome.counts["analogsignalarray"] == 1


def test_places_name_everything(archive, registered):
    made = session()
    made.add_acquisition(TimeSeries(name="a", data=np.arange(4.0), unit="V", **REGULAR))
    made.add_stimulus(TimeSeries(name="a", data=np.arange(4.0), unit="V", **REGULAR))
    registered(made)
    assert set(by_path(archive, "analogsignal")) == {"/acquisition/a", "/stimulus/presentation/a"}

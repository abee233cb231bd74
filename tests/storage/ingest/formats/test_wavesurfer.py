"""WaveSurfer recordings of all versions and channels, as the service answers them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from tests.storage.ingest.formats.served import Served

COUNTS = np.random.default_rng(1).integers(-9999, 9999, (2, 500), dtype=np.int16)
COEFFICIENTS = np.array([[-0.008, 3.2e-4, -7e-14, 3.9e-18], [0.01, 3.3e-4, 1e-13, 0]])


@pytest.fixture
def served(tmp_path):
    return Served(tmp_path)


def write(path, header=None, *, old=False, sweeps=None, left_out=()):
    """Write a recording with three analog inputs of which the first and the last are active, and two lines."""
    prefix, digital = ("Analog", "Digital") if old else ("AI", "DI")
    told = {
        "VersionString": [b"0.953"],
        "ClockAtRunStart": [[2017.0], [10], [2], [13], [49], [23.6]],
        f"{prefix}ChannelNames": [b"Vm", b"unused", b"Im"],
        f"{prefix}ChannelUnits": [b"mV", b"V", b"mV"],
        f"{prefix}ChannelScales": [[0.1], [0], [0.5]],
        f"Is{prefix}ChannelActive": [[1.0], [0], [1]],
        f"{prefix}ScalingCoefficients": COEFFICIENTS,
        f"{digital}ChannelNames": [b"P0.0", b"P0.1"],
        f"Is{digital}ChannelActive": [[0.0], [1]],
        "SampleRate" if old else "AcquisitionSampleRate": [[20000.0]],
        **(header or {}),
    }
    with h5py.File(path, "w") as file:
        around = file.create_group("header/Acquisition" if old else "header")
        for key, value in told.items():
            if key not in left_out:
                (file["header"] if key in ("VersionString", "ClockAtRunStart") else around)[key] = np.array(value)
        for name, parts in (sweeps or {"sweep_0001": {"analogScans": COUNTS}}).items():
            sweep = file.create_group(name)
            for key, value in parts.items():
                sweep.create_dataset(key, data=value, chunks=None if np.ndim(value) < 2 else np.shape(value))
    return path


def expected():
    """Return what WaveSurfer's own loader makes of the counts."""
    rows = zip(COUNTS.astype(float), COEFFICIENTS, (0.1, 0.5), strict=True)
    return np.transpose([np.polyval(row[::-1], counts) / scale for counts, row, scale in rows])


@pytest.mark.parametrize("old", [False, True])
def test_counts_become_units_by_polynomial_and_scale(served, tmp_path, old):
    assert served.register(write(tmp_path / "x.h5", old=old)).refusals == []
    signal = served.one("analogsignalarray")
    np.testing.assert_allclose(served.array(signal["signal"]), expected(), rtol=2e-7)
    np.testing.assert_array_equal(served.array(signal["signal"], "?scaled=0"), COUNTS.T)
    assert signal["signal"]["units"] == "mV" and signal["annotations"]["channel_names"] == ["Vm", "Im"]
    assert signal["sampling_rate"] == {"units": "Hz", "data": 20000} and signal["t_start"]["data"] == 0
    assert served.one("block")["filedatetime"] == "2017-10-02 13:49:23"


def test_channels_of_several_units_are_signals_of_their_own(served, tmp_path):
    served.register(write(tmp_path / "x.h5", {"AIChannelUnits": [b"mV", b"V", b"pA"]}))
    voltage, current = served.all("analogsignal")
    assert (voltage["name"], voltage["signal"]["units"]) == ("Vm", "mV")
    assert (current["name"], current["signal"]["units"]) == ("Im", "pA")
    for one, values in zip((voltage, current), expected().T, strict=True):
        np.testing.assert_allclose(served.array(one["signal"]), values, rtol=2e-7)
        mean = served.array(one["signal"], "?downsample=5")
        np.testing.assert_allclose(mean, values.reshape(5, 100).mean(axis=1), rtol=1e-5)
    assert served.archive.fields(current["recordingchannel"])["name"] == "Im"


def test_sweeps_begin_when_they_say_so(served, tmp_path):
    sweeps = {
        "sweep_0001": {"analogScans": COUNTS, "timestamp": [[0.25]], "digitalScans": np.ones((1, 500), np.uint8)},
        "sweep_0002": {"analogScans": COUNTS[:, :100], "timestamp": [[3.5]]},
    }
    assert served.register(write(tmp_path / "x.h5", sweeps=sweeps)).refusals == []
    told = [(one["name"], one["index"], one["filedatetime"]) for one in served.all("segment")]
    assert told == [("sweep_0001", 0, "2017-10-02 13:49:23"), ("sweep_0002", 1, "2017-10-02 13:49:26")]
    first, lines, second = served.all("analogsignalarray")
    assert (first["t_start"]["data"], second["t_start"]["data"]) == (0.25, 3.5)
    assert served.array(second["signal"]).shape == (100, 2)
    assert lines["annotations"]["bits"] == ["P0.1"] and served.array(lines["signal"]).tolist() == [[1]] * 500


@pytest.mark.parametrize(
    ("version", "asked", "rate"),
    [
        ("0.912", 29997.0, 100000000.0 / 3333),
        ("0.912", 30000.0, 100000000.0 / 3333),
        ("0.9", 20000.0, 20000),
        ("0.913", 29997.0, 29997),
        ("1.0.2", 29997.0, 29997),
    ],
)
def test_the_rate_that_old_versions_took_is_not_the_one_they_tell(served, tmp_path, version, asked, rate):
    header = {"VersionString": [version.encode()], "SampleRate": [[asked]]}
    served.register(write(tmp_path / "x.h5", header, old=True))
    assert served.one("analogsignalarray")["sampling_rate"]["data"] == pytest.approx(rate, rel=1e-15)


def test_samples_that_are_units_already_stay_so(served, tmp_path):
    volts = COUNTS * 0.5
    served.register(
        write(tmp_path / "x.h5", sweeps={"trial_0001": {"analogScans": volts}}, left_out=["AIScalingCoefficients"])
    )
    np.testing.assert_array_equal(served.array(served.one("analogsignalarray")["signal"]), volts.T)


@pytest.mark.parametrize(
    ("header", "left_out", "reason"),
    [
        ({}, ["AIScalingCoefficients"], "no scaling coefficients for each active channel"),
        ({"AIScalingCoefficients": COEFFICIENTS[:1]}, [], "no scaling coefficients for each active channel"),
        ({"AIChannelScales": [[0.0], [1], [1]]}, [], "the scale of one of its channels is 0"),
        ({"IsAIChannelActive": [[1.0], [1], [1]]}, [], "2 channels, of which the header says that 3 are active"),
    ],
)
def test_counts_that_cannot_be_calibrated_are_refused(served, tmp_path, header, left_out, reason):
    sweeps = {"sweep_0001": {"analogScans": COUNTS, "digitalScans": np.ones((1, 500), np.uint8)}}
    served.register(write(tmp_path / "x.h5", header, left_out=left_out, sweeps=sweeps))
    assert list(served.refusals) == ["/sweep_0001/analogScans"] and reason in served.refusals["/sweep_0001/analogScans"]
    assert len(served.all("analogsignalarray")) == 1


@pytest.mark.parametrize(
    ("header", "left_out", "reason"),
    [
        ({}, ["AcquisitionSampleRate"], "no AcquisitionSampleRate"),
        ({"AcquisitionSampleRate": [[0.0]]}, [], "AcquisitionSampleRate is 0"),
        ({"AcquisitionSampleRate": [[np.nan]]}, [], "not numbers"),
        ({"AIChannelScales": [[1.0]]}, [], "1 scales for 3 channels"),
    ],
)
def test_headers_that_tell_too_little_are_refused(served, tmp_path, header, left_out, reason):
    outcome = served.register(write(tmp_path / "x.h5", header, left_out=left_out))
    assert outcome.state == "refused" and reason in outcome.refusals[0].reason


def test_sweeps_of_the_first_versions_are_refused(served, tmp_path):
    path = write(tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        file["trial_0001"] = COUNTS
    served.register(path)
    assert "before 0.9" in served.refusals["/trial_0001"]


def test_long_texts_of_a_header_are_cut(served, tmp_path):
    header = {f"Text{number}": [b"x" * 4000] for number in range(600)}
    assert served.register(write(tmp_path / "x.h5", header)).refusals == []
    told = served.one("block")["annotations"]["header"]
    assert len(told) == 500 and told["Text1"] == "x" * 200

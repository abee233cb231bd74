"""SpikeGLX in place: what is served is what numpy and neo read of the same files."""

from __future__ import annotations

import numpy as np
import pytest
from neo.rawio import SpikeGLXRawIO

from storage.errors import NotStored
from storage.ingest.places import files_at
from tests.archive import Archive
from tests.storage.ingest.flat_files import settled, write_imec, write_imec_2, write_nidq, write_obx


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "service")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "recordings"
    place.mkdir()
    return place


def signals(archive):
    found = archive.get("/electrophysiology/analogsignalarray/?max_results=1000").json["selected"]
    return {one["fields"]["name"]: one["fields"] for one in found}


def neo_stream(folder, name):
    """What neo reads of a stream: quantities, in its units, its rate and its start."""
    reader = SpikeGLXRawIO(folder)
    reader.parse_header()
    (index,) = np.flatnonzero(reader.header["signal_streams"]["name"] == name)
    raw = reader.get_analogsignal_chunk(0, 0, stream_index=index)
    channels = reader.header["signal_channels"]
    own = channels[channels["stream_id"] == reader.header["signal_streams"]["id"][index]]
    return {
        "values": reader.rescale_signal_raw_to_float(raw, "float64", stream_index=index),
        "rate": reader.get_signal_sampling_rate(index),
        "t_start": reader.get_signal_t_start(0, 0, index),
        "names": own["name"].tolist(),
        "units": set(own["units"].tolist()),
    }


def assert_is(archive, fields, expected, *, channels=slice(None)):
    """A signal is what neo reads; the service rounds 16 bits to single precision."""
    values = np.array(archive.values(fields["signal"]["data"]), np.float32)
    np.testing.assert_allclose(values, expected["values"][:, channels], rtol=1e-6)
    assert fields["sampling_rate"] == {"units": "Hz", "data": pytest.approx(expected["rate"], rel=1e-15)}
    assert fields["t_start"] == {"units": "s", "data": pytest.approx(expected["t_start"], rel=1e-15)}


@pytest.mark.parametrize("band", ["ap", "lf"])
def test_a_probe_of_the_first_kind_is_what_neo_reads(archive, folder, band):
    meta, samples = write_imec(folder, f"run_g0_t0.imec0.{band}")
    outcome = archive.register(meta)
    assert (outcome.state, outcome.refusals) == ("registered", [])
    found, expected = signals(archive), neo_stream(folder, f"imec0.{band}")
    fields = found[f"imec0.{band} {band.upper()}"]
    assert_is(archive, fields, expected)
    assert fields["signal"]["units"] == "uV" and expected["units"] == {"uV"}
    step = 0.6 / 512 / np.array([250.0 if band == "ap" else 125.0]) / np.arange(1, 7) * 1e6
    numbers = np.memmap(meta.with_suffix(".bin"), "<i2", "r").reshape(-1, 7)
    values = np.array(archive.values(fields["signal"]["data"]), np.float32)
    np.testing.assert_array_equal(values, (numbers[:, :6] * step).astype(np.float32))
    assert archive.values(fields["signal"]["data"] + "?scaled=0") == samples[:, :6].tolist()
    sync = found[f"imec0.{band} SY"]
    assert archive.values(sync["signal"]["data"]) == samples[:, 6:].tolist()
    assert (sync["signal"]["units"], sync["signal"]["dtype"]) == ("dimensionless", "int16")


@pytest.mark.parametrize("told", [{}, {"imChan0apGain": 100, "imMaxInt": 2048}, {"imDatPrb_pn": "NP2013"}], ids=str)
def test_a_probe_of_the_second_kind_is_what_neo_reads(archive, folder, told):
    kind = {"imDatPrb_type": 2013} if "imDatPrb_pn" in told else {}
    meta, _ = write_imec_2(folder, **told, **kind)
    assert archive.register(meta).refusals == []
    assert_is(archive, signals(archive)["imec1.ap AP"], neo_stream(folder, "imec1.ap"))


def test_a_device_with_several_gains_is_what_neo_reads(archive, folder):
    meta, samples = write_nidq(folder)
    assert archive.register(meta).refusals == []
    found, expected = signals(archive), neo_stream(folder, "nidq")
    assert_is(archive, found["nidq analog"], expected, channels=slice(0, 5))
    assert found["nidq analog"]["signal"]["units"] == "V"
    assert archive.values(found["nidq XD"]["signal"]["data"]) == samples[:, 5:].tolist()


def test_a_one_box_is_what_neo_reads(archive, folder):
    meta, samples = write_obx(folder)
    assert archive.register(meta).refusals == []
    found, expected = signals(archive), neo_stream(folder, "obx0")
    assert_is(archive, found["obx0.obx XA"], expected, channels=slice(0, 2))
    for name, column in (("obx0.obx XD", 2), ("obx0.obx SY", 3)):
        assert archive.values(found[name]["signal"]["data"]) == samples[:, [column]].tolist()


@pytest.mark.parametrize("steps", [512, None])
def test_a_probe_whose_gain_is_told_in_the_head_of_its_table(archive, folder, steps):
    meta, samples = write_imec_2(folder, imDatPrb_type=1110, imDatPrb_pn="NP1110", imMaxInt=steps)
    meta.write_text(meta.read_text().replace("imroTbl=(21,4)", "imroTbl=(1110,0,0,500,250,1)"))
    settled(folder)
    assert archive.register(meta).refusals == []
    got = np.array(archive.values(signals(archive)["imec1.ap AP"]["signal"]["data"]), np.float32)
    np.testing.assert_allclose(got, samples[:, :4] * (0.5 / 512 / 500 * 1e6), rtol=1e-6)


def test_gains_are_those_of_the_saved_channels(archive, folder):
    meta, samples = write_imec(folder, saved=[1, 4])
    assert archive.register(meta).refusals == []
    fields = signals(archive)["imec0.ap AP"]
    step = 0.6 / 512 / np.array([500.0, 1250.0]) * 1e6
    got = np.array(archive.values(fields["signal"]["data"]), np.float32)
    np.testing.assert_allclose(got, samples[:, :2] * step, rtol=1e-6)


def test_slices_and_channels_are_those_of_the_array(archive, folder):
    meta, samples = write_imec(folder)
    archive.register(meta)
    link = signals(archive)["imec0.ap SY"]["signal"]["data"]
    assert archive.values(f"{link}?start_index=10&end_index=20&channels=0") == samples[10:20, 6:].tolist()
    link = signals(archive)["imec0.ap AP"]["signal"]["data"]
    assert (
        archive.values(f"{link}?start_index=10&end_index=20&channels=5,0&scaled=0") == samples[10:20, [5, 0]].tolist()
    )
    archive.error(f"{link}?channels=6", 400)
    (plan,) = archive.get(f"{link}?start_index=10&end_index=20&explain=1").json["selected"]
    assert (plan["requests"], plan["nbytes_fetched"]) == (1, 10 * samples.shape[1] * 2)
    low, high = archive.values(f"{link}?downsample=2&method=extrema&scaled=0")
    assert (low, high) == (samples[:, :6].min(axis=0).tolist(), samples[:, :6].max(axis=0).tolist())


def test_channels_say_where_they_are(archive, folder):
    archive.register(write_imec(folder)[0])
    found = archive.get("/electrophysiology/recordingchannel/").json["selected"]
    told = {one["fields"]["name"]: one["fields"]["annotations"] for one in found}
    assert list(told) == ["AP0", "AP1", "AP2", "AP3", "AP4", "AP5", "SY0"]
    assert told["AP3"] == {
        "channel": 3, "gain": 1000.0, "bank": 0, "reference": 0,
        "shank": 0, "x": 59.0, "z": 20.0, "used": True, "units": "um",
    }  # fmt: skip
    assert told["AP1"]["used"] is False
    block = archive.fields("/electrophysiology/block/1")
    assert block["annotations"]["run"] == "run" and block["annotations"]["gate"] == "0"
    assert "fileName" not in block["annotations"]["spikeglx"]
    assert block["annotations"]["spikeglx"]["imDatPrb_pn"] == "NP1000"


def test_nothing_is_copied_and_the_bin_is_what_can_be_downloaded(archive, folder):
    meta, samples = write_imec(folder)
    before = {path: path.stat()[:7] + path.stat()[8:9] for path in folder.iterdir()}
    archive.register(meta)
    link = signals(archive)["imec0.ap AP"]["signal"]["data"]
    info = archive.fields(f"{link}/info/")
    assert info["nbytes"] == samples.nbytes and info["shape"] == [1000, 6]
    answer = archive.get(f"{link}/download/")
    assert answer.data == samples.tobytes()
    assert "run_g0_t0.imec0.ap.bin" in answer.headers["Content-Disposition"]
    assert {path: path.stat()[:7] + path.stat()[8:9] for path in folder.iterdir()} == before
    assert not list((archive.settings.data / "store").rglob("*.h5"))


def test_a_folder_a_meta_and_a_bin_are_the_same_recording(archive, folder):
    metas = [write_imec(folder)[0], write_nidq(folder)[0]]
    (folder / "notes.meta").write_text("no recording")
    store = archive.services.store
    urls = sorted(f"file://{meta}" for meta in metas)
    assert files_at(store, str(folder)) == urls
    assert [files_at(store, str(meta.with_suffix(".bin"))) for meta in metas] == [[f"file://{meta}"] for meta in metas]
    metas[0].unlink()
    with pytest.raises(NotStored, match=r"imec0\.ap\.meta"):
        files_at(store, str(metas[0].with_suffix(".bin")))


def test_registering_again_changes_nothing_until_a_file_does(archive, folder):
    meta, samples = write_imec(folder)
    archive.register(meta)
    link = signals(archive)["imec0.ap AP"]["signal"]["data"]
    guid = archive.fields(f"{link}/info/")["guid"]
    assert archive.register(meta).state == "unchanged"
    meta.with_suffix(".bin").write_bytes((samples + 1).tobytes())
    settled(folder, 7200)
    archive.error(link, 409)
    assert archive.register(meta).state == "updated"
    assert archive.fields(f"{link}/info/")["guid"] != guid
    assert archive.values(f"{link}?scaled=0") == (samples[:, :6] + 1).tolist()
    meta.write_text(meta.read_text().replace("firstSample=12345", "firstSample=0"))
    settled(folder)
    assert archive.register(meta).state == "updated"
    assert signals(archive)["imec0.ap AP"]["t_start"]["data"] == 0


class TestGrowing:
    """What is not whole yet waits; it is not refused."""

    def test_a_file_that_was_changed_just_now(self, archive, folder):
        meta, _ = write_imec(folder)
        meta.with_suffix(".bin").touch()
        outcome = archive.register(meta)
        assert outcome.state == "waiting" and "run_g0_t0.imec0.ap.bin was changed" in outcome.refusals[0].reason
        assert archive.get("/electrophysiology/block/").json["selected"] == []
        settled(folder)
        assert archive.register(meta).state == "registered"

    @pytest.mark.parametrize("size", [0, 13_998, 15_000, "", "many"])
    def test_a_file_of_another_length_than_is_told(self, archive, folder, size):
        meta, _ = write_imec(folder, fileSizeBytes=size)
        outcome = archive.register(meta)
        assert outcome.state == "waiting" and "it is not whole" in outcome.refusals[0].reason

    def test_one_that_nobody_completes_is_refused_after_a_day(self, archive, folder):
        meta, _ = write_imec(folder, fileSizeBytes=15_000)
        settled(folder, 90_000)
        outcome = archive.register(meta)
        assert outcome.state == "refused" and "nothing was added for a day" in outcome.refusals[0].reason

    def test_samples_that_end_within_one(self, archive, folder):
        meta, samples = write_imec(folder, fileSizeBytes=13_999)
        meta.with_suffix(".bin").write_bytes(samples.tobytes()[:-1])
        settled(folder)
        assert archive.register(meta).state == "waiting"


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"nSavedChans": None}, "no .meta file of SpikeGLX"),
        ({"nSavedChans": 9}, "tells of 7 channels"),
        ({"snsApLfSy": "6,1"}, "snsApLfSy"),
        ({"snsApLfSy": "6,-1,2"}, "snsApLfSy"),
        ({"imSampRate": None}, "imSampRate"),
        ({"imSampRate": "fast"}, "not a number"),
        ({"imSampRate": "0"}, ""),
        ({"imSampRate": "nan"}, ""),
        ({"imAiRangeMax": None}, "imAiRangeMax"),
        ({"imMaxInt": 0}, "imMaxInt"),
        ({"imDatPrb_type": 4711}, "4711"),
        ({"typeThis": "scope"}, "scope"),
        ({"firstSample": -5}, "firstSample"),
        ({"firstSample": "1e400"}, ""),
        ({"snsSaveChanSubset": "0:999999"}, "snsSaveChanSubset"),
        ({"snsSaveChanSubset": "a,b"}, "snsSaveChanSubset"),
        ({"snsSaveChanSubset": "7,8,9,10,11,12,12"}, "imroTbl"),
    ],
)
def test_texts_that_are_not_as_they_should_be_are_refused(archive, folder, tags, reason):
    outcome = archive.register(write_imec(folder, **tags)[0])
    assert outcome.state == "refused" and reason in outcome.refusals[0].reason
    assert archive.get("/datafiles/").json["objects_total"] == 0


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"=\n==\n~=()\n", b"nSavedChans=1\n" * 1000, b"\xff\xfe\x00"])
def test_a_meta_of_garbage_is_refused(archive, folder, content):
    meta, _ = write_imec(folder)
    meta.write_bytes(content)
    settled(folder)
    assert archive.register(meta).state == "refused"


@pytest.mark.parametrize(
    ("age_s", "state"), [(70, "registered"), (30, "waiting"), (-30, "waiting"), (-7200, "registered")]
)
def test_a_file_that_was_changed_a_moment_ago_by_whichever_clock_waits(archive, folder, age_s, state):
    meta, _ = write_imec(folder)
    settled(folder, age_s)
    assert archive.register(meta).state == state


def test_a_meta_without_a_bin_is_refused(archive, folder):
    meta, _ = write_imec(folder)
    meta.with_suffix(".bin").unlink()
    outcome = archive.register(meta)
    assert outcome.state == "refused" and "run_g0_t0.imec0.ap.bin is not in the store" in outcome.refusals[0].reason

"""The commands a person types."""

from __future__ import annotations

import fcntl
import os
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.archive import Archive


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


@pytest.fixture
def run(archive):
    """Run one ``flask`` command; returns its exit code and what it printed."""

    def run(line):
        result = archive.app.test_cli_runner().invoke(args=shlex.split(line))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return run


@pytest.fixture
def recording(archive):
    path = archive.folder / "rat 7.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(40_000, dtype=np.float32)
    return path


def test_register_tells_what_it_registered_and_what_not(archive, run, recording):
    (archive.folder / "text.h5").write_text("not HDF5")
    code, said = run(
        f"register --safety-level 1 --sampling-rate '20 kHz' --units mV --t-start '5 ms' '{archive.folder}'"
    )
    assert code == 0
    assert "registered  rat 7.h5: 1 analogsignal" in said
    assert "left out  text.h5: it is not an HDF5 file" in said
    fields = archive.fields("/electrophysiology/analogsignal/?name=rat 7")
    assert fields["sampling_rate"] == {"units": "kHz", "data": 20} and fields["t_start"]["data"] == 5
    assert (
        "unchanged  rat 7.h5"
        in run(f"register --safety-level 1 --sampling-rate '20 kHz' --units mV --t-start '5 ms' '{recording}'")[1]
    )


def test_register_is_private_unless_told_otherwise(archive, run, recording):
    assert run(f"register --owner jane --sampling-rate '1 Hz' '{recording}'")[0] == 0
    archive.error("/electrophysiology/analogsignal/1", 401)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--sampling-rate 20000", "number and a unit"),
        ("--sampling-rate '20000Hz s'", "number and a unit"),
        ("--sampling-rate '20000 furlong'", "rate unit"),
        ("--sampling-rate '-1 Hz'", "not positive"),
        ("--sampling-rate 'NaN Hz'", "not a number"),
        ("--t-start '0 Hz'", "time unit"),
        ("--units bananas", "not a unit"),
        ("--safety-level 4", "4 is not in the range"),
        ("gopher://x/y", "no store is known for gopher"),
    ],
)
def test_bad_options_are_told(run, recording, options, said):
    code, output = run(f"register {options} '{recording}'")
    assert (code != 0 or "gopher" in options) and said in output and "Traceback" not in output


@pytest.mark.parametrize("unit", ["mV", "MV", "uV", "mcv", "nA", "pA", "mm", "degC", "volts"])
def test_known_units_are_taken_as_they_are_spelled(archive, run, recording, unit):
    assert run(f"register --safety-level 1 --units {unit} --sampling-rate '1 Hz' '{recording}'")[0] == 0
    assert archive.fields("/electrophysiology/analogsignal/1")["signal"]["units"] == unit


def test_a_terminal_is_shown_how_much_of_which_dataset_is_indexed(archive, tmp_path):
    with h5py.File(tmp_path / "many.h5", "w") as file:
        file.create_dataset("signal", data=np.arange(40_000), chunks=(2,))
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "register", "--sampling-rate", "1 Hz"]
    terminal, other_end = os.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("4H", 50, 200, 0, 0))
    os.set_blocking(terminal, False)
    environment = {**os.environ, "EPHYSTORE_DATA": str(archive.settings.data)}
    done = subprocess.run(
        [*command, str(tmp_path / "many.h5")],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=other_end,
        check=True,
    )
    shown = os.read(terminal, 65536).decode()
    os.close(other_end)
    os.close(terminal)
    assert b"registered  many.h5" in done.stdout
    for n_indexed in ("0", "16,384", "20,000"):
        assert f"many.h5, {n_indexed} of 20,000 chunks of /signal" in shown


def test_nothing_registered_is_an_error(archive, run):
    (archive.folder / "text.h5").write_text("not HDF5")
    code, said = run(f"register '{archive.folder}/text.h5'")
    assert code != 0 and "nothing could be registered" in said


def test_welcome_prints_two_requests_that_work(archive, run, recording):
    run(f"register --safety-level 1 --sampling-rate '20 kHz' '{recording}'")
    said = run("welcome --address http://127.0.0.1:8000")[1]
    first, second = [
        line.split("'")[1].removeprefix("http://127.0.0.1:8000") for line in said.splitlines() if "curl" in line
    ]
    assert archive.fields(first)["signal"]["data"] == second
    assert len(archive.get(second).json) == 20


def test_welcome_without_recordings_names_the_address(run):
    assert "curl 'http://127.0.0.1:8000/'" in run("welcome --address http://127.0.0.1:8000")[1]


def test_init_makes_the_catalog_and_commands_before_it_say_what_is_missing(tmp_path):
    archive = Archive(tmp_path / "new", migrated=False)
    runner = archive.app.test_cli_runner()
    early = runner.invoke(args=["welcome", "--address", "http://x"])
    assert early.exit_code == 1 and "catalog" in early.output
    for _ in range(2):
        assert runner.invoke(args=["init"]).exit_code == 0
    assert archive.get("/health").status_code == 200


def test_demo_makes_a_recording_once(archive, run):
    code, said = run("demo")
    assert code == 0 and "registered  demo.nwb" in said
    made = (archive.settings.data / "demo.nwb").stat()
    assert "unchanged  demo.nwb" in run("demo")[1]
    assert (archive.settings.data / "demo.nwb").stat() == made
    totals = {
        name: archive.get(f"/electrophysiology/{name}/").json["objects_total"]
        for name in ("analogsignal", "analogsignalarray", "irsaanalogsignal", "spiketrain", "eventarray", "epocharray")
    }
    assert totals == dict(zip(totals, [1, 1, 1, 3, 1, 1], strict=True))
    probe = archive.fields("/electrophysiology/analogsignalarray/1")
    assert probe["signal"]["shape"][1] == 16
    assert probe["signal"]["shape"][0] / probe["sampling_rate"]["data"] >= 600


def test_what_is_not_told_again_stays_as_it_was_told(archive, run, recording):
    run(f"register --safety-level 1 --sampling-rate 20kHz --units mV '{recording}'")
    assert "unchanged  rat 7.h5" in run(f"register '{recording}'")[1]
    assert "updated  rat 7.h5" in run(f"register --units uV '{recording}'")[1]
    fields = archive.fields("/electrophysiology/analogsignal/1")
    assert fields["sampling_rate"] == {"units": "kHz", "data": 20} and fields["signal"]["units"] == "uV"


def test_one_bad_place_does_not_keep_the_others_out(archive, run, recording):
    code, said = run(f"register --sampling-rate '1 Hz' /no/such/place '{recording}'")
    assert (
        code == 0 and "left out  /no/such/place: place is not in the store" in said and "registered  rat 7.h5" in said
    )


def test_an_index_that_was_lost_is_made_anew(archive, run):
    signal = archive.add("lost", np.arange(4000.0), chunks=(100,))
    archive.forget_short_indices()
    for sidecar in (archive.settings.data / "store" / "sidecars").rglob("*.h5"):
        sidecar.unlink()
    assert "registering its file again" in archive.error(signal["signal"]["data"], 404)["message"]
    assert "updated  lost.h5" in run(f"register '{archive.folder}/lost.h5'")[1]
    assert archive.values(signal["signal"]["data"] + "?start_index=3998") == [3998, 3999]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EPHYSTORE_CHUNK_CACHE_MB", "lots"),
        ("EPHYSTORE_DECODERS", "-1"),
        ("EPHYSTORE_S3_ANONYMOUS", "maybe"),
        ("EPHYSTORE_S3_CLIENT", "boto3"),
        ("EPHYSTORE_SANDBOX_CPU_S", "1e3"),
        ("EPHYSTORE_SANDBOX_REQUIRE", "yes"),
        ("EPHYSTORE_SHOW_SUBJECT", "mouse"),
        ("EPHYSTORE_DATABASE_URL", "mysql://x"),
        ("EPHYSTORE_STORE_URL", "/a/folder"),
    ],
)
def test_a_bad_setting_is_one_sentence_naming_it(tmp_path, name, value):
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "init"]
    environment = {**os.environ, "EPHYSTORE_DATA": str(tmp_path), name: value}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert name in done.stderr and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


MAPPING = """
arrays:
  - dataset: /x
    type: analogsignal
    sampling_rate: 30 kHz
    name: mapped
"""


def test_a_mapping_file_is_told_remembered_and_forgotten(archive, run, recording):
    mapping = archive.folder / "mapping.yaml"
    mapping.write_text(MAPPING)
    assert "1 block, 1 segment, 1 analogsignal" in run(f"register --safety-level 1 --map '{mapping}' '{recording}'")[1]
    assert archive.fields("/electrophysiology/analogsignal/?name=mapped")["sampling_rate"]["data"] == 30
    mapping.unlink()
    assert "unchanged" in run(f"register --safety-level 1 '{recording}'")[1]
    assert "updated  rat 7.h5: 1 analogsignal" in run(f"register --no-map --sampling-rate '1 Hz' '{recording}'")[1]
    assert "unchanged" in run(f"register '{recording}'")[1]


def test_everything_that_is_wrong_with_a_mapping_file_is_told(archive, run, recording):
    mapping = archive.folder / "mapping.yaml"
    mapping.write_text(MAPPING.replace("name", "nam").replace("30 kHz", "fast"))
    code, said = run(f"register --map '{mapping}' '{recording}'")
    assert code == 2 and "array 1, nam: is no key here; did you mean name?" in said
    assert "array 1, sampling_rate: 'fast' is not a number and a unit" in said
    code, said = run(f"register --map '{mapping}x' '{recording}'")
    assert code == 2 and "cannot be read: No such file" in said

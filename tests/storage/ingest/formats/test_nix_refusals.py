"""What of NIX files cannot be served, and the sentence that says why."""

from __future__ import annotations

import h5py
import nixio
import numpy as np
import pytest

from tests.storage.ingest.formats.served import Served
from tests.storage.ingest.formats.test_nix import WAVE, add_signal, block_in


@pytest.fixture
def served(tmp_path):
    return Served(tmp_path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda block: _of(block, WAVE.reshape(10, 30, 3), "sample", "set", "set"), "3 dimensions"),
        (lambda block: _of(block, WAVE[:, 0], "set"), "none of its dimensions is time"),
        (lambda block: _of(block, WAVE, "sample", "sample"), "2 of its dimensions are time"),
        (lambda block: add_signal(block, unit="Hz"), "none of its dimensions is time: Hz"),
        (lambda block: add_signal(block, unit=None), "no unit"),
        (lambda block: add_signal(block, interval=0.0), "sampling interval is 0"),
        (lambda block: add_signal(block, interval=float("nan")), "not a number"),
        (lambda block: add_signal(block, offset=float("inf")), "not a number"),
        (lambda block: block.create_data_array("bare", "nix.data", data=WAVE[:, 0]), "1 axes but 0 dimensions"),
    ],
)
def test_what_is_no_signal_is_refused_with_its_reason(served, tmp_path, write, reason):
    with block_in(tmp_path / "x.nix") as block:
        write(block)
        add_signal(block, "good")
    served.register(tmp_path / "x.nix")
    (told,) = served.refusals.values()
    assert reason in told
    assert [one["name"] for one in served.all("analogsignal")] == ["good"]


def _of(block, data, *kinds):
    array = block.create_data_array("odd", "nix.data", data=data)
    for kind in kinds:
        _ = array.append_set_dimension() if kind == "set" else array.append_sampled_dimension(1.0, unit="s")


@pytest.mark.parametrize("ticks", [np.arange(300.0)[::-1], np.full(300, np.nan), np.arange(299.0)])
def test_ticks_that_are_no_axis_are_refused(served, tmp_path, ticks):
    with block_in(tmp_path / "x.nix") as block:
        block.create_data_array("x", "nix.range", data=WAVE[:, 0]).append_range_dimension(np.arange(300.0), unit="s")
    with h5py.File(tmp_path / "x.nix", "r+") as file:
        around = file["data/a block/data_arrays/x/dimensions/1"]
        del around["ticks"]
        around["ticks"] = ticks
    (refusal,) = served.register(tmp_path / "x.nix").refusals
    assert "times" in refusal.reason


def test_data_in_another_file_are_refused(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        add_signal(block)
    with h5py.File(tmp_path / "x.nix", "r+") as file:
        around = file["data/a block/data_arrays/wave"]
        del around["data"]
        around["data"] = h5py.ExternalLink("/etc/other.nix", "/data")
    (refusal,) = served.register(tmp_path / "x.nix").refusals
    assert "lies in another file ('/etc/other.nix'); register that" in refusal.reason


def test_a_file_without_blocks_is_refused(served, tmp_path):
    nixio.File.open(str(tmp_path / "x.nix"), nixio.FileMode.Overwrite).close()
    outcome = served.register(tmp_path / "x.nix")
    assert outcome.state == "refused" and outcome.refusals[0].reason == "it has no blocks"


def test_a_file_of_which_nothing_can_be_served_is_refused(served, tmp_path):
    with block_in(tmp_path / "x.nix") as block:
        _of(block, WAVE[:, 0], "set")
    assert served.register(tmp_path / "x.nix").state == "refused" and served.all("block") == []

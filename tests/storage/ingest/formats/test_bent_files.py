"""Bits flipped all over files of each format: what is left is served, or refused, and nothing is raised."""

from __future__ import annotations

import numpy as np
import pytest

from storage.errors import Refused
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from storage.objectstore import ObjectStore
from tests.storage.ingest.formats import test_mcs, test_nix, test_wavesurfer

MAPPING = {"arrays": [{"dataset": "/sweep_*/analogScans", "type": "analogsignalarray", "time_axis": 1}]}


def nix(path):
    with test_nix.block_in(path) as block:
        wave = test_nix.add_signal(block)
        wave.metadata = block._parent.create_section("m", "nix.metadata")
        wave.metadata["x"] = [1.0, 2.0]
        test_nix.add_multi_tag(block, "epochs", [1.0, 5.0, 3.0], [0.5, 0.25, 0.75], unit="ms", references=[wave])


def mcs(path):
    streams = [(test_mcs.STORED, test_mcs.channels({}, {}, {}), [[0, 0, 399]])]
    test_mcs.write(path, streams, more=test_mcs.add_cutouts)


@pytest.fixture(scope="module")
def sandbox():
    found = Sandbox(Limits(cpu_s=2, wall_s=20))
    yield found
    found.close()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("write", "mapping"), [(nix, None), (mcs, None), (test_wavesurfer.write, None), (test_wavesurfer.write, MAPPING)]
)
def test_bent_files_are_read_or_refused(tmp_path, sandbox, write, mapping, seed):
    write(tmp_path / "whole.h5")
    content = (tmp_path / "whole.h5").read_bytes()
    rng = np.random.default_rng(seed)
    store, options = ObjectStore(f"file://{tmp_path}"), PlainOptions((1.0, "kHz"), mapping=mapping)
    assert sandbox.inspect(store, "whole.h5", store.stat("whole.h5"), options).objects
    for number in range(6):
        bent = bytearray(content)
        for place in rng.integers(8, len(bent), 4):
            bent[place] ^= 1 << rng.integers(8)
        name = f"{number}.h5"
        (tmp_path / name).write_bytes(bent)
        try:
            sandbox.inspect(store, name, store.stat(name), options)
        except Refused as error:
            assert "told of" not in str(error) and "sent" not in str(error)  # what it finds holds together

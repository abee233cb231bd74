"""Files of each format bent all over: what is left is served, or refused, and nothing is raised."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from storage.errors import Refused
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.sandbox import Sandbox
from storage.objectstore import ObjectStore
from tests.storage.ingest.formats import test_mcs, test_nix, test_wavesurfer
from tests.storage.ingest.nwb.test_sweeps import electrode, pair
from tests.storage.ingest.nwb.written import add_electrodes, session
from tests.storage.ingest.nwb.written import write as write_session

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


def nwb(path):
    made = session()
    add_electrodes(made, 2)
    made.add_unit(spike_times=[1.0, 2.0], electrodes=[0, 1], waveform_mean=np.zeros(4))
    made.add_trial(start_time=1.0, stop_time=9.0)
    pair(made, electrode(made), 0)
    write_session(made, path)


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


@pytest.mark.parametrize("write", [nix, mcs, test_wavesurfer.write, nwb])
def test_a_link_that_leads_to_itself_takes_nothing_with_it_but_what_it_stands_for(tmp_path, sandbox, write):
    write(tmp_path / "whole.h5")
    store, places, left = ObjectStore(f"file://{tmp_path}"), [], []
    with h5py.File(tmp_path / "whole.h5") as file:
        file.visit(places.append)
    content = (tmp_path / "whole.h5").read_bytes()
    for place in places:
        (tmp_path / "bent.h5").write_bytes(content)
        with h5py.File(tmp_path / "bent.h5", "a") as file:
            del file[place]
            file[place] = h5py.SoftLink(f"/{place}")
        try:
            left.append(len(sandbox.inspect(store, "bent.h5", store.stat("bent.h5"), PlainOptions()).objects))
        except Refused as error:
            assert "the process" not in str(error) and "Error" not in str(error), place
    assert len(left) > 0.9 * len(places) and max(left) > 2


def test_an_attribute_of_a_type_that_is_not_known_refuses_the_file_with_a_reason(tmp_path, sandbox):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["array"] = np.arange(9.0)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(file.id, b"format", h5py.h5t.UNIX_D32LE, space)
    store = ObjectStore(f"file://{tmp_path}")
    with pytest.raises(Refused, match="it cannot be read: it is damaged, or not as its format says"):
        sandbox.inspect(store, "a.h5", store.stat("a.h5"), PlainOptions((1.0, "kHz")))

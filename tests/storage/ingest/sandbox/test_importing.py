"""Files of other formats from strangers: damaged, made up, or with a process that a file has taken over."""

from __future__ import annotations

import pickle
import random
import re
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from storage.errors import Refused
from storage.ingest.file_sets import Member
from storage.ingest.sandbox import walls
from storage.ingest.sandbox.importer import Importer
from storage.ingest.sandbox.limits import Limits
from storage.ingest.vendor.readers import READERS
from storage.objectstore import ObjectStore
from tests.storage.ingest.sandbox.hostile_imports import LIES, PROGRAM
from tests.storage.ingest.vendor import rigs
from tests.storage.ingest.vendor.files import brainvision, edf

LIMITS = Limits(cpu_s=5, wall_s=60)
SAMPLES = np.random.default_rng(5).integers(-2000, 2000, (2048, 2))
SOUND = {
    "ABF": {"a.abf": rigs.abf1([SAMPLES[:900], SAMPLES[900:]], units=("mV", "pA"), gains=(1, 1), tags=[(5, "tag")])},
    "EDF": {"a.edf": edf([("A", "uV", SAMPLES[:2000, 0], 100)], annotations=[b"+0\x14\x14\0+1\x14x\x14\0"] * 20)},
    "BrainVision": brainvision(SAMPLES, name="a"),
    "Igor": {"a.ibw": rigs.ibw(SAMPLES)},
    "Intan": {"a.rhd": rigs.rhd(SAMPLES[:2040])},
    "Neuralynx": {f"CSC{n}.ncs": rigs.ncs(f"CSC{n}", SAMPLES[:, n], number=n) for n in (0, 1)},
    "Blackrock": {"a.ns5": rigs.ns5([(0, SAMPLES[:1000]), (90000, SAMPLES[1000:])])},
    "Plexon": {"a.plx": rigs.plx([(s * 40, c, SAMPLES[s : s + 512, c]) for s in (0, 512, 1024) for c in (0, 1)])},
    "Spike2": {"a.smr": rigs.smr(SAMPLES[:, 0], [5, 9, 400])},
}
N_MUTATIONS = 200


@pytest.fixture(scope="module")
def importer():
    found = Importer(LIMITS)
    found.start()
    yield found
    found.close()


@pytest.fixture
def convert(importer, tmp_path):
    def convert(kind, contents, *, by=importer, name="x"):
        store = ObjectStore(f"file://{tmp_path}/store")
        for key, content in contents.items():
            store.put(key, content)
        members = [Member(key, key, store.stat(key)) for key in contents]
        started = time.monotonic()
        try:
            with (tmp_path / "out.h5").open("w+b") as content:
                return by.convert(store, members, kind=kind, name=name, content=content)
        finally:
            assert time.monotonic() - started < LIMITS.wall_s
            for key in contents:
                store.remove(key)

    return convert


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_file_is_imported_through_all_walls(convert, kind, tmp_path):
    found, used = convert(kind, SOUND[kind])
    assert {one.name for one in used} == set(SOUND[kind]) and found.refusals == []
    with h5py.File(tmp_path / "out.h5") as file:
        assert {one.dataset for one in found.arrays.values()} == set(found.datasets)
        for path, told in found.datasets.items():
            assert file[path].shape == told.shape and np.dtype(file[path].dtype.str) == told.dtype
        assert sum(told.shape[0] for told in found.datasets.values()) > 1000


def test_what_the_parent_would_not_take_is_left_out_alone(convert):
    notes = [b"+0\x14\x14\0", b"+1e20\x14\x14\0", b"+2e20\x14\x14\0"]
    content = edf([("A", "uV", SAMPLES[:300, 0], 100)], annotations=notes, plus="EDF+D")
    found, _ = convert("EDF", {"a.edf": content})
    assert [one.source_path for one in found.objects if one.type_name == "analogsignal"] == ["/segment_0/signal_0"]
    assert [one.path for one in found.refusals] == ["/segment_1 A", "/segment_2 A"]
    assert found.refusals[0].reason == "its t_start is 1e+20, beyond 1e+15"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"items": 2}, "more than 2 arrays"),
        ({"items": 4}, "more than 4 objects"),
        ({"open_arrays": 1}, "1 beside each"),
    ],
)
def test_more_than_the_parent_takes_is_refused_with_a_reason(convert, limits, reason):
    contents = brainvision(SAMPLES[:, [0, 1, 0]], name="a")
    for name, unit in (("C1", "mV"), ("C2", "V")):
        contents["a.vhdr"] = contents["a.vhdr"].replace(f"{name},,0.5,µV".encode(), f"{name},,0.5,{unit}".encode())
    small = Importer(replace(LIMITS, **limits))
    small.start()
    try:
        with pytest.raises(Refused, match=reason):
            convert("BrainVision", contents, by=small)
    finally:
        small.close()


def test_more_reasons_than_the_parent_takes_are_summed_up(convert):
    notes = [b"+%de20\x14\x14\0" % number for number in range(9)]
    content = edf([("A", "uV", SAMPLES[:900, 0], 100)], annotations=[b"+0\x14\x14\0", *notes[1:]], plus="EDF+D")
    small = Importer(replace(LIMITS, refusals=3))
    small.start()
    try:
        found, _ = convert("EDF", {"a.edf": content}, by=small)
    finally:
        small.close()
    assert [one.path for one in found.refusals] == ["/segment_1 A", "/segment_2 A", "/"]
    assert found.refusals[2].reason == "there is more that cannot be served"


def mutated(content, seed):
    """Damage a file as a seed says: cut, bits turned, bytes replaced, a length made huge."""
    rng, content = random.Random(seed), bytearray(content)
    how = rng.randrange(5)
    if how == 0:
        return bytes(content[: rng.randrange(len(content))])
    for _ in range(rng.choice([1, 1, 4, 30])):
        place = min(int(rng.paretovariate(0.3)) - 1, len(content) - 9) if how < 4 else rng.randrange(len(content) - 8)
        if how == 1:
            content[place] ^= 1 << rng.randrange(8)
        elif how == 2:
            content[place] = rng.randrange(256)
        else:
            content[place : place + 4] = rng.choice([b"\xff\xff\xff\x7f", b"\xff" * 4, b"\0" * 4, b"9999"])
    return bytes(content)


@pytest.mark.parametrize("kind", SOUND)
def test_a_damaged_file_is_imported_or_refused_with_a_sentence(convert, kind):
    n_refused = 0
    for seed in range(N_MUTATIONS):
        names = list(SOUND[kind])
        damaged = names[seed % len(names)]
        try:
            found, _ = convert(kind, {**SOUND[kind], damaged: mutated(SOUND[kind][damaged], seed)})
        except Refused as error:
            n_refused += 1
            assert re.fullmatch(r"[^\x00-\x1f\x7f]{5,1000}", str(error)), repr(str(error))
            assert "the process that parsed it" not in str(error), (seed, str(error))
        else:
            assert any(one.type_name == "block" for one in found.objects)
    assert n_refused > N_MUTATIONS // 8


class Opens:
    """What would run a command if it were ever unpickled."""

    def __reduce__(self):
        return eval, ("open('/tmp/owned', 'w')",)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pickle.dumps(Opens()), id="pickle"),
        pytest.param(b"import os\nos.system('touch /tmp/owned')\n" * 50, id="script"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 20_000, id="ones"),
        pytest.param(bytes(20_000), id="zeros"),
    ],
)
def test_what_is_something_else_is_refused(convert, kind, content):
    with pytest.raises(Refused):
        convert(kind, {"a.bin": content})


@pytest.mark.parametrize(
    ("kind", "content", "place", "huge"),
    [
        ("ABF", SOUND["ABF"]["a.abf"], 96, b"\xff\xff\xff\x7f"),
        ("ABF", SOUND["ABF"]["a.abf"], 48, b"\xff\xff\xff\x7f"),
        ("EDF", SOUND["EDF"]["a.edf"], 236, b"99999999"),
        ("Plexon", SOUND["Plexon"]["a.plx"], 148, b"\xff\xff\xff\x7f"),
        ("Spike2", SOUND["Spike2"]["a.smr"], 30, b"\xff\x7f"),
        ("Blackrock", SOUND["Blackrock"]["a.ns5"], 310, b"\xff\xff\xff\x7f"),
    ],
)
def test_a_header_that_tells_of_huge_sizes_costs_little(convert, kind, content, place, huge):
    damaged = bytearray(content)
    damaged[place : place + len(huge)] = huge
    with pytest.raises(Refused):
        convert(kind, {next(iter(SOUND[kind])): bytes(damaged)})


def test_no_name_of_a_file_of_this_machine_is_opened(convert):
    files = brainvision(SAMPLES, name="a")
    files["a.vhdr"] = files["a.vhdr"].replace(b"DataFile=a.eeg", b"DataFile=/proc/self/environ")
    with pytest.raises(Refused, match="its file 'environ' is not with it"):
        convert("BrainVision", {name: files[name] for name in ("a.vhdr", "a.vmrk")})


@pytest.fixture(scope="module")
def taken_over():
    found = Importer(LIMITS, program=PROGRAM)
    found.start()
    yield found
    found.close()


@pytest.mark.parametrize("name", LIES)
def test_a_process_that_lies_has_its_file_refused(convert, taken_over, name, caplog):
    with pytest.raises(Refused, match="the process that parsed it"):
        convert("EDF", SOUND["EDF"], by=taken_over, name=name)
    assert len(caplog.text) < 3000


@pytest.mark.parametrize(
    "attempt", ["open", "write", "list", "connect_within_the_machine", "fork", "signal_the_server", "load_a_module"]
)
def test_the_walls_stand_around_what_imports(convert, taken_over, attempt, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    with pytest.raises(Refused) as told:
        convert("EDF", SOUND["EDF"], by=taken_over, name=f"{attempt} {secret}")
    assert "failed" in str(told.value) and "canary" not in str(told.value) and secret.read_text() == "canary"


@pytest.mark.parametrize("wall", ["landlock", "limits", "kernel_calls", "audit"])
def test_each_wall_keeps_files_shut_by_itself(convert, wall, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    alone = Importer(LIMITS, raised=["environment", wall], program=PROGRAM)
    try:
        with pytest.raises(Refused) as told:
            convert("EDF", SOUND["EDF"], by=alone, name=f"open {secret}")
    finally:
        alone.close()
    assert wall in walls.ORDER and "failed" in str(told.value) and "canary" not in str(told.value)

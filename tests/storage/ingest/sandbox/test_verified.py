"""What the parent believes: honest findings come out as they went in, within limits."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime

import numpy as np
import pytest

from storage.errors import Refused
from storage.hdf5.file import Description
from storage.hdf5.packed_index import ROW
from storage.ingest.found import FoundArray, Refusal
from storage.ingest.sandbox import findings, sound
from storage.ingest.sandbox.limits import Limits
from storage.ingest.sandbox.verified import Lie
from tests.storage.ingest.sandbox.honest import FILE_NBYTES, as_values, honest, messages, taken


def test_honest_findings_come_out_as_they_went_in():
    found = findings.fit(honest(), FILE_NBYTES, Limits())
    assert as_values(found) == as_values(honest())
    assert as_values(taken(messages(found))) == as_values(honest())


@pytest.mark.parametrize("missing", ["name", "filedatetime"])
def test_a_missing_field_is_a_lie_where_it_is_required(missing):
    told = list(messages(honest()))
    block = next(message for message, _ in told if "object" in message)
    del block["object"]["fields"][missing]
    if missing == "filedatetime":
        assert taken(told).objects[0].fields["name"] == "b"
    else:
        with pytest.raises(Lie):
            taken(told)


@pytest.mark.parametrize("limits", [{"items": 3}, {"refusals": 0}, {"axes": 1}, {"filters": 1}, {"chunk_nbytes": 39}])
def test_more_than_is_allowed_is_a_lie(limits):
    with pytest.raises(Lie):
        taken(messages(honest()), Limits(**limits))


@pytest.mark.parametrize(
    ("change", "path", "left"),
    [
        (lambda found: found.datasets["/signal"].chunks.__setitem__(0, (9999, 5, 0)), "/signal", 7),
        (lambda found: found.datasets["/signal"].chunks.__setitem__(0, (9, 9000, 0)), "/signal", 7),
        (lambda found: found.arrays.update({"/labels": FoundArray("/labels", "/labels", "x" * 3000, 2)}), "/labels", 9),
        (lambda found: found.objects[0].fields.update(annotations={"a": object()}), "/", 2),
        (lambda found: found.arrays.update({"/mean": FoundArray("/mean", "/mean", "x" * 3000, 2)}), "/mean", 10),
    ],
)
def test_an_honest_process_leaves_out_what_the_parent_would_not_take(change, path, left):
    found = honest()
    change(found)
    fit = findings.fit(found, FILE_NBYTES, Limits())
    assert [one.path for one in fit.refusals] == ["/other", path]
    assert len(fit.objects) == left
    assert set(fit.arrays) == {path for one in fit.objects for path in (*one.arrays.values(), *one.noted.values())}
    assert set(fit.datasets) == {array.dataset for array in fit.arrays.values()} >= set(fit.blocks)
    assert as_values(taken(messages(fit))) == as_values(fit)


@pytest.mark.parametrize(
    ("number", "change", "reason"),
    [
        (3, lambda one: one.fields.update(t_start=1.7e18), "its t_start is 1.7e+18, beyond 1e+15"),
        (2, lambda one: one.fields.update(sampling_rate=1e-20), "its sampling rate is 1e-20"),
        (9, lambda one: one.fields.update(t_stop=float("nan")), "its t_stop is nan, not a number"),
        (2, lambda one: one.fields.update(t_start_units="week"), "its t_start_units: 'week' is not a time unit"),
        (7, lambda one: one.fields.update(index=2**31), "its index is 2147483648"),
        (4, lambda one: one.arrays.update(labels="/times"), "its labels and times have several lengths: 2, 25"),
        (9, lambda one: one.arrays.update(waveforms="/mean"), "its waveforms are not spikes"),
        (4, lambda one: one.arrays.update(times="/labels"), "its times are not told to be sorted"),
        (1, lambda one: one.fields.update(filedatetime=datetime(2020, 1, 1)), "its filedatetime is 2020-01-01"),
    ],
)
def test_an_object_that_the_parent_would_not_take_is_left_out_alone(number, change, reason):
    found = honest()
    one = found.objects[number]
    change(one)
    fit = findings.fit(found, FILE_NBYTES, Limits())
    assert [refusal.path for refusal in fit.refusals] == ["/other", one.source_path]
    assert fit.refusals[1].reason.startswith(reason)
    there = []
    for other in found.objects:
        if other is not one and other.parent_keys() <= set(there):
            there.append((other.type_name, other.source_path))
    assert [(other.type_name, other.source_path) for other in fit.objects] == there
    assert as_values(taken(messages(fit))) == as_values(fit)


def test_what_is_only_shown_is_written_out_and_cut():
    found = honest()
    found.refusals.append(Refusal("/x\x1b[2J" + "y" * 10_000, "not\nthis\u202e" + "z" * 10_000))
    annotations = {"key\n": "text\x1b\n", "odd": float("nan"), "long": "x" * 100_000, "big": 2**70}
    found.objects[0].fields["annotations"] = {**annotations, "\ud800": "\udfff"}
    fit = taken(messages(findings.fit(found, FILE_NBYTES, Limits())))
    assert fit.refusals[1].path.startswith(r"/x\x1b[2Jyyy") and len(fit.refusals[1].path) <= 500
    assert fit.refusals[1].reason.startswith(r"not\nthis\u202ezzz") and len(fit.refusals[1].reason) <= 1000
    shown = fit.objects[0].fields["annotations"]
    assert shown[r"key\n"] == "text\\x1b\n" and shown["odd"] is None and shown["big"] is None
    assert shown["long"].endswith("(cut)") and shown[r"\ud800"] == r"\udfff"


def test_more_objects_than_are_taken_refuse_the_file_and_more_refusals_are_summed_up():
    found = honest()
    found.refusals *= 5
    with pytest.raises(Exception, match="more than 4 objects"):
        findings.fit(found, FILE_NBYTES, Limits(items=4))
    fit = findings.fit(found, FILE_NBYTES, Limits(refusals=3))
    assert len(fit.refusals) == 3 and "5 in all" in fit.refusals[-1].reason


@pytest.mark.parametrize(
    ("shape", "is_transposed", "limits", "stands"),
    [
        ((50, 2), False, {"columns": 4}, True),
        ((50, 2), True, {"columns": 4}, False),
        ((2, 50), False, {"columns": 4}, False),
        ((2, 50), True, {"columns": 4}, True),
        ((2, 50), True, {"row_nbytes": 4}, True),
        ((2, 50), True, {"row_nbytes": 3}, False),
        ((2, 50), False, {"row_nbytes": 4}, False),
    ],
)
def test_what_a_sample_costs_is_looked_at_the_right_way_round(shape, is_transposed, limits, stands):
    told = Description(np.dtype("<i2"), shape, bytes(2), byte_offset=0)
    array = FoundArray("/a", "/a", "a", shape[1 if is_transposed else 0], is_transposed=is_transposed)
    with nullcontext() if stands else pytest.raises(Refused):
        sound.require_array(array, told, Limits(**limits))


@pytest.mark.parametrize(("is_transposed", "stands"), [(True, True), (False, False)])
def test_the_chunks_of_a_sample_are_looked_at_the_right_way_round(is_transposed, stands):
    shape, chunk_shape = (4, 1000), (1, 100)
    rows = np.zeros(40, ROW)
    told = Description(np.dtype("<i2"), shape, bytes(2), chunk_shape=chunk_shape, chunks=rows)
    array = FoundArray("/a", "/a", "a", shape[1 if is_transposed else 0], is_transposed=is_transposed)
    with nullcontext() if stands else pytest.raises(Refused, match="the chunks of one of its samples"):
        sound.require_array(array, told, Limits(chunk_row_nbytes=4 * 100 * 2))

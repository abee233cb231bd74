"""What a process that imports could say and try if a file had taken it over: each by the name of the file."""

from __future__ import annotations

from functools import partial

from storage.ingest.sandbox import child, import_child, server
from tests.storage.ingest.sandbox.hostile import ATTEMPTS

PROGRAM = ("tests.storage.ingest.sandbox.hostile_imports", "main")


def main(descriptor):
    import_child.warm_up()
    server.main(descriptor, partial(child.run_with, work=work))


def work(channel, task, beginning, limits):
    name, _, argument = task["name"].partition(" ")
    if name in LIES:
        LIES[name](channel)
        return
    try:
        said = f"done: {ATTEMPTS[name](argument)}"
    except (OSError, MemoryError, ValueError, LookupError, ImportError) as error:
        said = f"failed: {type(error).__name__} {error}"
    channel.send({"refused": said})


def dataset(path="/a", shape=(4,), dtype="<i2", **more):
    told = {"byte_offset": None, "chunk_shape": None, "filters": [], "is_inline": False, "file": None}
    return {"dataset": {"path": path, "dtype": dtype, "shape": shape, "fill": "0000", **told, **more}}


def array(path="/a", n_samples=4, **more):
    told = {"first_row": 0, "units": "mV", "calibration": None, "channel_names": None}
    told |= {"is_transposed": False, "columns": None, "name": "a", **more}
    return {"array": {"source_path": path, "dataset": path, "n_samples": n_samples, **told}}


BLOCK = {
    "object": {
        "type_name": "block",
        "source_path": "/",
        "fields": {"name": "b"},
        "parents": {},
        "arrays": {},
        "noted": {},
    }
}


def signal(path="/a"):
    axis = {"t_start": 0.0, "t_start_units": "s", "sampling_rate": 1.0, "sampling_rate_units": "Hz"}
    told = {
        "type_name": "analogsignal",
        "source_path": path,
        "fields": {"name": "s", **axis},
        "parents": {},
        "noted": {},
    }
    return {"object": {**told, "arrays": {"signal": path}}}


def say(*messages):
    def said(channel):
        for one in messages:
            told, parts = one if isinstance(one, tuple) else (one, [])
            channel.send(told, parts)
        channel.receive()

    return said


END = {"end": True}
SAMPLES = {"samples": "/a"}

LIES = {
    "samples_of_nothing": say((SAMPLES, [b"12"])),
    "more_samples_than_told": say(dataset(), array(), (SAMPLES, [bytes(10)])),
    "samples_after_all": say(dataset(), array(), (SAMPLES, [bytes(8)]), (SAMPLES, [bytes(2)])),
    "half_a_sample": say(dataset(), array(), (SAMPLES, [b"1"])),
    "no_sample": say(dataset(), array(), (SAMPLES, [b""])),
    "samples_in_two_parts": say(dataset(), array(), (SAMPLES, [b"12", b"34"])),
    "an_end_before_all_samples": say(dataset(), array(), (SAMPLES, [b"12"]), END),
    "an_object_before_its_samples": say(dataset(), array(), (SAMPLES, [b"12"]), signal()),
    "an_object_of_no_array": say(BLOCK, signal()),
    "a_path_out_of_the_file": say(dataset("/../a")),
    "a_path_below_an_array": say(dataset("/a"), dataset("/a/b")),
    "a_path_twice": say(dataset("/a"), dataset("/a")),
    "a_path_of_text": say(dataset("/A name")),
    "more_than_files_hold": say(dataset(shape=(1 << 40,))),
    "a_sample_too_large": say(dataset(shape=(1, 1 << 17)), array(n_samples=1)),
    "many_arrays_at_once": say(*(dataset(f"/a_{number}") for number in range(10_000))),
    "an_array_in_the_file": say(dataset(byte_offset=5)),
    "an_array_in_chunks": say((dataset(chunk_shape=[4]), [bytes(16)])),
    "an_array_of_objects": say(dataset(dtype="|O8")),
    "a_column_that_no_file_may_set": say({"object": {**BLOCK["object"], "fields": {"name": "b", "owner_id": 1}}}),
    "ask_for_another_file": say({"read": [99, [[0, 1]]]}),
    "ask_for_a_name": say({"read": ["/etc/passwd", [[0, 1]]]}),
    "ask_beyond_the_end": say({"read": [0, [[0, 1 << 40]]]}),
    "progress_of_nothing": say({"progress": ["/", 5, 0]}),
    "blocks": say(({"blocks": "/a"}, [bytes(16)])),
    "two_things": say({"end": True, "read": [0, [[0, 1]]]}),
    "pickle": say((dataset(), [b"\x80\x04\x95."])),
}

"""NWB files that pynwb writes, and what the service tells of them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from pynwb import NWBHDF5IO, NWBFile

STARTED = datetime(2024, 5, 14, 10, 30, tzinfo=UTC)


def session(**more):
    """A session without anything in it."""
    return NWBFile(session_description="a test", identifier="test-1", session_start_time=STARTED, **more)


def write(session, path):
    """Write a session, as pynwb does it."""
    with NWBHDF5IO(path, "w") as io:
        io.write(session)
    return path


def add_electrodes(session, *numbers, **columns):
    """Add shanks with so many electrodes each; return their groups."""
    device = session.create_device("probe", description="a probe")
    for name in columns:
        session.add_electrode_column(name, f"column {name}")
    groups = []
    row = 0
    for shank, number in enumerate(numbers):
        name = f"shank{shank}"
        groups.append(session.create_electrode_group(name, f"the {name}", location=f"CA{shank + 1}", device=device))
        for _ in range(number):
            more = {name: values[row] for name, values in columns.items()}
            session.add_electrode(group=groups[-1], location=f"CA{shank + 1}", x=float(row), y=2.0, z=3.0, **more)
            row += 1
    return groups


def objects(archive, type_name):
    """The fields of all objects of a type, by id."""
    answer = archive.get(f"/electrophysiology/{type_name}/?max_results=1000")
    assert answer.status_code == 200, answer.text
    return [one["fields"] for one in answer.json["selected"]]


def by_name(archive, type_name):
    """The fields of all objects of a type, by name."""
    found = objects(archive, type_name)
    named = {one["name"]: one for one in found}
    assert len(named) == len(found)
    return named


def by_path(archive, type_name):
    """The fields of all objects of a type, by their place in the file."""
    return {one["annotations"]["nwb_path"]: one for one in objects(archive, type_name)}


def array(archive, field):
    """The values of an array field."""
    return np.array(archive.values(field["data"]))


def reasons(outcome):
    """Why what is left out is, by place."""
    return {one.path: one.reason for one in outcome.refusals}

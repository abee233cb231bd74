"""Parts of files that tests write, and what is told of them."""

from __future__ import annotations


def nwb(file):
    file.attrs.update(neurodata_type="NWBFile", nwb_version="2.6.0")
    return file


def series(parent, name, **creation):
    group = parent.create_group(name)
    group.attrs["neurodata_type"] = "TimeSeries"
    if creation:
        group.create_dataset("data", **creation).attrs["unit"] = "V"
    group["starting_time"] = 0.0
    group["starting_time"].attrs["rate"] = 10.0
    return group


def reasons(found):
    return {one.path: one.reason for one in found.refusals}

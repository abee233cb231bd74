"""Electrodes: a group per ElectrodeGroup, a channel per row, and what hangs on them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from pynwb.ecephys import LFP, ElectricalSeries

from tests.storage.ingest.nwb.written import add_electrodes, array, by_name, by_path, objects, session, write

SAMPLES = np.arange(40, dtype=np.int16).reshape(5, 8)


def electrical(made, name, rows, *, axes=2, **more):
    """A series over some electrodes."""
    region = made.create_electrode_table_region(list(rows), "some")
    data = SAMPLES[:, : len(rows)] if axes == 2 else SAMPLES[:, 0]
    times = more if "timestamps" in more else {"starting_time": 1.0, "rate": 100.0, **more}
    return ElectricalSeries(name=name, data=data, electrodes=region, **times)


def test_groups_and_channels_have_what_the_tables_say(archive, registered):
    made = session()
    add_electrodes(made, 2, 3, rel_x=[0.5, 1.5, 2.5, 3.5, 4.5], bad=[False, True, False, False, True])
    made.add_acquisition(electrical(made, "wide", range(5)))
    registered(made)
    groups, channels = by_name(archive, "recordingchannelgroup"), objects(archive, "recordingchannel")
    block = objects(archive, "block")[0]
    assert block["recordingchannelgroup_set"] == [
        f"/electrophysiology/recordingchannelgroup/{one['id']}" for one in groups.values()
    ]
    assert list(groups) == ["shank0", "shank1"]
    assert groups["shank1"]["annotations"] == {
        "nwb_path": "/general/extracellular_ephys/shank1",
        "description": "the shank1",
        "location": "CA2",
        "device": "probe",
    }
    assert [one["name"] for one in channels] == ["0", "1", "2", "3", "4"]
    assert [one["index"] for one in channels] == [0, 1, 2, 3, 4]
    assert [len(one["recordingchannel_set"]) for one in groups.values()] == [2, 3]
    for row, one in enumerate(channels):
        assert one["recordingchannelgroup"].endswith(f"/{groups['shank0' if row < 2 else 'shank1']['id']}")
        assert one["annotations"] == {
            "nwb_path": f"/general/extracellular_ephys/electrodes[{row}]",
            "id": row,
            "location": "CA1" if row < 2 else "CA2",
            "x": row,
            "y": 2,
            "z": 3,
            "rel_x": row + 0.5,
            "bad": row in (1, 4),
            "group": "shank0" if row < 2 else "shank1",
            "group_name": "shank0" if row < 2 else "shank1",
            "columns": {"/acquisition/wide": row},
        }


def test_arrays_name_their_channels_and_hang_on_their_group(archive, registered):
    made = session()
    add_electrodes(made, 3, 3, channel_name=[f"AP{row}" for row in range(6)])
    made.add_acquisition(electrical(made, "of one group", [5, 3]))
    made.add_acquisition(electrical(made, "of two groups", [2, 4, 3]))
    made.add_acquisition(electrical(made, "of one electrode", [4], axes=1))
    made.add_acquisition(electrical(made, "one column", [1]))
    registered(made)
    arrays, groups = by_name(archive, "analogsignalarray"), by_name(archive, "recordingchannelgroup")
    channels, one = by_name(archive, "recordingchannel"), by_name(archive, "analogsignal")["of one electrode"]
    assert arrays["of one group"]["annotations"]["channel_names"] == ["AP5", "AP3"]
    assert arrays["of one group"]["annotations"]["electrodes"] == [5, 3]
    assert arrays["of one group"]["recordingchannelgroup"].endswith(f"/{groups['shank1']['id']}")
    # One that spans groups hangs on none of them, and says which they are.
    assert arrays["of two groups"]["recordingchannelgroup"] is None
    assert arrays["of two groups"]["annotations"]["electrode_groups"] == ["shank0", "shank1"]
    assert arrays["of two groups"]["annotations"]["channel_names"] == ["AP2", "AP4", "AP3"]
    assert arrays["one column"]["recordingchannelgroup"].endswith(f"/{groups['shank0']['id']}")
    assert one["recordingchannel"].endswith(f"/{channels['AP4']['id']}")
    assert channels["AP4"]["analogsignal_set"] == [f"/electrophysiology/analogsignal/{one['id']}"]
    answer = archive.get(arrays["of one group"]["signal"]["data"])
    with h5py.File.in_memory(answer.data) as file:
        assert list(next(iter(file.values())).attrs["channel_names"]) == ["AP5", "AP3"]


def test_the_index_is_the_column_in_the_widest_series_and_others_are_told(archive, registered):
    made = session()
    add_electrodes(made, 5)
    made.add_acquisition(electrical(made, "all", [4, 3, 2, 1]))
    lfp = LFP(electrical_series=electrical(made, "lfp", [1, 2]))
    made.create_processing_module("ecephys", "some").add(lfp)
    registered(made)
    channels = objects(archive, "recordingchannel")
    assert [one["index"] for one in channels] == [None, 3, 2, 1, 0]
    assert channels[1]["annotations"]["columns"] == {"/acquisition/all": 3, "/processing/ecephys/LFP/lfp": 0}
    assert "columns" not in channels[0]["annotations"]
    whole = array(archive, by_name(archive, "analogsignalarray")["all"]["signal"])
    for one in channels[1:]:
        np.testing.assert_array_equal(whole[:, one["index"]], SAMPLES[:, one["index"]])


def test_the_position_of_a_group_is_told(archive, registered):
    made = session()
    device = made.create_device("d")
    made.create_electrode_group("g", "g", location="x", device=device, position=(1.0, 2.5, -3.0))
    registered(made)
    assert objects(archive, "recordingchannelgroup")[0]["annotations"]["position"] == {"x": 1, "y": 2.5, "z": -3}


def test_electrodes_of_no_series_count_by_row(archive, registered):
    made = session()
    add_electrodes(made, 2, 2)
    registered(made)
    assert [one["index"] for one in objects(archive, "recordingchannel")] == [0, 1, 2, 3]


def test_irregular_series_of_electrodes(archive, registered):
    made = session()
    add_electrodes(made, 2)
    made.add_acquisition(electrical(made, "both", [1, 0], timestamps=np.arange(5.0)))
    made.add_acquisition(electrical(made, "single", [1], axes=1, timestamps=np.arange(5.0)))
    registered(made)
    found, channels = by_name(archive, "irsaanalogsignal"), by_name(archive, "recordingchannel")
    assert found["single"]["recordingchannel"].endswith(f"/{channels['1']['id']}")
    assert found["both"]["recordingchannel"] is None
    assert found["both"]["annotations"]["channel_names"] == ["1", "0"]


def test_ids_of_rows_name_channels_where_nothing_else_does(archive, registered):
    made = session()
    device = made.create_device("d")
    group = made.create_electrode_group("g", "g", location="x", device=device)
    for number in (17, 4):
        made.add_electrode(id=number, group=group, location="x")
    made.add_acquisition(electrical(made, "s", [1, 0]))
    registered(made)
    channels = by_name(archive, "recordingchannel")
    assert {name: one["index"] for name, one in channels.items()} == {"17": 1, "4": 0}
    assert by_name(archive, "analogsignalarray")["s"]["annotations"]["electrodes"] == [4, 17]


@pytest.mark.parametrize("harm", ["far row", "no table", "no group", "no names", "short"])
def test_harmed_electrodes_do_not_keep_signals_from_being_served(archive, tmp_path, harm):
    made = session()
    add_electrodes(made, 3)
    made.add_acquisition(electrical(made, "s", [0, 1, 2]))
    path = write(made, tmp_path / "x.nwb")
    with h5py.File(path, "r+") as file:
        table = file["general/extracellular_ephys/electrodes"]
        if harm == "far row":
            file["acquisition/s/electrodes"][2] = 3
        elif harm == "no table":
            del file["general/extracellular_ephys/electrodes"]
        elif harm == "no group":
            del file["general/extracellular_ephys/shank0"]
        elif harm == "no names":
            del table["id"]
        else:
            del table["location"]
            table["location"] = ["only one"]
    outcome = archive.register(path)
    signal = by_path(archive, "analogsignalarray")["/acquisition/s"]
    np.testing.assert_array_equal(array(archive, signal["signal"]), SAMPLES[:, :3])
    assert outcome.counts.get("recordingchannel", 0) == (0 if harm in ("no table", "no names") else 3)
    if harm != "no table":  # which libhdf5 may still find by its reference
        assert ("channel_names" in signal["annotations"]) == (harm in ("no group", "short"))


def test_registering_again_changes_nothing(archive, tmp_path):
    made = session()
    add_electrodes(made, 2, 2)
    made.add_acquisition(electrical(made, "s", [0, 1, 2, 3]))
    path = write(made, tmp_path / "x.nwb")
    archive.register(path)
    before = [archive.get(f"/electrophysiology/{name}/").data for name in ("recordingchannel", "analogsignalarray")]
    assert archive.register(path).state == "unchanged"
    path.touch()
    assert archive.register(path).state == "updated"
    channels = objects(archive, "recordingchannel")
    assert [one["id"] for one in channels] == [1, 2, 3, 4]
    assert archive.get("/electrophysiology/recordingchannel/").data == before[0]

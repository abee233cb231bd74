"""Small files of other formats, written as their specifications say."""

from __future__ import annotations

import numpy as np


def edf(
    signals,
    *,
    duration_s=1,
    annotations=(),
    plus="",
    date=b"13.07.00",
    start=b"12.05.48",
    bits=16,
    recording=b"Startdate X X X X",
):
    """An EDF (or BDF) file.

    Parameters
    ----------
    signals : list of (label, unit, digital samples, samples per record)
        Stored one to one, unless there are ``(minimum, maximum)`` of physical and digital values behind these.
    annotations : list of list of bytes
        Of each record, as they stand in the file.
    """
    n_records = max((len(samples) // rate for _, _, samples, rate, *_ in signals), default=len(annotations))
    edge = 1 << (bits - 1)
    rows = []
    for label, unit, samples, rate, *ranges in signals:
        physical, digital = ranges or ((-edge, edge - 1), (-edge, edge - 1))
        rows.append((label, unit, physical, digital, rate, _packed(samples, bits)))
    if annotations:
        width = -(-max(map(len, annotations)) // (bits // 8))
        label = "EDF Annotations" if bits == 16 else "BDF Annotations"
        content = [one.ljust(width * (bits // 8), b"\0") for one in annotations]
        rows.append((label, "", (-1, 1), (-edge, edge - 1), width, b"".join(content)))
    first = b"0       " if bits == 16 else b"\xffBIOSEMI"
    head = first + b"MCH-0234567 F 02-MAY-1951 Haagse_Harry".ljust(80) + recording.ljust(80) + date + start
    head += str(256 * (len(rows) + 1)).encode().ljust(8) + plus.encode().ljust(44)
    head += str(n_records).encode().ljust(8) + str(duration_s).encode().ljust(8) + str(len(rows)).encode().ljust(4)

    def column(width, values):
        return b"".join(str(value).encode().ljust(width)[:width] for value in values)

    head += column(16, [row[0] for row in rows]) + column(80, [""] * len(rows)) + column(8, [row[1] for row in rows])
    for pair in (2, 3):
        for end in (0, 1):
            head += column(8, [row[pair][end] for row in rows])
    head += column(80, [""] * len(rows)) + column(8, [row[4] for row in rows]) + column(32, [""] * len(rows))
    records = []
    for record in range(n_records):
        for row in rows:
            nbytes = row[4] * (bits // 8)
            records.append(row[5][record * nbytes : (record + 1) * nbytes])
    return head + b"".join(records)


def _packed(samples, bits):
    if bits == 16:
        return np.asarray(samples).astype("<i2").tobytes()
    return np.asarray(samples).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def brainvision(samples, *, orientation="MULTIPLEXED", name="rec", markers=("Stimulus,S  1,3,1,0",), dtype="<i2"):
    """The three files of a BrainVision recording, by name; a unit is half a microvolt."""
    samples = np.asarray(samples)
    formats = {"<i2": "INT_16", "<i4": "INT_32", "<f4": "IEEE_FLOAT_32"}
    channels = [f"Ch{number + 1}=C{number},,0.5,µV" for number in range(samples.shape[1])]
    header = [
        "Brain Vision Data Exchange Header File Version 1.0", "", "[Common Infos]", "Codepage=UTF-8",
        f"DataFile={name}.eeg", f"MarkerFile={name}.vmrk", "DataFormat=BINARY", f"DataOrientation={orientation}",
        f"NumberOfChannels={samples.shape[1]}", "SamplingInterval=1000", "", "[Binary Infos]",
        f"BinaryFormat={formats[dtype]}", "", "[Channel Infos]", *channels, "",
    ]  # fmt: skip
    marks = ["Brain Vision Data Exchange Marker File, Version 1.0", "", "[Common Infos]", f"DataFile={name}.eeg", ""]
    marks += ["[Marker Infos]", *(f"Mk{number + 1}={mark}" for number, mark in enumerate(markers)), ""]
    stored = samples if orientation == "MULTIPLEXED" else samples.T
    return {
        f"{name}.vhdr": "\r\n".join(header).encode(),
        f"{name}.eeg": np.ascontiguousarray(stored.astype(dtype)).tobytes(),
        f"{name}.vmrk": "\r\n".join(marks).encode(),
    }

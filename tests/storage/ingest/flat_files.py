"""Recordings of SpikeGLX and Open Ephys, as these programs write them."""

from __future__ import annotations

import json
import os
import time

import numpy as np

LONG_AGO_S = 3600


def settled(folder, age_s=LONG_AGO_S):
    """Make all files below a folder look as if nobody wrote to them lately."""
    moment = time.time() - age_s
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (moment, moment))
    return folder


def samples_of(n_samples, n_channels, seed=1):
    return np.random.default_rng(seed).integers(-500, 500, (n_samples, n_channels), dtype="<i2")


def write_pair(folder, name, samples, tags, tables):
    """Write a .bin and its .meta."""
    path = folder / f"{name}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(samples.tobytes())
    told = {
        "fileName": f"D:/data/{name}.bin",
        "fileSizeBytes": samples.nbytes,
        "nSavedChans": samples.shape[1],
        "firstSample": 0,
        "fileCreateTime": "2024-05-06T07:08:09",
        **tags,
    }
    lines = [f"{key}={value}" for key, value in told.items() if value is not None]
    lines += [
        f"~{key}=({head})" + "".join(f"({entry})" for entry in entries) for key, (head, entries) in tables.items()
    ]
    (folder / f"{name}.meta").write_text("\n".join(lines) + "\n")
    settled(folder)
    return folder / f"{name}.meta"


def write_imec(folder, name="run_g0_t0.imec0.ap", *, saved=range(6), n_samples=1000, **more):
    """Write a stream of a Neuropixels 1.0 of six electrodes, or of its LFP."""
    band = "lf" if name.endswith(".lf") else "ap"
    n_electrodes = 6
    before = n_electrodes if band == "lf" else 0
    channels = [*(before + number for number in saved), 2 * n_electrodes]
    counts = [0, 0, 1]
    counts[band == "lf"] = len(saved)
    tags = {
        "typeThis": "imec",
        "imSampRate": "30000.066421" if band == "ap" else "2500.005535",
        "imAiRangeMax": 0.6,
        "imMaxInt": 512,
        "imDatPrb_type": 0,
        "imDatPrb_pn": "NP1000",
        "acqApLfSy": f"{n_electrodes},{n_electrodes},1",
        "snsApLfSy": ",".join(map(str, counts)),
        "snsSaveChanSubset": ",".join(map(str, channels)),
        "firstSample": 12345,
        **more,
    }
    names = [f"{band.upper()}{number}" for number in saved]
    tables = {
        "imroTbl": ("0,6", [f"{k} 0 0 {250 * (k + 1)} {125 * (k + 1)} 1" for k in range(n_electrodes)]),
        "snsChanMap": ("6,6,1", [f"{one};{k}:{k}" for k, one in enumerate([*names, "SY0"])]),
        "snsGeomMap": ("NP1000,1,0,70", [f"0:{27 + 32 * (k % 2)}:{20 * (k // 2)}:{int(k != 1)}" for k in saved]),
    }
    samples = samples_of(n_samples, len(channels))
    return write_pair(folder, name, samples, tags, tables), samples


def write_imec_2(folder, name="run_g0_t0.imec1.ap", **more):
    """Write a stream of a Neuropixels 2.0 of four electrodes."""
    tags = {
        "typeThis": "imec",
        "imSampRate": 30000,
        "imAiRangeMax": 0.5,
        "imDatPrb_type": 21,
        "imDatPrb_pn": "NP2000",
        "snsApLfSy": "4,0,1",
        "snsSaveChanSubset": "all",
        **more,
    }
    tables = {
        "imroTbl": ("21,4", [f"{k} 1 0 {k}" for k in range(4)]),
        "snsChanMap": ("4,0,1", [f"{one};{k}:{k}" for k, one in enumerate(["AP0", "AP1", "AP2", "AP3", "SY0"])]),
        "snsShankMap": ("4,2,640", [f"{k}:0:{k}:1" for k in range(4)]),
    }
    samples = samples_of(700, 5, seed=2)
    return write_pair(folder, name, samples, tags, tables), samples


def write_nidq(folder, name="run_g0_t0.nidq", **more):
    """Write a stream of a NI device: two neural inputs, one auxiliary, two analog ones, and a word of bits."""
    tags = {
        "typeThis": "nidq",
        "niSampRate": "25000.5",
        "niAiRangeMax": 5,
        "niMNGain": 200,
        "niMAGain": 10,
        "snsMnMaXaDw": "2,1,2,1",
        "acqMnMaXaDw": "2,1,2,1",
        "snsSaveChanSubset": "0:5",
        "niXDChans1": "0:7",
        "firstSample": 50,
        **more,
    }
    names = ["MN0C0", "MN0C1", "MA0C0", "XA0", "XA1", "XD0"]
    tables = {"snsChanMap": ("2,1,1,2,1", [f"{one};{k}:{k}" for k, one in enumerate(names)])}
    samples = samples_of(800, 6, seed=3)
    return write_pair(folder, name, samples, tags, tables), samples


def write_obx(folder, name="run_g0_t0.obx0.obx"):
    """Write a stream of a OneBox: two inputs, a word of bits, and the one for synchronizing."""
    tags = {
        "typeThis": "obx",
        "obSampRate": "30303.4",
        "obAiRangeMax": 5,
        "obMaxInt": 32768,
        "snsXaDwSy": "2,1,1",
        "snsSaveChanSubset": "all",
    }
    names = ["XA0", "XA1", "XD0", "SY0"]
    samples = samples_of(500, 4, seed=5)
    tables = {"snsChanMap": ("2,1,1", [f"{one};{k}:{k}" for k, one in enumerate(names)])}
    return write_pair(folder, name, samples, tags, tables), samples


def write_open_ephys(folder, *, numbers=None, n_samples=1000, channels=None, events=True, older=False):
    """Write one recording of one stream: electrodes, two further inputs, a word for synchronizing."""
    names = channels or ["CH1", "CH2", "CH3", "ADC1", "ADC2", "A_SYNC"]
    place = folder / "Record Node 101" / "experiment1" / "recording1"
    stream = "Neuropix-PXI-100.A-AP" if not older else "Rhythm_FPGA-100.0"
    data = place / "continuous" / stream
    data.mkdir(parents=True)
    samples = samples_of(n_samples, len(names), seed=4)
    (data / "continuous.dat").write_bytes(samples.tobytes())
    numbers = np.arange(5000, 5000 + n_samples) if numbers is None else np.asarray(numbers)
    if older:
        np.save(data / "timestamps.npy", numbers)
    else:
        np.save(data / "sample_numbers.npy", numbers)
        np.save(data / "timestamps.npy", numbers / 30000 + 0.25)
    told = [
        {
            "channel_name": name,
            "bit_volts": 1.0 if "SYNC" in name else 0.000305 if "ADC" in name else 0.195,
            "units": "" if "ADC" in name or "SYNC" in name else "uV",
            "identifier": f"id.{name}",
        }
        for name in names
    ]
    structure = {
        "GUI version": "0.6.7",
        "continuous": [
            {
                "folder_name": f"{stream}/",
                "sample_rate": 30000,
                "source_processor_name": "Neuropix-PXI",
                "num_channels": len(names),
                "channels": told,
            }
        ],
        "events": [],
        "spikes": [],
    }
    if events:
        structure["events"] = _write_events(place, stream, older)
    (place / "structure.oebin").write_text(json.dumps(structure))
    settled(folder)
    return place / "structure.oebin", samples


def _write_events(place, stream, older):
    lines = place / "events" / stream / "TTL"
    texts = place / "events" / "MessageCenter"
    numbers = "timestamps" if older else "sample_numbers"
    states = np.array([1, 2, -1, 1, -2, -1], np.int16)
    for folder in (lines, texts):
        folder.mkdir(parents=True)
    np.save(lines / f"{numbers}.npy", np.array([5010, 5020, 5040, 5500, 5600, 5900]))
    np.save(lines / ("channel_states.npy" if older else "states.npy"), states)
    np.save(lines / "channels.npy", np.abs(states))
    np.save(texts / f"{numbers}.npy", np.array([5700, 5100]))
    np.save(texts / "text.npy", np.array([b"second", "grün".encode()]))
    if not older:
        np.save(lines / "timestamps.npy", np.array([5010, 5020, 5040, 5500, 5600, 5900]) / 30000)
        np.save(texts / "timestamps.npy", np.array([5700, 5100]) / 30000)
    return [
        {"folder_name": f"{stream}/TTL/", "channel_name": "TTL", "sample_rate": 30000, "type": "int16"},
        {"folder_name": "MessageCenter/", "channel_name": "Messages", "sample_rate": 30000, "type": "string"},
    ]

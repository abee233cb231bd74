"""Small files as the programs of rigs write them, made from what is known of their formats."""

from __future__ import annotations

import struct

import numpy as np


def _put(content, offset, form, *values):
    struct.pack_into(f"<{form}", content, offset, *values)


def abf1(sweeps, *, units=("mV",), gains=(0.5,), starts=None, rate_hz=20000, tags=(), synch_unit_us=100.0):
    """A file of pClamp 9: ``sweeps`` are arrays of samples × channels; tags are (time in units of synch, text)."""
    n_channels = len(units)
    head = bytearray(6144)
    head[:4] = b"ABF "
    starts = starts or [1000 * number for number in range(len(sweeps))]
    n_points = sum(one.size for one in sweeps)
    data = np.concatenate([one.reshape(-1) for one in sweeps]).astype("<i2").tobytes()
    synch_block = 12 + -(-len(data) // 512)
    tag_block = synch_block + -(-8 * len(sweeps) // 512)
    _put(head, 4, "fhihi", 1.83, 5, n_points, 0, len(sweeps))
    _put(head, 20, "ii", 20200229, 3600)
    _put(head, 40, "iii", 12, tag_block, len(tags))
    _put(head, 92, "ii", synch_block, len(sweeps))
    _put(head, 120, "hf", n_channels, 1e6 / rate_hz / n_channels)
    _put(head, 130, "f", synch_unit_us)
    _put(head, 138, "i", sweeps[0].size)
    _put(head, 244, "f", 10.0)
    _put(head, 252, "i", 32768)
    _put(head, 378, "16h", *range(16))
    _put(head, 410, "16h", *range(n_channels), *[-1] * (16 - n_channels))
    for place in range(16):
        head[442 + 10 * place : 452 + 10 * place] = f"IN {place}".encode().ljust(10)
        unit = units[place] if place < n_channels else "mV"
        head[602 + 8 * place : 610 + 8 * place] = unit.encode("latin-1").ljust(8)
        gain = gains[place] if place < n_channels else 1.0
        _put(head, 730 + 4 * place, "f", 1.0)
        _put(head, 922 + 4 * place, "f", 10.0 / 32768 / gain)
        _put(head, 1050 + 4 * place, "f", 1.0)
    synch = b"".join(struct.pack("<ii", start, one.size) for start, one in zip(starts, sweeps, strict=True))
    marks = b"".join(struct.pack("<i56shh", time, text.encode("latin-1").ljust(56), 1, 0) for time, text in tags)
    return bytes(head) + b"".join(part.ljust(-(-len(part) // 512) * 512, b"\0") for part in (data, synch, marks))


def _qstring(text):
    content = text.encode("utf-16-le")
    return struct.pack("<I", len(content)) + content


def rhd(samples, *, rate_hz=20000.0):
    """A file of an Intan RHD2000 system, version 1.3: samples × channels of the amplifiers, in blocks of 60."""
    n_channels = samples.shape[1]
    head = struct.pack("<Ihhf", 0xC6912702, 1, 3, rate_hz)
    head += struct.pack("<hffffffhff", 1, 1, 1, 7500, 1, 1, 7500, 0, 1000, 1000)
    head += _qstring("") * 3 + struct.pack("<hhh", 0, 0, 1)
    head += _qstring("Port A") + _qstring("A") + struct.pack("<hhh", 1, n_channels, n_channels)
    for number in range(n_channels):
        head += _qstring(f"A-{number:03}") + _qstring(f"tip {number}")
        head += struct.pack("<10hff", number, number, 0, 1, number, 0, 0, 0, 0, 0, 1e5, 0)
    blocks = b""
    for start in range(0, len(samples), 60):
        part = samples[start : start + 60]
        blocks += np.arange(start, start + 60, dtype="<i4").tobytes()
        blocks += np.ascontiguousarray((part + 32768).T.astype("<u2")).tobytes()
    return head + blocks


NLX_HEAD = """######## Neuralynx Data File Header
## File Name C:\\CheetahData\\{name}.ncs
## Time Opened (m/d/y): 2/29/2020  (h:m:s.ms) 10:20:30.400
-FileType CSC
-CheetahRev 5.7.4
-AcqEntName {name}
-ADChannel {number}
-SamplingFrequency {rate}
-ADMaxValue 32767
-ADBitVolts {volts}
-InputRange 1000
-InputInverted False
-NumADChannels 1
-DSPLowCutFilterEnabled True
-DspLowCutFrequency 1
-DspLowCutNumTaps 0
-DspLowCutFilterType DCO
-DSPHighCutFilterEnabled True
-DspHighCutFrequency 9000
-DspHighCutNumTaps 64
-DspHighCutFilterType FIR
"""


def ncs(name, samples, *, number=0, rate_hz=32000, volts=1e-6, starts_us=(0,)):
    """A continuously sampled channel of Neuralynx: records of 512 samples, one run of them from each start on."""
    text = NLX_HEAD.format(name=name, number=number, rate=rate_hz, volts=volts)
    content = text.replace("\n", "\r\n").encode("latin-1").ljust(16384, b"\0")
    n_records = len(samples) // 512
    per_run = n_records // len(starts_us)
    for place in range(n_records):
        run, within = divmod(place, per_run)
        time_us = starts_us[run] + within * 512 * 1_000_000 // rate_hz
        content += struct.pack("<QIII", time_us, number, rate_hz, 512)
        content += samples[place * 512 : (place + 1) * 512].astype("<i2").tobytes()
    return content


def ns5(runs, *, period=1):
    """Continuous samples of Blackrock, version 2.3: each run is (start in 30 kHz ticks, samples × channels)."""
    n_channels = runs[0][1].shape[1]
    head = b"NEURALCD" + struct.pack("<BBI", 2, 3, 314 + 66 * n_channels) + b"30 kS/s".ljust(16, b"\0") + bytes(256)
    head += struct.pack("<II8HI", period, 30000, 2020, 2, 6, 29, 10, 20, 30, 400, n_channels)
    for number in range(n_channels):
        head += b"CC" + struct.pack("<H", number + 1) + f"elec{number + 1}".encode().ljust(16, b"\0")
        head += struct.pack("<BBhhhh", 0, number, -8188, 8188, -2047, 2047) + b"uV".ljust(16, b"\0")
        head += struct.pack("<IIHIIH", 300, 1, 1, 7500000, 3, 1)
    for start, samples in runs:
        head += struct.pack("<BII", 1, start, len(samples)) + np.ascontiguousarray(samples.astype("<i2")).tobytes()
    return head


def plx(blocks, *, channels=("WB01", "WB02"), rate_hz=1000, clock_hz=40000, gain=2, spike_bits=12, slow_bits=16):
    """A Plexon file, version 106, of slow channels: blocks of (time in ticks, channel, samples)."""
    head = struct.pack("<4si128s", b"PLEX", 106, b"test")
    head += struct.pack("<14i", clock_hz, 0, 0, len(channels), 0, 0, 2020, 2, 29, 10, 20, 30, 0, 40000)
    head += struct.pack("<d4B3H", 0.0, 1, 1, spike_bits, slow_bits, 3000, 5000, 1000) + bytes(46)
    head += bytes(4 * (650 + 650 + 512))
    for number, name in enumerate(channels):
        head += struct.pack("<32s6i", name.encode(), number, rate_hz, gain, 1, 10, -1)
        head += bytes(128) + struct.pack("<BBH", 1, 0, 0) + bytes(4 * 27)
    for time, channel, samples in blocks:
        head += struct.pack("<HHIHHHH", 5, time >> 32, time & 0xFFFFFFFF, channel, 0, 1, len(samples))
        head += np.asarray(samples).astype("<i2").tobytes()
    return head


def smr(samples, events, *, divide=100, unit="mV", scale=2.0, offset=1.0):
    """A Spike2 file, version 6: one waveform (a sample each ``divide`` microseconds) and one channel of events."""
    n_channels = 2
    head = struct.pack("<h10s8s", 6, b"(C) CED 87", b"\x04TEST   ")
    head += struct.pack("<hhhihhhhhid", 1, 1, 0, 1024, n_channels, 0, 0, 0, 0, divide * len(samples), 1e-6)
    head = (head + struct.pack("<Bh52s", 0, 0, b"")).ljust(512, b"\0")
    wave_at = 512 + 512
    wave = (
        struct.pack("<iiiihh", -1, -1, 0, divide * (len(samples) - 1), 1, len(samples))
        + samples.astype("<i2").tobytes()
    )
    wave = wave.ljust(-(-len(wave) // 512) * 512, b"\0")
    event_at = wave_at + len(wave)
    ticks = np.asarray(events).astype("<i4")
    event = struct.pack("<iiiihh", -1, -1, int(ticks[0]), int(ticks[-1]), 2, len(ticks)) + ticks.tobytes()

    def channel(first, title, kind, last=b""):
        told = struct.pack("<hiiihhhhhh72s", 0, -1, first, first, 1, 0, 0, 0, 0, len(samples), b"")
        told += struct.pack(
            "<iih10sfBb", divide * len(samples), divide, 0, bytes([len(title)]) + title.encode(), 0.0, kind, 0
        )
        return (told + last).ljust(140, b"\0")

    told = struct.pack("<ff6sh", scale, offset, bytes([len(unit)]) + unit.encode(), 1)
    channels = channel(wave_at, "LFP", 1, told) + channel(event_at, "trig", 3)
    return (head + channels).ljust(wave_at, b"\0") + wave + event.ljust(512, b"\0")


def ibw(samples, *, name="wave0", step=1e-4, start=0.0, unit="V", time_unit="s", note=b""):
    """An Igor binary wave, version 5, of 64-bit floats."""
    rows = np.asarray(samples, "<f8")
    shape = [*rows.shape, 0, 0, 0][:4]
    data = rows.tobytes(order="F")
    wave = struct.pack("<IIIihh", 0, 0, 0, rows.size, 4, 0) + bytes(6) + struct.pack("<h32s", 1, name.encode())
    wave += struct.pack("<ii4i", 0, 0, *shape) + struct.pack("<4d4d", step, 1, 1, 1, start, 0, 0, 0)
    wave += unit.encode().ljust(4, b"\0") + time_unit.encode().ljust(4, b"\0") + bytes(12)
    wave = wave.ljust(320, b"\0")
    head = struct.pack("<hhiiii4i4iiii", 5, 0, 320 + len(data), 0, 0, len(note), *[0] * 4, *[0] * 4, 0, 0, 0)
    total = int(np.frombuffer(head + wave, "<i2").astype(np.int64).sum())
    checksum = struct.pack("<H", -total & 0xFFFF)
    return head[:2] + checksum + head[4:] + wave + data + note


TRC_ZONES = (
    "ORDER", "LABCOD", "NOTE", "FLAGS", "TRONCA", "IMPED_B", "IMPED_E", "MONTAGE", "COMPRESS", "AVERAGE", "HISTORY",
    "DVIDEO", "EVENT A", "EVENT B", "TRIGGER",
)  # fmt: skip


def trc(samples, *, surname="", firstname="", rate_hz=100, epochs=()):
    """A file of Micromed, version 4: microvolts, samples × channels, of a patient; epochs are (label, start, stop)."""
    n_channels = samples.shape[1]
    head = bytearray(8192)
    head[:106] = (
        b"* MICROMED  Brain-Quick file *".ljust(64, b"\0")
        + surname.encode().ljust(22)
        + firstname.encode()[:20].ljust(20)
    )
    _put(head, 128, "6b", 1, 2, 115, 3, 4, 5)
    _put(head, 138, "IHHHH", len(head), n_channels, 2 * n_channels, rate_hz, 2)
    head[175] = 4
    places = {"ORDER": 1024, "LABCOD": 2048, "TRONCA": 7000, "EVENT A": 7200}
    for number, zone in enumerate(TRC_ZONES):
        nbytes = 12 * len(epochs) if zone == "EVENT A" else 0
        _put(head, 176 + 16 * number, "8sII", zone.encode().ljust(8), places.get(zone, 7100), nbytes)
    _put(head, 7200, f"{3 * len(epochs)}I", *(number for epoch in epochs for number in epoch))
    _put(head, 1024, f"{n_channels}H", *range(n_channels))
    for number in range(n_channels):
        name, ground = f"EEG{number}".encode(), b"G2"
        _put(head, 2050 + 128 * number, "6s6siiiiih8xH", name, ground, 0, 65535, 32768, -32768, 32768, 0, 1)
    return bytes(head) + (samples + 32768).astype("<u2").tobytes()


def nex(times, *, comment="", frequency=1000.0):
    """A NeuroExplorer file, version 104, of one channel of events, in ticks."""
    stamps = np.asarray(times, "<i4").tobytes()
    head = struct.pack("<4si256sdiii", b"NEX1", 104, comment.encode(), frequency, 0, int(max(times)), 1) + bytes(260)
    told = struct.pack(
        "<ii64siiiiidddddiiid", 1, 100, b"trig", 544 + 208, len(times), *[0] * 3, *[0.0] * 5, *[0] * 3, 0.0
    )
    return head + told.ljust(208, b"\0") + stamps

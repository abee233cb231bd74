"""Further formats that are read with neo; where what neo says is not what the format says, that is corrected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import Refused
from storage.ingest.vendor.files import RecordingFiles
from storage.ingest.vendor.neo_files import FOLDER, path_of
from storage.ingest.vendor.telling import Recording
from storage.ingest.vendor.with_neo import Channel, Reading, Stretch, as_neo_says, tell

OF_NEO = (
    "neo.rawio.axographrawio",
    "neo.rawio.blackrockrawio",
    "neo.rawio.intanrawio",
    "neo.rawio.micromedrawio",
    "neo.rawio.neuralynxrawio.ncssections",
    "neo.rawio.neuralynxrawio.neuralynxrawio",
    "neo.rawio.neuralynxrawio.nlxheader",
    "neo.rawio.neuroexplorerrawio",
    "neo.rawio.plexonrawio",
    "neo.rawio.spike2rawio",
    "neo.rawio.winedrrawio",
    "neo.rawio.winwcprawio",
)

PLEXON_UNITS = (
    "signals are in mV by BitsPerSlowSample, as the format says; neo has no unit, and uses BitsPerSpikeSample"
)
PLEXON_ENDS = "samples of every block are read; neo reads the last block of what is asked for as zeros"
PLEXON_START = "signals begin at their time stamps, anew after each pause; neo has them at 0, and knows of no pause"
NLX_ENDINGS = (".ncs", ".nse", ".ntt", ".nev")


def _plain(kind: str, module: str, reader: str, files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of a recording of one file as neo tells it."""
    found = getattr(import_module(module), reader)(filename=path_of(files.require(primary)))
    found.parse_header()
    tell(recording, Reading(kind, found))


def _blackrock(files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of ``.ns1`` to ``.ns6`` and ``.nev`` of one name; each run without a pause is a Segment."""
    from neo.rawio.blackrockrawio import BlackrockRawIO

    class Reader(BlackrockRawIO):  # type: ignore[misc]
        """Reads samples of the files that were handed in, where neo maps them into memory."""

        def _create_mmap_view(
            self,
            fid: Any,
            dtype: Any,
            offset: int,
            num_samples: int,
            num_channels: int | None = None,
            packet_size: int | None = None,
            item_offset: int = 0,
        ) -> Any:
            kind, across = np.dtype(dtype), () if num_channels is None else (int(num_channels),)
            if packet_size is None:
                return files.array(fid.raw.name, kind, int(offset), (int(num_samples), *across))
            told: Any = {
                "names": ["one"],
                "formats": [(kind, across)],
                "offsets": [item_offset],
                "itemsize": packet_size,
            }
            return files.array(fid.raw.name, np.dtype(told), int(offset), (int(num_samples),))["one"]

    reader = Reader(filename=path_of(files.require(primary)))
    reader.parse_header()
    tell(recording, Reading("Blackrock", reader))


def _neuralynx(files: RecordingFiles, _: str, recording: Recording) -> None:
    """Tell of all files that were handed in as of one session; each run without a gap is a Segment."""
    from neo.rawio.neuralynxrawio.neuralynxrawio import NeuralynxRawIO

    names = sorted(name for name in files.nbytes if name.lower().endswith(NLX_ENDINGS))
    reader = NeuralynxRawIO(dirname=FOLDER, include_filenames=names)
    try:
        reader.parse_header()
    except ValueError as error:
        if "timestamp gaps" not in str(error):
            raise
        rates = [float(one["sampling_rate"]) for one in reader.file_headers.values() if "sampling_rate" in one]
        reader = NeuralynxRawIO(dirname=FOLDER, include_filenames=names, gap_tolerance_ms=1e3 / max(rates))
        reader.parse_header()
    tell(recording, Reading("Neuralynx", reader))


def _plexon(files: RecordingFiles, primary: str, recording: Recording) -> None:
    """Tell of a ``.plx`` file."""
    from neo.rawio.plexonrawio import GlobalHeader, PlexonRawIO

    class Reader(PlexonRawIO):  # type: ignore[misc]
        """Reads samples block by block."""

        def _get_analogsignal_chunk(
            self, block_index: int, seg_index: int, i_start: int, i_stop: int, stream_index: int, channel_indexes: Any
        ) -> NDArray[np.int16]:
            rows = self.header["signal_channels"]
            rows = rows[rows["stream_id"] == self.header["signal_streams"][stream_index]["id"]]
            found = np.zeros((i_stop - i_start, len(rows)), np.int16)
            for column, row in enumerate(rows):
                blocks = self._data_blocks[5][int(row["id"])]
                ends = blocks["cumsum"] + blocks["size"] // 2
                for block in blocks[(ends > i_start) & (blocks["cumsum"] < i_stop)]:
                    samples = self._memmap[block["pos"] : block["pos"] + block["size"]].view("<i2")
                    first = int(block["cumsum"])
                    here = slice(max(i_start - first, 0), max(min(i_stop - first, len(samples)), 0))
                    found[first + here.start - i_start : first + here.stop - i_start, column] = samples[here]
            return found

    head = files.array(primary, np.dtype(GlobalHeader), 0, (1,))[0]
    reader = Reader(filename=path_of(primary), progress_bar=False)
    reader.parse_header()
    # From version 103 on the file says how many bits both kinds of samples have.
    bits = int(head["BitsPerSpikeSample"]) - int(head["BitsPerSlowSample"]) if head["Version"] >= 103 else 0

    def channel(row: Any) -> Channel:
        said = as_neo_says(row)
        return Channel(said.name, "mV", said.gain * 2.0**bits, said.offset)

    reading = Reading(
        "Plexon",
        reader,
        [PLEXON_UNITS, PLEXON_ENDS, PLEXON_START],
        channel,
        stretches=lambda stream, n_samples, _: _plexon_stretches(reader, stream, n_samples, float(head["ADFrequency"])),
        spike_units="mV",
    )
    tell(recording, reading)


def _plexon_stretches(reader: Any, stream: int, n_samples: int, clock_hz: float) -> list[Stretch]:
    """Return what of a stream was recorded without a pause; raises Refused where its channels differ in that."""
    header = reader.header
    rows = header["signal_channels"]
    rows = rows[rows["stream_id"] == header["signal_streams"][stream]["id"]]
    found: list[list[Stretch]] = []
    for row in rows:
        blocks = reader._data_blocks[5][int(row["id"])]
        ticks = clock_hz / float(row["sampling_rate"])
        expected = blocks["timestamp"][:-1] + np.diff(blocks["cumsum"]) * ticks
        pauses = np.flatnonzero(np.abs(blocks["timestamp"][1:] - expected) >= ticks) + 1
        first = [0, *pauses.tolist()]
        edges = [*blocks["cumsum"][first].tolist(), n_samples]
        starts = (blocks["timestamp"][first] / clock_hz).tolist()
        found.append(list(zip(edges, edges[1:], starts, strict=False)))
    if any(one != found[0] for one in found):
        raise Refused("its channels were not recorded at the same times")
    return found[0] if found else []


READERS: Mapping[str, Callable[[RecordingFiles, str, Recording], None]] = {
    "Intan": partial(_plain, "Intan", "neo.rawio.intanrawio", "IntanRawIO"),
    "Blackrock": _blackrock,
    "Neuralynx": _neuralynx,
    "Spike2": partial(_plain, "Spike2", "neo.rawio.spike2rawio", "Spike2RawIO"),
    "Plexon": _plexon,
    "Micromed": partial(_plain, "Micromed", "neo.rawio.micromedrawio", "MicromedRawIO"),
    "NeuroExplorer": partial(_plain, "NeuroExplorer", "neo.rawio.neuroexplorerrawio", "NeuroExplorerRawIO"),
    "WinWCP": partial(_plain, "WinWCP", "neo.rawio.winwcprawio", "WinWcpRawIO"),
    "WinEDR": partial(_plain, "WinEDR", "neo.rawio.winedrrawio", "WinEdrRawIO"),
    "AxoGraph": partial(_plain, "AxoGraph", "neo.rawio.axographrawio", "AxographRawIO"),
}

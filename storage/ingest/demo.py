"""The demo recording: a simulated session, written as an NWB file by h5py alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.ingest import nwb_objects as nwb
from storage.ingest.simulated_field import (
    CONTACT_SPACING_UM,
    N_CONTACTS,
    PYRAMIDAL_CONTACT,
    Microvolts,
    field,
    mixing_matrix,
)
from storage.ingest.simulated_units import UNITS, Indices, add_spikes, spike_amplitudes, spike_samples
from storage.ingest.simulation import BLOCK_S, EPOCHS, Session, Stream

NWB_VERSION = "2.8.0"
SESSION_START = "2024-05-14T10:30:00.000+02:00"
NAMESPACE = UUID("6f3f6f0a-5a53-4b0e-9d5b-0d4b7a0c1e11")
"""Object ids are made from this, so equal sessions have equal ids."""

PROBE_HZ = 5000
"""Fast enough for spikes, slow enough that ten minutes of 16 channels stay below 60 MB."""
LFP_HZ = 1250
VOLTS_PER_BIT = 1.95e-7
AMPLIFIER_NOISE_UV, LFP_NOISE_UV = 5.0, 2.0

PROBE_CHUNK = (1 * PROBE_HZ, N_CONTACTS // 2)
LFP_CHUNK = (BLOCK_S * LFP_HZ,)
TIMES_CHUNK = (4096,)


def write_demo(
    path: Path,
    *,
    duration_s: float = 600.0,
    seed: int = 11,
    progress: Callable[[float], None] = lambda done: None,
) -> None:
    """Write a seeded, physiologically plausible simulated recording as an NWB file.

    Ten minutes take a few seconds and 58 MB on disk. Signals are made and written block by block, so memory
    holds one block and the times of events, however long the session.

    Parameters
    ----------
    path : Path
        Replaced at once when the file is complete; until then it is left as it is.
    duration_s : float
        From five seconds to a day.
    seed : int
        Not negative. Equal seeds and durations give equal samples.
    progress : callable
        Gets the share that is done, up to 1, after each block. An exception from it stops the writing.

    Raises
    ------
    ValueError
        If no session of this duration can be simulated.
    """
    session = Session(duration_s, seed)
    spikes = [spike_samples(session, number, PROBE_HZ) for number in range(len(UNITS))]
    with _replacing(path) as temporary, h5py.File(temporary, "w") as file:
        _describe(file, session)
        electrodes = _add_electrodes(file["general"])
        _add_stimuli(file["stimulus/presentation"], session)
        _add_epochs(file["intervals"], session)
        _add_units(file, session, spikes, electrodes)
        acquisition = file["acquisition"]
        _add_pupil(acquisition, session)
        lfp = _add_electrical(acquisition, "LFP", LFP_HZ, LFP_CHUNK, session, electrodes, [PYRAMIDAL_CONTACT])
        probe = _add_electrical(acquisition, "probe", PROBE_HZ, PROBE_CHUNK, session, electrodes, range(N_CONTACTS))
        _write_signals(lfp, probe, session, spikes, progress)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside the path; it replaces the path if all goes well, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        yield Path(name)
        os.fsync(descriptor)
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    finally:
        os.close(descriptor)


def _describe(file: h5py.File, session: Session) -> None:
    """Write what the file is, and the groups that every NWB file has."""
    identifier = str(uuid5(NAMESPACE, f"seed {session.seed}, {float(session.duration_s)} s"))
    nwb.mark_root(file, identifier, NWB_VERSION)
    file["identifier"] = identifier
    file["session_description"] = "Simulated: a head-fixed mouse rests and runs on a wheel. Nothing was measured."
    file["session_start_time"] = file["timestamps_reference_time"] = SESSION_START
    file["file_create_date"] = nwb.strings([datetime.now(UTC).isoformat(timespec="milliseconds")])
    for name in (
        "acquisition",
        "analysis",
        "intervals",
        "processing",
        "stimulus/presentation",
        "stimulus/templates",
    ):
        file.create_group(name)
    file["general/data_collection"] = f"Simulated by Ephystore with the seed {session.seed}."
    subject = nwb.add_group(file["general"], "subject", "Subject")
    subject["subject_id"] = f"simulated-{session.seed}"
    subject["description"] = "No animal: this session is simulated."
    subject["species"], subject["sex"], subject["age"] = "Mus musculus", "U", "P90D"


def _add_electrodes(general: h5py.Group) -> h5py.Group:
    """Write the probe and return the table of its contacts."""
    device = nwb.add_group(general, "devices/probe", "Device", description="Simulated linear silicon probe.")
    shank = nwb.add_group(
        general,
        "extracellular_ephys/shank0",
        "ElectrodeGroup",
        description=f"{N_CONTACTS} contacts in a line, {CONTACT_SPACING_UM:g} um apart, the first uppermost.",
        location="hippocampus, CA1",
    )
    shank["device"] = h5py.SoftLink(device.name)
    table = nwb.add_table(general, "extracellular_ephys/electrodes", "DynamicTable", "Contacts.", N_CONTACTS)
    contacts = np.arange(N_CONTACTS)
    layers = np.array(["oriens", "pyramidale", "radiatum"])[1 + np.sign(contacts - PYRAMIDAL_CONTACT)]
    nwb.add_column(table, "location", "Layer.", nwb.strings(f"CA1, stratum {layer}" for layer in layers))
    nwb.add_column(table, "group", "The shank.", np.array([shank.ref] * N_CONTACTS, h5py.ref_dtype))
    nwb.add_column(table, "group_name", "Name of the shank.", nwb.strings(["shank0"] * N_CONTACTS))
    nwb.add_column(table, "rel_x", "Place across the shank in um.", np.zeros(N_CONTACTS))
    nwb.add_column(table, "rel_y", "Depth below the first contact in um.", contacts * CONTACT_SPACING_UM)
    return table


def _add_pupil(acquisition: h5py.Group, session: Session) -> None:
    """Write the irregular signal."""
    times, diameters = session.pupil()
    series = nwb.add_series(acquisition, "pupil_diameter", "TimeSeries", "From a camera that drops frames.")
    nwb.add_samples(series, diameters.shape, np.float32, TIMES_CHUNK, "mm")[...] = diameters
    nwb.add_timestamps(series, times, TIMES_CHUNK)


def _add_stimuli(presentation: h5py.Group, session: Session) -> None:
    """Write the events."""
    times, names = session.stimuli()
    series = nwb.add_series(presentation, "stimuli", "AnnotationSeries", "What was presented, and when.")
    nwb.describe_samples(series.create_dataset("data", data=nwb.strings(names)), "n/a")
    nwb.add_timestamps(series, times, TIMES_CHUNK)


def _add_epochs(intervals: h5py.Group, session: Session) -> None:
    """Write when the mouse rests and when it runs."""
    edges = session.epoch_edges_s
    table = nwb.add_table(intervals, "epochs", "TimeIntervals", "Rest and running.", len(EPOCHS))
    nwb.add_column(table, "start_time", "Start time of epoch, in seconds.", edges[:-1])
    nwb.add_column(table, "stop_time", "Stop time of epoch, in seconds.", edges[1:])
    nwb.add_ragged_column(table, "tags", "What the mouse did.", [nwb.strings(tags) for tags in EPOCHS])


def _add_units(file: h5py.File, session: Session, spikes: Sequence[Indices], electrodes: h5py.Group) -> None:
    """Write who fired when."""
    table = nwb.add_table(file, "units", "Units", "Simulated neurons whose spikes the probe sees.", len(UNITS))
    nwb.add_column(table, "cell_type", "Kind of neuron.", nwb.strings(unit.cell_type for unit in UNITS))
    times = [samples / PROBE_HZ for samples in spikes]
    column = nwb.add_ragged_column(table, "spike_times", "Troughs, in seconds, on samples of the probe.", times)
    column.attrs["resolution"] = 1 / PROBE_HZ
    observed: NDArray[np.float64] = np.array([[0.0, session.duration_s]])
    nwb.add_ragged_column(table, "obs_intervals", "When observed, in seconds.", [observed] * len(UNITS))
    contacts = [np.array([unit.contact]) for unit in UNITS]
    nwb.add_ragged_region(table, "electrodes", "Contact with the largest spike.", contacts, electrodes)


def _add_electrical(
    acquisition: h5py.Group,
    name: str,
    sampling_rate_hz: int,
    chunk: tuple[int, ...],
    session: Session,
    electrodes: h5py.Group,
    contacts: Sequence[int],
) -> h5py.Dataset:
    """Add a series of voltages and return its dataset, unwritten."""
    series = nwb.add_series(acquisition, name, "ElectricalSeries", "Simulated potential, see the electrodes.")
    nwb.add_region(series, electrodes, contacts)
    nwb.add_rate(series, sampling_rate_hz)
    n_samples = int(session.duration_s * sampling_rate_hz)
    shape = (n_samples, len(contacts))[: len(chunk)]
    return nwb.add_samples(series, shape, np.int16, chunk, "volts", VOLTS_PER_BIT)


def _write_signals(
    lfp: h5py.Dataset,
    probe: h5py.Dataset,
    session: Session,
    spikes: Sequence[Indices],
    progress: Callable[[float], None],
) -> None:
    """Write LFP and probe block by block."""
    mixing = mixing_matrix()
    amplitudes = [spike_amplitudes(session, number, samples, PROBE_HZ) for number, samples in enumerate(spikes)]
    for block in range(session.n_blocks):
        random = session.random(Stream.AMPLIFIER, block)
        potential = field(session, block, LFP_HZ, mixing[:, PYRAMIDAL_CONTACT])
        potential += LFP_NOISE_UV * random.standard_normal(potential.shape, np.float32)
        _store(lfp, block * BLOCK_S * LFP_HZ, potential)
        signal, start = field(session, block, PROBE_HZ, mixing), block * BLOCK_S * PROBE_HZ
        signal += AMPLIFIER_NOISE_UV * random.standard_normal(signal.shape, np.float32)
        for unit, samples, sizes in zip(UNITS, spikes, amplitudes, strict=True):
            add_spikes(signal, start, unit, samples, sizes, PROBE_HZ)
        _store(probe, start, signal)
        progress((block + 1) / session.n_blocks)


def _store(dataset: h5py.Dataset, start: int, signal: Microvolts) -> None:
    """Digitise a block and write what of it lies in the recording."""
    levels = np.rint(signal * np.float32(1e-6 / VOLTS_PER_BIT))
    kept = levels[: len(dataset) - start]
    dataset[start : start + len(kept)] = np.clip(kept, -32768, 32767).astype(np.int16)

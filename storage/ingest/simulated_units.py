"""Three simulated neurons beside a probe: when they fire, and what their spikes add to each contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.ingest.simulated_field import CONTACT_SPACING_UM, N_CONTACTS, Microvolts
from storage.ingest.simulation import BLOCK_S, Floats, Session, Stream

Indices = NDArray[np.int64]

REFRACTORY_S = 0.002
BURST_INTERVAL_S = (0.003, 0.006)
BURST_MAX_SPIKES = 5
RIPPLE_FIRING_SD_S = 0.025
AMPLITUDE_SPREAD = 0.05
BURST_ATTENUATION, BURST_RECOVERY_S = 0.35, 0.01
"""A spike just after another is smaller by this share."""
WAVEFORM_BEFORE_S, WAVEFORM_AFTER_S = 0.001, 0.002
REBOUND_SHARE = 0.3
"""The peak after the trough."""
DECAY_UM = 28.0
"""Distance over which a spike falls to 1/e along the probe."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a neuron fires and how its spike looks; rates are means over a theta cycle."""

    cell_type: str
    contact: int
    """Where its spikes are largest."""
    amplitude_uv: float
    trough_sd_s: float
    rebound_delay_s: float
    rest_hz: float
    run_hz: float
    ripple_hz: float
    """Added at the centre of each ripple."""
    theta_depth: float
    theta_phase_rad: float
    burst_share: float
    """How probably one more spike follows closely."""
    visits_per_s: float
    """How often the mouse runs through its place field; 0 if it fires everywhere."""

    @property
    def gains(self) -> Floats:
        """Share of the amplitude at each contact."""
        return np.exp(-np.abs(np.arange(N_CONTACTS) - self.contact) * CONTACT_SPACING_UM / DECAY_UM)


UNITS = (
    Unit("pyramidal", 5, 190.0, 0.00022, 0.00062, 0.7, 2.5, 25.0, 0.85, 3.1, 0.35, 0.0),
    Unit("pyramidal", 6, 130.0, 0.00024, 0.00070, 0.2, 14.0, 18.0, 0.75, 2.6, 0.1, 0.09),
    Unit("interneuron", 3, 95.0, 0.00016, 0.00042, 9.0, 22.0, 45.0, 0.6, 4.2, 0.0, 0.0),
)


def spike_samples(session: Session, number: int, sampling_rate_hz: int) -> Indices:
    """Return the sample of each spike of one unit, sorted, never closer than the refractory period."""
    times = np.concatenate([_fired(session, number, block) for block in range(session.n_blocks)])
    samples = np.rint(np.sort(times) * sampling_rate_hz).astype(np.int64)
    last_sample = int(session.duration_s * sampling_rate_hz) - 1
    apart = int(np.ceil(REFRACTORY_S * sampling_rate_hz))
    kept: list[int] = []
    earliest = 0
    for sample in samples.tolist():
        if earliest <= sample <= last_sample:
            kept.append(sample)
            earliest = sample + apart
    return np.array(kept, np.int64)


def spike_amplitudes(session: Session, number: int, samples: Indices, sampling_rate_hz: int) -> Floats:
    """Return microvolts of each spike at the nearest contact."""
    intervals_s = np.diff(samples, prepend=-sampling_rate_hz) / sampling_rate_hz
    spread = session.random(Stream.SPIKES, number).normal(1.0, AMPLITUDE_SPREAD, len(samples))
    fatigue = 1 - BURST_ATTENUATION * np.exp(-intervals_s / BURST_RECOVERY_S)
    return UNITS[number].amplitude_uv * spread * fatigue


def waveform(unit: Unit, sampling_rate_hz: int) -> tuple[int, Floats]:
    """Return how many samples precede the spike, and its shape with a trough of -1 at the spike."""
    before, after = round(WAVEFORM_BEFORE_S * sampling_rate_hz), round(WAVEFORM_AFTER_S * sampling_rate_hz)
    lag = np.arange(-before, after + 1) / sampling_rate_hz
    trough = np.exp(-0.5 * (lag / unit.trough_sd_s) ** 2)
    rebound = np.exp(-0.5 * ((lag - unit.rebound_delay_s) / (2 * unit.trough_sd_s)) ** 2)
    shape = REBOUND_SHARE * rebound - trough
    return before, shape / -shape[before]


def add_spikes(
    signal: Microvolts, start: int, unit: Unit, samples: Indices, amplitudes: Floats, sampling_rate_hz: int
) -> None:
    """Add the spikes of one unit to the samples from ``start`` on, those that begin outside included.

    Parameters
    ----------
    signal : ndarray of float32
        Shape (samples, contacts); changed.
    start : int
        Sample of the recording at which ``signal`` begins.
    unit : Unit
    samples : ndarray of int64
        Sorted; all spikes of the unit.
    amplitudes : ndarray of float64
        Microvolts of each.
    sampling_rate_hz : int
    """
    before, shape = waveform(unit, sampling_rate_hz)
    near = slice(*np.searchsorted(samples, [start - len(shape), start + len(signal) + len(shape)]))
    rows = samples[near, np.newaxis] - start - before + np.arange(len(shape))
    values = amplitudes[near, np.newaxis] * shape
    inside = (rows >= 0) & (rows < len(signal))
    trace = np.bincount(rows[inside], values[inside], len(signal))
    signal += np.outer(trace, unit.gains).astype(np.float32)


def _fired(session: Session, number: int, block: int) -> Floats:
    """Return when in a block a unit would fire if it had no refractory period, bursts included."""
    unit, random = UNITS[number], session.random(Stream.SPIKES, number, 1 + block)
    highest_hz = max(unit.rest_hz, unit.run_hz) * (1 + unit.theta_depth) + unit.ripple_hz
    times = block * BLOCK_S + BLOCK_S * random.random(random.poisson(highest_hz * BLOCK_S))
    times = times[random.random(len(times)) * highest_hz < _rate_hz(session, unit, times)]
    followers = np.minimum(random.geometric(1 - unit.burst_share, len(times)) - 1, BURST_MAX_SPIKES - 1)
    intervals = random.uniform(*BURST_INTERVAL_S, (len(times), BURST_MAX_SPIKES - 1))
    later = times[:, np.newaxis] + np.cumsum(intervals, axis=1)
    return np.concatenate([times, later[np.arange(BURST_MAX_SPIKES - 1) < followers[:, np.newaxis]]])


def _rate_hz(session: Session, unit: Unit, times: Floats) -> Floats:
    """Return how fast a unit fires at each time."""
    running = session.running(times)
    place = np.cos(np.pi * unit.visits_per_s * times) ** 8
    theta = 1 + unit.theta_depth * np.cos(session.theta_phase(times) - unit.theta_phase_rad)
    edges = np.concatenate([[-np.inf], session.ripples_s, [np.inf]])
    after = np.searchsorted(edges, times)
    from_ripple_s = np.minimum(times - edges[after - 1], edges[after] - times)
    ripple: Floats = np.exp(-0.5 * (from_ripple_s / RIPPLE_FIRING_SD_S) ** 2)
    moving: Floats = (1 - running) * unit.rest_hz + running * place * unit.run_hz
    return moving * theta + unit.ripple_hz * ripple

"""The local field at a linear probe in a simulated session: rhythms, sharp-wave ripples, 1/f noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from storage.ingest.simulation import BLOCK_S, THETA_UV, Floats, Session, Stream

Microvolts = NDArray[np.float32]

N_CONTACTS = 16
CONTACT_SPACING_UM = 25.0
PYRAMIDAL_CONTACT = 5
"""The contact in the layer of cell bodies; higher numbers lie deeper, in stratum radiatum."""

THETA_HARMONIC = 0.18
"""Share of the second harmonic, which makes the cycle as lopsided as real ones."""
THETA_GAIN_PER_UM, THETA_SHIFT_RAD_PER_UM = 0.003, 0.006
"""Theta grows and turns below the pyramidal layer."""

GAMMA_HZ, GAMMA_SD_HZ, GAMMA_UV = 65.0, 12.0, 32.0
GAMMA_LAG_RAD = 0.6
"""Where in the theta cycle gamma is strongest."""

RIPPLE_HZ, RIPPLE_SPREAD_HZ, RIPPLE_SLOWING_HZ_PER_S = 180.0, 8.0, 200.0
RIPPLE_SD_S, RIPPLE_UV, RIPPLE_DEPTH_SD_UM = 0.018, 130.0, 60.0
SHARP_WAVE_SD_S, SHARP_WAVE_UV = 0.03, 320.0
SHARP_WAVE_BELOW_UM, SHARP_WAVE_DEPTH_SD_UM = 120.0, 70.0

BACKGROUND_UV = 75.0
BACKGROUND_EXPONENT = 1.7
"""Power falls as frequency to this."""
BACKGROUND_LOWEST_HZ, BACKGROUND_HIGHEST_HZ = 0.5, 300.0
FIELD_LIMIT_HZ = 500
"""No field is faster, so every sampling rate above twice this shows the same one."""


def field(session: Session, block: int, sampling_rate_hz: int, mixing: Microvolts) -> Microvolts:
    """Return the local field of a block.

    Parameters
    ----------
    session : Session
    block : int
    sampling_rate_hz : int
        Over twice ``FIELD_LIMIT_HZ``.
    mixing : ndarray of float32
        The columns of `mixing_matrix()` for the contacts wanted, or one column.

    Returns
    -------
    ndarray of float32
        Shape (samples, contacts), or (samples,) for one column.
    """
    times = session.times(block, sampling_rate_hz)
    phase, amplitude = session.theta_phase(times), session.theta_amplitude(times)

    def noise(stream: Stream, number: int, spectrum: Floats) -> Microvolts:
        return _noise(session, stream, number, block, sampling_rate_hz, spectrum)

    nested = amplitude / THETA_UV * (0.5 + 0.5 * np.cos(phase - GAMMA_LAG_RAD)) ** 2
    sources = [
        amplitude * (np.cos(phase) + THETA_HARMONIC * np.cos(2 * phase - 1.0)),
        amplitude * (np.sin(phase) + THETA_HARMONIC * np.sin(2 * phase - 1.0)),
        GAMMA_UV * (0.3 + 2 * nested) * noise(Stream.GAMMA, 0, GAMMA_SPECTRUM),
        *_sharp_wave_ripples(session, times),
        *(BACKGROUND_UV * noise(Stream.BACKGROUND, number, BACKGROUND_SPECTRUM) for number in range(3)),
    ]
    return np.stack([source.astype(np.float32) for source in sources], axis=1) @ mixing


def mixing_matrix() -> Microvolts:
    """Return how much of each source of the field each contact sees: shape (sources, contacts)."""
    below_um = (np.arange(N_CONTACTS) - PYRAMIDAL_CONTACT) * CONTACT_SPACING_UM
    theta = 1 + THETA_GAIN_PER_UM * np.clip(below_um, 0, None)
    shift = THETA_SHIFT_RAD_PER_UM * np.clip(below_um, 0, None)
    deep = 0.5 + 0.5 * np.tanh(below_um / 100.0)
    rows = [
        theta * np.cos(shift),
        theta * np.sin(shift),
        np.exp(-0.5 * (below_um / 150.0) ** 2),
        np.exp(-0.5 * (below_um / RIPPLE_DEPTH_SD_UM) ** 2),
        0.3 - 1.3 * np.exp(-0.5 * ((below_um - SHARP_WAVE_BELOW_UM) / SHARP_WAVE_DEPTH_SD_UM) ** 2),
        np.full(N_CONTACTS, 0.8),
        0.6 * (1 - deep),
        0.6 * deep,
    ]
    return np.stack(rows).astype(np.float32)


def _sharp_wave_ripples(session: Session, times: Floats) -> tuple[Floats, Floats]:
    """Return the fast and the slow part of the events that reach into these times."""
    fast, slow = np.zeros_like(times), np.zeros_like(times)
    reach_s = 5 * SHARP_WAVE_SD_S
    first, last = np.searchsorted(session.ripples_s, [times[0] - reach_s, times[-1] + reach_s])
    for number in range(first, last):
        centre_s = session.ripples_s[number]
        random = session.random(Stream.RIPPLES, 1 + number)
        size, ripple_hz = random.lognormal(0.0, 0.3), random.normal(RIPPLE_HZ, RIPPLE_SPREAD_HZ)
        near = slice(*np.searchsorted(times, [centre_s - reach_s, centre_s + reach_s]))
        lag = times[near] - centre_s
        envelope = RIPPLE_UV * size * np.exp(-0.5 * (lag / RIPPLE_SD_S) ** 2)
        fast[near] += envelope * np.cos(2 * np.pi * (ripple_hz - RIPPLE_SLOWING_HZ_PER_S * lag) * lag)
        slow[near] += SHARP_WAVE_UV * size * np.exp(-0.5 * (lag / SHARP_WAVE_SD_S) ** 2)
    return fast, slow


def _noise(
    session: Session, stream: Stream, number: int, block: int, sampling_rate_hz: int, spectrum: Floats
) -> Microvolts:
    """Return noise of this spectrum and variance 1 that goes on smoothly from block to block."""
    n = BLOCK_S * sampling_rate_hz

    def two_blocks(first: int) -> Microvolts:
        parts = session.random(stream, number, first).standard_normal((len(spectrum), 2), np.float32)
        waves = parts.view(np.complex64)[:, 0] * spectrum.astype(np.float32)
        return np.fft.irfft(waves, 2 * n, norm="forward").astype(np.float32)

    # Stretches of two blocks overlap by one; the squares of their fades add up to one.
    fade = np.linspace(0.0, np.pi / 2, n, endpoint=False, dtype=np.float32)
    old, new = two_blocks(block)[n:], two_blocks(block + 1)[:n]
    return (np.cos(fade) * old + np.sin(fade) * new).astype(np.float32)


def _spectrum(amplitudes: Floats) -> Floats:
    """Return the amplitudes of waves whose sum has variance 1."""
    return amplitudes / float(2 * np.sqrt(np.sum(amplitudes**2)))


_FREQUENCIES_HZ = np.arange(FIELD_LIMIT_HZ * 2 * BLOCK_S) / (2 * BLOCK_S)
GAMMA_SPECTRUM = _spectrum(np.exp(-0.5 * ((_FREQUENCIES_HZ - GAMMA_HZ) / GAMMA_SD_HZ) ** 2))
BACKGROUND_SPECTRUM = _spectrum(
    (1 + _FREQUENCIES_HZ**2) ** (-BACKGROUND_EXPONENT / 4)
    * (_FREQUENCIES_HZ**2 / (_FREQUENCIES_HZ**2 + BACKGROUND_LOWEST_HZ**2))
    * np.exp(-((_FREQUENCIES_HZ / BACKGROUND_HIGHEST_HZ) ** 4))
)

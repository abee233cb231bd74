"""What happens in a simulated session: a mouse rests and runs on a wheel, sees and hears things.

Everything is a function of the seed and of time, so any block of a signal can be made alone, at any
sampling rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK_S = 10
"""Duration of the blocks in which signals are made; sampling rates are whole numbers of hertz."""
SHORTEST_S, LONGEST_S = 5.0, 86400.0

THETA_HZ = 8.0
THETA_DRIFT_RAD = 1.2
THETA_UV, THETA_AT_REST = 190.0, 0.15
"""Amplitude in the pyramidal layer while running, and the share of it that is left at rest."""
THETA_SWELLING = 0.2
"""Slow changes of the amplitude: the standard deviation of its logarithm."""

RIPPLES_PER_S, RIPPLE_MIN_INTERVAL_S, RIPPLE_MARGIN_S = 0.5, 0.25, 0.15
"""Sharp-wave ripples at rest; there are none while running, nor this near to an end of the session."""

EPOCHS = (("rest",), ("run", "wheel"), ("rest",), ("run", "wheel"))
"""Tags of equally long epochs."""
EPOCH_RAMP_S = 1.0

TONE_INTERVAL_S, TONE_INTERVAL_JITTER_S = 7.0, 4.0
LIGHT_AFTER_TONE_S, REWARD_AFTER_TONE_S, REWARD_JITTER_S, REWARD_SHARE = 0.5, 1.5, 0.6, 0.7

CAMERA_HZ, CAMERA_JITTER_S, CAMERA_DROPPED_SHARE = 30.0, 0.004, 0.003
CAMERA_GAPS = ((0.31, 4.0), (0.72, 2.5))
"""Start as a share of the session, and seconds at most, of what the camera missed."""
PUPIL_MM, PUPIL_RUN_MM, PUPIL_DRIFT_MM, PUPIL_NOISE_MM = 1.4, 0.55, 0.12, 0.012
PUPIL_LAG_S = 1.5


class Stream(IntEnum):
    """What a stream of random numbers is for; each is independent of the others."""

    DRIFT = 0
    RIPPLES = 1
    GAMMA = 2
    BACKGROUND = 3
    AMPLIFIER = 4
    STIMULI = 5
    PUPIL = 6
    SPIKES = 7


@dataclass(frozen=True)
class Session:
    """What happened in one session; times are seconds from its start."""

    duration_s: float
    seed: int

    def __post_init__(self) -> None:
        if not SHORTEST_S <= self.duration_s <= LONGEST_S:
            raise ValueError(f"a session of {self.duration_s} s: {SHORTEST_S} s to {LONGEST_S} s can be simulated")

    def random(self, stream: Stream, *numbers: int) -> np.random.Generator:
        """Return the random numbers for one purpose, or one block of it; a last number 0 counts as none."""
        return np.random.default_rng([self.seed, stream, *numbers])

    @property
    def n_blocks(self) -> int:
        """Number of blocks that cover the session."""
        return int(np.ceil(self.duration_s / BLOCK_S))

    def times(self, block: int, sampling_rate_hz: int) -> Floats:
        """Return the times of all samples of a block, the last block's beyond the end too."""
        n = BLOCK_S * sampling_rate_hz
        samples = np.arange(block * n, (block + 1) * n, dtype=np.float64)
        return samples / sampling_rate_hz

    @property
    def epoch_edges_s(self) -> Floats:
        """Shape (epochs + 1,)."""
        return np.linspace(0.0, self.duration_s, len(EPOCHS) + 1)

    def running(self, times: Floats) -> Floats:
        """Return 0 at rest, 1 while running, and between them where an epoch ends."""
        edges = self.epoch_edges_s[1:-1]
        knots = np.stack([edges - EPOCH_RAMP_S / 2, edges + EPOCH_RAMP_S / 2], axis=1).ravel()
        levels = np.repeat([float("run" in tags) for tags in EPOCHS], 2)[1:-1]
        share: Floats = np.interp(times, knots, levels)
        return share

    @cached_property
    def _drifts(self) -> tuple[Drift, Drift, Drift]:
        """Theta phase, theta amplitude, pupil."""
        random = self.random(Stream.DRIFT)
        return drift(random, 0.05, 0.6), drift(random, 0.08, 0.9), drift(random, 0.01, 0.4)

    def theta_phase(self, times: Floats) -> Floats:
        """Return radians; 0 is the peak in the pyramidal layer."""
        return 2 * np.pi * THETA_HZ * times + THETA_DRIFT_RAD * self._drifts[0](times)

    def theta_amplitude(self, times: Floats) -> Floats:
        """Return microvolts in the pyramidal layer."""
        strength: Floats = np.exp(THETA_SWELLING * self._drifts[1](times))
        awake = THETA_AT_REST + (1 - THETA_AT_REST) * self.running(times)
        return THETA_UV * awake * strength

    @cached_property
    def ripples_s(self) -> Floats:
        """Centres of the sharp-wave ripples."""
        random = self.random(Stream.RIPPLES)
        intervals = RIPPLE_MIN_INTERVAL_S + random.exponential(
            1 / RIPPLES_PER_S - RIPPLE_MIN_INTERVAL_S, int(self.duration_s * RIPPLES_PER_S * 2) + 20
        )
        centres: Floats = np.cumsum(intervals)
        inside = (centres < self.duration_s - RIPPLE_MARGIN_S) & (self.running(centres) == 0.0)
        kept: Floats = centres[inside]
        return kept

    def stimuli(self) -> tuple[Floats, list[str]]:
        """Return sorted times and what happened: a tone, at times a light with it, then often a reward."""
        random = self.random(Stream.STIMULI)
        events: list[tuple[float, str]] = []
        tone_s = random.uniform(1.0, TONE_INTERVAL_JITTER_S)
        while tone_s < self.duration_s:
            events.append((tone_s, "tone"))
            if random.random() < 0.5:
                events.append((tone_s + LIGHT_AFTER_TONE_S, "light"))
            if random.random() < REWARD_SHARE:
                events.append((tone_s + REWARD_AFTER_TONE_S + random.exponential(REWARD_JITTER_S), "reward"))
            tone_s += TONE_INTERVAL_S + random.uniform(0.0, TONE_INTERVAL_JITTER_S)
        events = sorted((round(time_s, 4), name) for time_s, name in events if time_s < self.duration_s)
        return np.array([time_s for time_s, _ in events]), [name for _, name in events]

    def pupil(self) -> tuple[Floats, NDArray[np.float32]]:
        """Return the times of a camera that drops frames, strictly increasing, and millimetres."""
        random = self.random(Stream.PUPIL)
        frames = np.arange(1, int(self.duration_s * CAMERA_HZ)) / CAMERA_HZ
        times = frames + random.uniform(-CAMERA_JITTER_S, CAMERA_JITTER_S, len(frames))
        kept = random.random(len(times)) >= CAMERA_DROPPED_SHARE
        for share, gap_s in CAMERA_GAPS:
            start_s = share * self.duration_s
            kept &= (times < start_s) | (times > start_s + min(gap_s, 0.05 * self.duration_s))
        times = np.round(times[kept], 6)
        # The pupil follows running slowly: the mean of where it was over the last seconds.
        lags = np.linspace(0.0, 3 * PUPIL_LAG_S, 13)
        weights = np.exp(-lags / PUPIL_LAG_S)
        aroused = np.average([self.running(times - lag) for lag in lags], axis=0, weights=weights)
        diameter = PUPIL_MM + PUPIL_RUN_MM * aroused + PUPIL_DRIFT_MM * self._drifts[2](times)
        return times, (diameter + random.normal(0.0, PUPIL_NOISE_MM, len(times))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Drift:
    """A slow wander of mean 0 and variance 1: a few sines of random frequency."""

    frequencies_hz: Floats
    phases_rad: Floats

    def __call__(self, times: Floats) -> Floats:
        """Return its values at these times."""
        waves = np.zeros_like(times)
        for frequency, phase in zip(self.frequencies_hz, self.phases_rad, strict=True):
            waves += np.sin(2 * np.pi * frequency * times + phase)
        return waves * float(np.sqrt(2 / len(self.frequencies_hz)))


def drift(random: np.random.Generator, lowest_hz: float, highest_hz: float) -> Drift:
    """Return a wander between these frequencies."""
    n_waves = 6
    shares = (np.arange(n_waves) + random.random(n_waves)) / n_waves
    return Drift(lowest_hz * (highest_hz / lowest_hz) ** shares, random.uniform(0.0, 2 * np.pi, n_waves))

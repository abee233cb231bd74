"""The header of a WaveSurfer recording, as its versions since 0.9 spell it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import floor
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.calibration import Polynomial
from storage.errors import Refused
from storage.ingest.formats import attributes, time_arrays
from storage.ingest.formats.members import dataset_in, group_in, members

SPELLINGS = {
    "rate": ("AcquisitionSampleRate", "SampleRate"),
    "names": ("AIChannelNames", "AnalogChannelNames"),
    "units": ("AIChannelUnits", "AnalogChannelUnits"),
    "scales": ("AIChannelScales", "AnalogChannelScales"),
    "is_active": ("IsAIChannelActive", "IsAnalogChannelActive"),
    "coefficients": ("AIScalingCoefficients", "AnalogScalingCoefficients"),
    "digital_names": ("DIChannelNames", "DigitalChannelNames"),
    "is_digital_active": ("IsDIChannelActive", "IsDigitalChannelActive"),
}
"""What each is called in the header, and was called in its group Acquisition."""

TIMEBASE_HZ = 100e6
FIRST_WITH_ACTUAL_RATE = Decimal("0.913")
"""Versions before told the rate that was asked for, of which boards took the next that divides their timebase."""
OLD_VERSION = re.compile(r"0\.\d{1,4}", re.ASCII)

MAX_TEXTS = 500
MAX_VALUES = 16
MAX_LENGTH = 200
"""Of what is told in annotations: values, numbers in one of them, characters of a text."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is told of all sweeps."""

    rate_hz: float
    names: list[str]
    """Of the active analog inputs, as the following."""
    units: list[str | None]
    scales: NDArray[np.float64] | None
    """In volts per unit."""
    coefficients: NDArray[np.float64] | None
    """Shape (n_channels, n_powers), ascending: volts of a count."""
    digital_names: list[str]
    """Of the active digital inputs, from the lowest bit on."""
    clock: list[float]
    """Year, month, day, hour, minute and seconds of the begin of the run, or nothing."""
    texts: dict[str, Any]
    """Its short values, for annotations."""

    def calibration(self, dtype: np.dtype[Any]) -> Polynomial | None:
        """Return how counts become units; None for samples that were stored in them."""
        if dtype.kind == "f":
            return None
        if self.coefficients is None or len(self.coefficients) != len(self.names):
            raise Refused(
                "its counts have no scaling coefficients for each active channel in the header; "
                "register it with a mapping file that tells them"
            )
        rows = self.coefficients
        if self.scales is not None:
            if not self.scales.all():
                raise Refused("the scale of one of its channels is 0")
            rows = rows / self.scales[:, np.newaxis]
        return Polynomial(tuple(map(tuple, rows.tolist())))


def header_of(group: h5py.Group) -> Header:
    """Read the header of a recording; raises Refused where something in it is none of what WaveSurfer writes."""
    version = attributes.text(dataset_in(group, "VersionString")) or "0.0"
    is_active = _flags(group, "is_active")
    names = _chosen(_texts(group, "names"), is_active)
    units: list[str | None] = [unit or None for unit in _chosen(_texts(group, "units"), is_active)]
    scales = _numbers(group, "scales")
    coefficients = _numbers(group, "coefficients")
    return Header(
        rate_hz=_rate(group, version),
        names=names,
        units=units if len(units) == len(names) else [None] * len(names),
        scales=None if scales is None else _active(scales.ravel(), is_active),
        coefficients=None if coefficients is None else np.atleast_2d(coefficients),
        digital_names=_chosen(_texts(group, "digital_names"), _flags(group, "is_digital_active")),
        clock=_clock(group),
        texts=_short_values(group),
    )


def _rate(group: h5py.Group, version: str) -> float:
    rate = _numbers(group, "rate")
    if rate is None:
        raise Refused(
            "its header has no AcquisitionSampleRate; "
            "if it is not of WaveSurfer, a mapping file can tell what it is (--map)"
        )
    rate_hz = attributes.number(rate, "AcquisitionSampleRate")
    if rate_hz <= 0:
        raise Refused(f"its AcquisitionSampleRate is {rate_hz}")
    is_asked = OLD_VERSION.fullmatch(version) is not None and Decimal(version) < FIRST_WITH_ACTUAL_RATE
    divider = TIMEBASE_HZ / rate_hz
    return TIMEBASE_HZ / floor(divider) if is_asked and divider >= 1 else rate_hz


def _stored(group: h5py.Group, what: str) -> h5py.Dataset | None:
    """Return a dataset of the header, wherever that version of WaveSurfer has it."""
    new, old = SPELLINGS[what]
    found, acquisition = dataset_in(group, new), group_in(group, "Acquisition")
    return dataset_in(acquisition, old) if found is None and acquisition is not None else found


def _numbers(group: h5py.Group, what: str) -> NDArray[np.float64] | None:
    stored = _stored(group, what)
    if stored is None or stored.dtype.kind not in "biuf":
        return None
    numbers = time_arrays.values_of(stored).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise Refused(f"{SPELLINGS[what][0]} in its header has values that are not numbers")
    return numbers


def _flags(group: h5py.Group, what: str) -> NDArray[np.bool_] | None:
    numbers = _numbers(group, what)
    return None if numbers is None else numbers.ravel().astype(bool)


def _texts(group: h5py.Group, what: str) -> list[str]:
    stored = _stored(group, what)
    labels = None if stored is None else time_arrays.labels_of(stored)
    return [] if labels is None else [label.decode("utf-8", "replace") for label in labels.tolist()]


def _chosen(texts: list[str], is_chosen: NDArray[np.bool_] | None) -> list[str]:
    """Return the texts of active channels; a lone empty one stands for none."""
    if texts == [""] and (is_chosen is None or not is_chosen.any()):
        return []
    return texts if is_chosen is None else [text for text, chosen in zip(texts, is_chosen, strict=False) if chosen]


def _active(values: NDArray[np.float64], is_active: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    if is_active is None:
        return values
    if len(values) != len(is_active):
        raise Refused(f"its header has {len(values)} scales for {len(is_active)} channels")
    return values[is_active]


def _clock(group: h5py.Group) -> list[float]:
    stored = dataset_in(group, "ClockAtRunStart")
    return [] if stored is None else [float(one) for one in time_arrays.values_of(stored).ravel()[:6]]


def _short_values(group: h5py.Group) -> dict[str, Any]:
    """Return what of the header is short enough to be told with every Block."""
    told: dict[str, Any] = {}
    for name, one in members(group):
        if len(told) >= MAX_TEXTS:
            break
        if isinstance(one, h5py.Dataset) and one.size and one.size <= MAX_VALUES and one.dtype.names is None:
            values = [attributes.plain(value) for value in np.ravel(one[()]).tolist()]
            values = [value[:MAX_LENGTH] if isinstance(value, str) else value for value in values]
            if values != [""]:
                told[name] = values[0] if len(values) == 1 else values
    return told

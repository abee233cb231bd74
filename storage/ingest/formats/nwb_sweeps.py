"""Sweeps of intracellular recordings: which series, or parts of them, belong to one stretch of time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import h5py

from storage.errors import Refused
from storage.ingest.formats import attributes, nwb_sweep_tables, nwb_tree
from storage.ingest.formats.nwb_session import ROOT
from storage.ingest.formats.nwb_sweep_tables import Recording, Role, role_of
from storage.ingest.formats.nwb_tree import Tree
from storage.ingest.found import Found, FoundObject, identity

STIMULUS, RESPONSE = Role.STIMULUS, Role.RESPONSE
WORDS = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
ROLE_WORDS = frozenset(
    {"stimulus", "stim", "command", "presentation", "response", "resp", "acquisition", "recording", "recorded"}
    | {"series", "clamp", "current", "voltage", "izero", "zero", "i", "v", "cc", "vc", "ccs", "vcs", "ccss", "vcss"}
    | {"ad", "da"}
)
"""What may tell the name of a stimulus from that of its response."""


@dataclass(frozen=True, slots=True)
class Part:
    """All samples of a series, or those of one sweep."""

    segment: str
    annotations: dict[str, Any] = field(default_factory=dict)
    rows: tuple[int, int] | None = None
    """First sample and number of samples; None for all."""
    number: int = 0
    """Of the parts of one series, from 0."""

    def rows_in(self, n_samples: int) -> tuple[int, int]:
        """Return first sample and number of samples; raises Refused where these are not all there."""
        first, count = self.rows or (0, n_samples)
        if first + count > n_samples:
            raise Refused(f"a sweep has its samples {first} to {first + count}, but there are {n_samples}")
        return first, count

    def source_path(self, group: h5py.Group) -> str:
        """Return what an object of this part goes by."""
        path = nwb_tree.path_of(group)
        return f"{path}#{self.number}" if self.number else path


WHOLE = Part(ROOT)


@dataclass(slots=True)
class Sweeps:
    """What belongs to which sweep."""

    parts: dict[Hashable, list[Part]] = field(default_factory=dict)
    """By the identity of the series."""

    def parts_of(self, group: h5py.Group) -> list[Part]:
        """Return the parts of a series: one of all samples, in the segment of the session, where it is in no sweep."""
        own = self.parts.get(identity(group), [])
        n_samples = _length(group)
        known = sorted((one.rows or (0, n_samples)) for one in own)
        covered = 0
        for first, count in known:
            covered = max(covered, first + count) if first <= covered else covered
        parts = own if own and covered >= n_samples else [WHOLE, *own]
        return [replace(part, number=number) for number, part in enumerate(parts)]


@dataclass(slots=True)
class _Sweep:
    """One sweep while it is put together."""

    annotations: dict[str, Any]
    recordings: list[Recording] = field(default_factory=list)

    @property
    def number(self) -> int | None:
        """Number of the sweep that all its series agree on."""
        numbers = {number for one in self.recordings if (number := sweep_number(one.group)) is not None}
        return numbers.pop() if len(numbers) == 1 else None


def add(found: Found, tree: Tree) -> Sweeps:
    """Add a Segment for each sweep; return what belongs to them.

    What belongs together is told by the table of intracellular recordings, else by the table of sweeps, else by the
    numbers of sweeps that series have, else by their names.
    """
    clamped = {identity(group): group for group in tree.groups if _is_clamped(group)}
    by_path = {nwb_tree.path_of(group): group for group in tree.groups}
    sweeps: list[_Sweep] = []
    for table in (nwb_sweep_tables.intracellular_recordings, nwb_sweep_tables.sweep_table):
        if not sweeps:
            with found.refusing("/general/intracellular_ephys"):
                sweeps = [_Sweep(told, recordings) for told, recordings in table(tree, by_path)]
    left = _left(clamped, sweeps)
    _add_numbered(sweeps, left)
    _add_named(sweeps, _left(clamped, sweeps))
    return _added(found, tree, sweeps)


def sweep_number(group: h5py.Group) -> int | None:
    """Return the number that a series says its sweep has."""
    said = attributes.plain(group.attrs.get("sweep_number"))
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _left(clamped: dict[Hashable, h5py.Group], sweeps: Iterable[_Sweep]) -> list[h5py.Group]:
    """Return the clamped series that are in no sweep yet."""
    there = {identity(one.group) for sweep in sweeps for one in sweep.recordings}
    return [group for own, group in clamped.items() if own not in there]


def _add_numbered(sweeps: list[_Sweep], left: list[h5py.Group]) -> None:
    """Put series into the sweep of their number, which may be there already."""
    known = {sweep.number: sweep for sweep in sweeps if sweep.number is not None}
    new: dict[int, _Sweep] = {}
    for group in left:
        number = sweep_number(group)
        if number is None:
            continue
        if number not in known:
            known[number] = new[number] = _Sweep({"sweep_number": number})
        known[number].recordings.append(Recording(group, role_of(group)))
    sweeps += [new[number] for number in sorted(new)]


def _add_named(sweeps: list[_Sweep], left: list[h5py.Group]) -> None:
    """Put stimuli together with the one response that has the same name but for what tells them apart."""
    for only_numbers in (False, True):
        pairs: dict[tuple[str, ...], dict[Role, list[h5py.Group]]] = defaultdict(lambda: defaultdict(list))
        for group in left:
            words = _words(group)
            pairs[tuple(filter(str.isdigit, words)) if only_numbers else words][role_of(group)].append(group)
        found = [
            (name, by_role)
            for name, by_role in pairs.items()
            if all(len(by_role[role]) == 1 for role in Role) and (name or not only_numbers)
        ]
        for name, by_role in sorted(found, key=lambda pair: [(word.isdigit(), len(word), word) for word in pair[0]]):
            numbers = [int(word) for word in name if word.isdigit()]
            told = {"sweep_number": numbers[0]} if len(numbers) == 1 else {}
            sweeps.append(_Sweep(told, [Recording(by_role[role][0], role) for role in (RESPONSE, STIMULUS)]))
        paired = {identity(group) for _, by_role in found for groups in by_role.values() for group in groups}
        left = [group for group in left if identity(group) not in paired]


def _words(group: h5py.Group) -> tuple[str, ...]:
    """Return the words of a name, without those that tell a stimulus from a response."""
    name = nwb_tree.name_of(nwb_tree.path_of(group))
    words = (word.lower().lstrip("0") or "0" if word.isdigit() else word.lower() for word in WORDS.findall(name))
    return tuple(word for word in words if word not in ROLE_WORDS)


def _is_clamped(group: h5py.Group) -> bool:
    """Whether a typed group is a series of an intracellular electrode; templates of stimuli are in no sweep."""
    is_typed = "Clamp" in nwb_tree.type_of(group) or "sweep_number" in group.attrs
    return is_typed and nwb_tree.has(group, "data") and not nwb_tree.path_of(group).startswith("/stimulus/templates/")


def _added(found: Found, tree: Tree, sweeps: list[_Sweep]) -> Sweeps:
    """Add the segments, and tell what belongs to each."""
    told = Sweeps()
    numbers = [sweep.annotations.get("sweep_number", sweep.number) for sweep in sweeps]
    if None in numbers or len(set(numbers)) < len(numbers):  # they do not tell the sweeps apart
        numbers = list(range(len(sweeps)))
    for index, (number, sweep) in enumerate(zip(numbers, sweeps, strict=True)):
        path = f"/general/intracellular_ephys#{index}"
        electrodes = sorted({name for one in sweep.recordings if (name := _electrode(tree, one)) is not None})
        annotations = {**sweep.annotations, "sweep_number": number}
        if electrodes:
            annotations["electrodes"] = electrodes
        fields = {"name": f"sweep {number}", "index": index, "annotations": annotations}
        found.objects.append(FoundObject("segment", path, fields, {"block": ROOT}))
        for one in sweep.recordings:
            parts = told.parts.setdefault(identity(one.group), [])
            parts.append(Part(path, dict(_of_series(tree, one, annotations)), one.rows))
    return told


def _of_series(tree: Tree, one: Recording, sweep: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what is told of a series because of its sweep."""
    yield "role", one.role.value
    for name in ("sweep_number", "repetition", "condition", "stimulus_type"):
        if name in sweep:
            yield name, sweep[name]
    electrode = _electrode(tree, one)
    if electrode is not None:
        yield "electrode", electrode


def _electrode(tree: Tree, one: Recording) -> str | None:
    """Return the name of the electrode of a series: as its table says, else as it says itself."""
    path = one.electrode or tree.linked(one.group, "electrode")
    return None if path is None else nwb_tree.name_of(path)


def _length(group: h5py.Group) -> int:
    try:
        data = nwb_tree.dataset_in(group, "data")
    except Refused:
        return 0
    return len(data) if data is not None and data.shape else 0

"""Arrays that an object would have: whether each may be linked, and in which unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from sqlalchemy.orm import Session

from storage.catalog import corrections
from storage.catalog.arrays import stored_array
from storage.catalog.files import READY, Datafile
from storage.catalog.forms import ArrayForm
from storage.catalog.lending import lent
from storage.catalog.permissions import Caller, may_read, may_read_array, may_write
from storage.catalog.uses import datafile_and_uses, links
from storage.errors import NotFound
from storage.units import is_same, require_unit, seconds
from storage.writing.given import GivenArray
from storage.writing.inline_arrays import fault_of_times


@dataclass(frozen=True, slots=True)
class Candidate:
    """An array as an object would have it: one that it has, one that is linked anew, or one that was sent."""

    shape: tuple[int, ...]
    units: str | None
    datafile: Datafile | None = None
    values: NDArray[Any] | None = None
    new_units: str | None = None
    """What the datafile is to say."""
    is_taken_back: bool = False
    """Whether the datafile is to say again what its file says."""
    is_hidden: bool = False
    """Whether it is somebody else's, who does not let the caller read it any more."""


@dataclass(frozen=True, slots=True)
class Field:
    """An array field of an object."""

    row: Any
    """None where the object is to be created."""
    name: str

    @property
    def datafile(self) -> Datafile | None:
        """What it links now."""
        linked: Datafile | None = getattr(self.row, self.name, None)
        return linked


Fault = Callable[[str], None]
"""Takes what is wrong with the array."""


def kept(session: Session, caller: Caller, datafile: Datafile | None) -> Candidate | None:
    """Return the array that an object has."""
    if datafile is None:
        return None
    is_hidden = not may_read(caller, datafile) and datafile.id not in lent(session, caller, [datafile.id])
    return Candidate(stored_array(datafile).shape, datafile.units, datafile, is_hidden=is_hidden)


def checked(session: Session, caller: Caller, given: GivenArray, field: Field, fault: Fault) -> Candidate | None:
    """Return the array that was given; None where it cannot be told what it is, and ``fault`` was told why.

    Parameters
    ----------
    session : Session
    caller : Caller
    given : GivenArray
    field : Field
    fault : callable
    """
    if given.values is not None:
        return _inline(given, given.values, fault)
    current = field.datafile
    datafile_id = current.id if current is not None and given.datafile_id is None else given.datafile_id
    if datafile_id is None:
        fault("has a unit but no data")
        return None
    is_new = current is None or current.id != datafile_id or not may_read(caller, current)
    datafile = _readable(session, caller, datafile_id, fault) if is_new else current
    if datafile is None:
        return None
    if given.guid not in (None, datafile.guid):
        fault(f"has the guid {datafile.guid} by now, not {str(given.guid)[:40]}")
    shape = stored_array(datafile).shape
    if is_new:
        _require_form(given.form, datafile, shape, fault)
    if given.is_taken_back:
        if not _may_correct(session, caller, field, datafile):
            fault("has a unit that only the owner of the array takes back, on the one object that has it")
        units = corrections.said_by_file(datafile, ["units"])["units"]
        return Candidate(shape, units, datafile, is_taken_back=True)
    new_units = _new_units(session, caller, given, field, datafile, fault)
    units = new_units or datafile.units
    if is_new and given.form.unit is not None:
        _require_units(given.form, units, fault)
    return Candidate(shape, units, datafile, new_units=new_units)


def _inline(given: GivenArray, values: NDArray[Any], fault: Fault) -> Candidate:
    if given.form.unit is None:
        if given.units is not None:
            fault("are texts, which have no unit")
    else:
        _require_units(given.form, given.units, fault)
    if given.form.is_sorted:
        odd = fault_of_times(values)
        if odd is not None:
            fault(odd)
    return Candidate(values.shape, given.units, values=values)


def _readable(session: Session, caller: Caller, datafile_id: int, fault: Fault) -> Datafile | None:
    """Return a datafile whose samples the caller may read."""
    try:
        datafile, uses = datafile_and_uses(session.connection(), datafile_id)
    except NotFound:
        datafile = None
    if datafile is None or not may_read_array(caller, datafile, uses):
        fault(f"there is no datafile {datafile_id} that you may read")
        return None
    if datafile.state != READY:
        fault(f"datafile {datafile_id} is not ready but {datafile.state}" + _because(datafile))
        return None
    return datafile


def _because(datafile: Datafile) -> str:
    return "" if datafile.reason is None else f": {datafile.reason}"


def _require_form(form: ArrayForm, datafile: Datafile, shape: tuple[int, ...], fault: Fault) -> None:
    kind = stored_array(datafile).dtype.kind
    if len(shape) not in form.n_axes:
        wanted = " or ".join(map(str, form.n_axes))
        fault(f"has the shape {list(shape)}, but this field takes {wanted} dimension(s)")
    if (kind == "S") != (form.holds == "texts"):
        fault(f"has {'texts' if kind == 'S' else 'numbers'}, but this field takes {form.holds}")
    elif form.is_sorted and datafile.n_samples and "blocks" not in (datafile.sidecar_offsets or {}):
        fault("cannot be times: its values are not sorted, or not finite numbers")


def _require_units(form: ArrayForm, units: str | None, fault: Fault) -> None:
    """Require that there is a unit; of times it is one of time, whoever said so."""
    if units is None:
        fault(f'has no unit; give {{"data": …, "units": "{"s" if form.unit == "time" else "mV"}"}}')
    else:
        _require_known(form, units, fault)


def _require_known(form: ArrayForm, units: str, fault: Fault) -> bool:
    try:
        seconds(units) if form.unit == "time" else require_unit(units)
    except ValueError as error:
        fault(f"has a unit that is none: {error}")
        return False
    return True


def contradictions(candidates: Mapping[str, Candidate | None]) -> Iterator[tuple[str, str]]:
    """Yield fields that would give an array another unit than a field before them gives it."""
    said: dict[int, tuple[str, str | None]] = {}
    for name, one in candidates.items():
        if one is not None and one.datafile is not None:
            before, units = said.setdefault(one.datafile.id, (name, one.units))
            if units != one.units:
                yield name, f"is the same array as {before}, which is in {units}"


def _may_correct(session: Session, caller: Caller, field: Field, datafile: Datafile) -> bool:
    """Whether the field has an array of the caller's already, and nothing else of theirs has it."""
    if field.datafile is not datafile or not may_write(caller, datafile):
        return False
    own = field.row.type_name, field.row.id, field.name
    uses = session.execute(links(lambda linked: linked == datafile.id))
    return all((one.type_name, one.object_id, one.field) == own for one in uses if one.owner_id == datafile.owner_id)


def _new_units(
    session: Session, caller: Caller, given: GivenArray, field: Field, datafile: Datafile, fault: Fault
) -> str | None:
    """Return what the unit of a datafile becomes; None where it stays."""
    asked, units = given.units, datafile.units
    if asked is None or asked == units:
        return None
    if given.form.unit is None:
        fault("are texts, which have no unit")
    elif units is not None and not is_same(asked, units) and not _may_correct(session, caller, field, datafile):
        fault(f"is in {units}, not in {asked[:40]}; its owner corrects that on the one object that has it")
    elif may_write(caller, datafile):
        return asked if _require_known(given.form, asked, fault) else None
    elif units is None:
        fault(f"has no unit, and only its owner may say that it is {asked[:40]}")
    return None

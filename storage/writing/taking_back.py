"""Taking back corrections: fields of a registered object become again what the file says, if that may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from storage.catalog import corrections
from storage.writing.given import Given, GivenArray


def expanded(row: Any, given: Given, fault: Callable[[str, str], None]) -> tuple[Given, list[str]]:
    """Return what was given with what the file says in fields whose correction is taken back, to be checked like it.

    Parameters
    ----------
    row : NeoObject or None
    given : Given
    fault : callable
        Is told a field and what is wrong with it.

    Returns
    -------
    Given
    list of str
        The columns that are not corrected any more.
    """
    if given.corrections is None:
        return given, []
    known = [] if row is None else corrections.fields(row)
    for name in sorted(set(given.corrections) - set(known)):
        there = f"corrected are {', '.join(known)}" if known else "nothing is corrected"
        fault("corrections", f"have no {name[:40]!r}: {there}")
    dropped = [name for name in known if name not in given.corrections]
    columns = [] if row is None else corrections.columns_of(row, dropped)
    made = replace(given, columns=dict(given.columns), parents=dict(given.parents), arrays=dict(given.arrays))
    for name, value in corrections.said_by_file(row, columns).items():
        field = name.removesuffix("_id")
        if field.removesuffix("_units") in {*given.columns, *given.parents, *given.arrays}:
            fault(field.removesuffix("_units"), "is given and taken back at once")
        elif name.endswith("_id") and field in row.array_fields:
            linked = None if value is None else GivenArray(given.forms[field], value)
            made.arrays[field] = linked
        elif name.endswith("_id") and field in row.parent_fields:
            made.parents[field] = value
        else:
            made.columns[name] = value
    for field, datafile in ({} if row is None else corrections.of_arrays(row)).items():
        if field in given.arrays and field in dropped:
            fault(field, "is given and taken back at once")
        elif field in dropped and field not in made.arrays:
            made.arrays[field] = GivenArray(given.forms[field], datafile.id, is_taken_back=True)
    return made, columns

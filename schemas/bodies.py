"""JSON bodies, strictly: what could be read in two ways is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from marshmallow import ValidationError

MAX_DIGITS = 400
"""Of one number; no float64 needs more."""


def parsed(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises
    ------
    ValidationError
        Unless it is one JSON object in UTF-8, without numbers beyond float64, keys that stand twice in one object,
        or text that is not Unicode.
    """
    try:
        text = content.decode("utf-8")
        found = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise _invalid("it is not UTF-8") from error
    except RecursionError as error:
        raise _invalid("it is nested too deeply") from error
    except ValueError as error:
        raise _invalid(str(error)) from error
    if not isinstance(found, dict):
        raise _invalid('it is not an object such as {"name": "a block"}')
    if "\\u" in text:  # only escapes can make half a character
        _require_unicode(found)
    return found


def _invalid(reason: str) -> ValidationError:
    return ValidationError({"body": [f"is not JSON that can be taken: {reason}"]})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice[:40]!r} stands twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{text[:20]}… has more than {MAX_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    found = float(text)
    if found in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is beyond float64")
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON; null stands for no number")


def _require_unicode(found: dict[str, Any]) -> None:
    """Raise ValidationError where half a character stands anywhere in a value."""
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _invalid("it has half of a surrogate pair, which is no character") from error

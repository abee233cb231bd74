"""JSON bodies, strictly: what could be read in two ways is refused."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any, NoReturn

from marshmallow import ValidationError

MAX_DIGITS = 400
"""Of one number; no float64 needs more."""
MAX_DEPTH = 32


def parsed(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises
    ------
    ValidationError
        Unless it is one JSON object in UTF-8, without numbers beyond float64, keys that stand twice in one object,
        or text that is not Unicode.
    """
    try:
        found = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
        _require_shallow(found)
        if b"\\u" in content:  # only escapes can make half a character
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid("it is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise _invalid("it has half of a surrogate pair, which is no character") from error
    except RecursionError as error:
        raise _invalid("it is nested too deeply") from error
    except ValueError as error:
        raise _invalid(str(error)) from error
    if not isinstance(found, dict):
        raise _invalid('it is not an object such as {"name": "a block"}')
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


def _require_shallow(found: Any) -> None:
    """Raise ValueError for what is nested so deeply that no field takes it, and that working on it may fail."""
    level = [found]
    for _ in range(MAX_DEPTH):
        inner = [one for one in level if isinstance(one, dict | list)]
        if not inner:
            return
        level = list(chain.from_iterable(one.values() if isinstance(one, dict) else one for one in inner))
    raise ValueError(f"it is nested too deeply: more than {MAX_DEPTH} levels")

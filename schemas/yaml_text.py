"""YAML as text, lists and dictionaries of them: nothing in it is taken for a date, a truth or a program."""

from __future__ import annotations

from typing import Any

import yaml
from marshmallow import ValidationError

MAX_NBYTES = 256 * 1024
MAX_DEPTH = 20


def load(content: bytes) -> Any:
    """Return what YAML says; every scalar is text, as it is written.

    Raises
    ------
    ValidationError
        If it is longer than 256 KiB, no YAML, has an alias (a few of which can stand for a billion values), a key
        twice, or a type of its own.
    """
    if len(content) > MAX_NBYTES:
        raise ValidationError(f"it has more than {MAX_NBYTES >> 10} KiB")
    try:
        return yaml.load(content.decode(), _Loader)
    except UnicodeDecodeError as error:
        raise ValidationError("it is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f" (line {mark.line + 1})"
        raise ValidationError(f"it is not YAML: {error.problem or error.context}{where}") from error
    except yaml.YAMLError as error:
        raise ValidationError(f"it is not YAML: {str(error).partition(chr(10))[0]}") from error


class _Loader(yaml.BaseLoader):
    """Takes all scalars for text."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return one node; aliases and types are refused before anything is made of them."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        is_alias = isinstance(event, yaml.AliasEvent)
        if is_alias:
            raise yaml.MarkedYAMLError(problem="it has an alias, which is not allowed", problem_mark=event.start_mark)
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.MarkedYAMLError(problem="it has a type (!), which is not allowed", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="it is nested too deeply", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a dictionary whose keys are text, each once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is not text", problem_mark=key.start_mark)
            if key.value in seen:
                problem = f"the key {key.value[:40]!r} is there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

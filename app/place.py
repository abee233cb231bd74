"""The places that commands are told: paths, URLs, places in named stores."""

from __future__ import annotations

from typing import Any

import click

from storage.ingest.found import written_out
from storage.stores.backend import is_unicode
from storage.stores.folder import NOT_UNICODE


class Place(click.ParamType[str]):
    """What ``url_of`` takes."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no catalog can hold."""
        if not is_unicode(value):
            self.fail(f"{written_out(value)}: {NOT_UNICODE}", param, ctx)
        return str(value)


PLACE = Place()

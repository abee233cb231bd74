"""kerchunk's references to the chunks of a file."""

from __future__ import annotations

import json
from pathlib import Path


def write_references(file: Path, url: str, path: Path) -> None:
    """Write where each chunk lies, for a file that will be read at ``url``."""
    from kerchunk.hdf import SingleHdf5ToZarr

    with file.open("rb") as content:
        references = SingleHdf5ToZarr(content, url).translate()
    path.write_text(json.dumps(references))

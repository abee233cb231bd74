"""Links to a slice of an array: what the second request of "Access data" asks."""

from __future__ import annotations

from schemas.numbers import written_channels
from schemas.permalinks import datafile_permalink
from storage.slices import ArraySlice


def datafile_link(datafile_id: int, asked: ArraySlice, *, format: str | None, scaled: bool) -> str:
    """Return the link of one array; defaults are left out, so that a whole array is its plain permalink.

    References
    ----------
    G-Node Data API, "Working with Arrays": "then request an appropriate data slice using the link in the
    response (in this case “/datafiles/2177?start_index=1000&end_index=3001&downsample=20”)".
    """
    selection = asked.selection
    parts = {
        "start_index": None if selection is None else selection.start,
        "end_index": None if selection is None else selection.stop,
        "downsample": asked.downsample,
        "method": asked.method,
        "channels": None if asked.channels is None else written_channels(asked.channels),
        "format": None if format == "hdf5" else format,
        "beside": asked.beside,
        "entry": asked.entry,
        "scaled": None if scaled else 0,
    }
    query = "&".join(f"{name}={value}" for name, value in parts.items() if value is not None)
    return datafile_permalink(datafile_id) + ("?" + query if query else "")

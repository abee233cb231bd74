"""What readers of other formats tell, without a process around them: for tests of what they say, not of walls."""

from __future__ import annotations

from functools import cache

import numpy as np

from storage.ingest.vendor import readers
from storage.ingest.vendor.files import RecordingFiles
from storage.ingest.vendor.telling import Recording


class Recorded:
    """Keeps what is told."""

    def __init__(self):
        self.arrays, self.rows, self.objects, self.refusals, self.done = {}, {}, [], [], 0

    def add_array(self, array):
        self.arrays[array.source_path] = array
        self.rows[array.source_path] = [np.empty((0, *array.shape[1:]), array.dtype)]

    def add_rows(self, source_path, rows):
        assert rows.dtype == self.arrays[source_path].dtype
        self.rows[source_path].append(rows)

    def add_object(self, one):
        assert all(path in self.arrays for path in one.arrays.values())
        self.objects.append(one)

    def refuse(self, path, reason):
        self.refusals.append((path, reason))

    def tell(self, done):
        assert done >= self.done
        self.done = done

    def of(self, type_name):
        return [one for one in self.objects if one.type_name == type_name]

    def stored(self, path):
        rows = np.concatenate(self.rows[path])
        assert rows.shape == self.arrays[path].shape
        return rows

    def values(self, path):
        """Samples in their unit."""
        rows, calibration = self.stored(path), self.arrays[path].calibration
        return rows if calibration is None else calibration.apply(rows, None)

    def signals(self):
        """Unit, start, rate and samples of each channel, by segment and name."""
        found = {}
        for one in self.of("analogsignal") + self.of("analogsignalarray"):
            array = self.arrays[one.arrays["signal"]]
            columns = self.values(array.source_path).reshape(array.shape[0], -1)
            names = array.channel_names or [one.fields["name"]]
            for name, column in zip(names, columns.T, strict=True):
                place = one.parents["segment"], name
                while place in found:
                    place = (*place, "again")
                found[place] = array.units, one.fields["t_start"], one.fields["sampling_rate"], column
        return found

    def events(self, type_name="eventarray"):
        """Times and labels of each, by segment and name."""
        found = {}
        for one in self.of(type_name):
            labels = [text.decode() for text in self.stored(one.arrays["labels"])]
            times = self.values(one.arrays["times"]).tolist()
            found[one.parents["segment"], one.fields["annotations"]["name"]] = list(zip(times, labels, strict=True))
        return found


@cache
def _loaded():
    readers.load()


def read(kind, contents, primary):
    """Return what the reader of a format tells of files, given as bytes by name."""
    _loaded()
    fetch = {
        name: lambda ranges, content=content: [content[one.byte_offset : one.end] for one in ranges]
        for name, content in contents.items()
    }
    files = RecordingFiles.of(fetch, {name: len(content) for name, content in contents.items()})
    recorded = Recorded()
    readers.read(kind, files, primary, Recording(recorded, primary.rpartition(".")[0]))
    return recorded

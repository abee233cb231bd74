"""How much one file may cost, and how much of it is believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process that parses one file may use, and what the parent takes from it.

    The defaults let an index of ten million chunks through, and times of a few gigabytes.
    """

    memory_nbytes: int = 1 * GIBIBYTE
    """Address space beyond that of the process it is forked from."""
    cpu_s: int = 60
    """Processor time, beyond what the length of the file allows."""
    file_nbytes_per_cpu_s: int = 25 * MEBIBYTE
    """A file this long may cost one more second: times are read from end to end."""
    wall_s: float = 600.0
    """All time together, that of the store included."""
    file_reads: int = 4
    """How often the whole file may be fetched, …"""
    more_fetched_nbytes: int = 256 * MEBIBYTE
    """… and how much beyond that."""
    range_nbytes: int = 4096
    """What a range counts at least: a store takes money for each."""
    request_ranges: int = 4096
    """Ranges in one request."""
    request_nbytes: int = 64 * MEBIBYTE
    """Bytes in one request."""
    output_nbytes: int = 256 * MEBIBYTE
    """All that the process says, requests and progress included."""
    message_nbytes: int = 4 * MEBIBYTE
    """JSON of one message; arrays beside it count as output only."""
    chunk_nbytes: int = 128 * MEBIBYTE
    """One chunk of a dataset, decoded."""
    coefficients: int = 32
    """Of a polynomial: each costs as much time as reading a sample takes at least."""
    all_coefficients: int = 1 << 16
    """Of the polynomials of all channels of an array."""
    row_nbytes: int = 16 * MEBIBYTE
    """One sample of a dataset: reading takes at least one."""
    row_items: int = 1 << 20
    """Numbers, or texts, in one sample of a dataset."""
    columns: int = 1 << 16
    """Of a two-dimensional dataset."""
    chunk_row_nbytes: int = 256 * MEBIBYTE
    """All chunks that hold one sample, decoded: reading may need all of them at once."""
    dataset_nbytes: int = 1 << 46
    """A whole dataset, decoded."""
    unbacked_nbytes: int = 16 * GIBIBYTE
    """Samples that the file does not hold the bytes of, …"""
    grows_to: int = 2000
    """… beside this many for each byte of the file: deflate packs a thousand into one."""
    item_nbytes: int = 1 * MEBIBYTE
    """One element of a dataset: the longest string."""
    inline_nbytes: int = 64 * MEBIBYTE
    """Samples that are copied, of one dataset."""
    axes: int = 32
    """Of a dataset."""
    filters: int = 32
    """Of a dataset."""
    items: int = 250_000
    """Objects, and arrays, and datasets, of one file: so many of each."""
    containers: int = 2_000_000
    """Lists and dictionaries in the annotations of all objects together."""
    refusals: int = 10_000
    """What of a file is told to be left out."""
    path_nbytes: int = 2500
    """Of a path or a name; longer ones have no place in an index of the catalog."""
    label_length: int = 500
    """Characters of what is only shown: a unit, the name of a channel, the path of what is refused."""
    reason_length: int = 1000
    """Characters of why something is refused."""
    identity_length: int = 255
    """Characters of what a file calls itself."""
    text_length: int = 8192
    """Characters of one annotation."""

    imported_grows_to: int = 8
    """Samples of an imported file: so many bytes for each of its own, …"""
    imported_more_nbytes: int = 64 * MEBIBYTE
    """… and so many beyond that."""
    import_reads: int = 16
    """How often all of an imported file may be fetched: formats that mix channels are read channel by channel."""
    imported_nbytes_per_s: int = 2 * MEBIBYTE
    """A file this long may take one more second to import: all of it is read and written."""
    open_arrays: int = 4096
    """Arrays of an imported file whose samples come at the same time."""

    def imported_nbytes_for(self, file_nbytes: int) -> int:
        """Return how many bytes of samples may be made of a file that is imported."""
        return self.imported_grows_to * file_nbytes + self.imported_more_nbytes

    def for_import(self, file_nbytes: int) -> Limits:
        """Return these limits as they are for importing a file: with what reading all of it takes."""
        wall_s = self.wall_s + file_nbytes / self.imported_nbytes_per_s
        return replace(self, wall_s=wall_s, file_reads=self.import_reads)

    def cpu_s_for(self, file_nbytes: int) -> int:
        """Return how many seconds of processor time a file may cost."""
        return int(min(self.cpu_s + file_nbytes // self.file_nbytes_per_cpu_s, max(self.wall_s, self.cpu_s)))

    def fetched_nbytes_for(self, file_nbytes: int) -> int:
        """Return how many bytes of a file may be fetched."""
        return self.file_reads * file_nbytes + self.more_fetched_nbytes

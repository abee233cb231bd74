"""An array as a response: what is asked of it, in which form, and the plan for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from flask import Response, request

from app.conditional import tag
from app.encoders import ENCODERS, MEDIA_TYPES
from app.encoders.form import Attribute, Body, Form
from app.long_answers import LONG_NBYTES
from app.services import Services
from app.timing import server_timing
from schemas.queries import ArrayQuery
from storage.answer import Answer, StoredArray, prepare
from storage.catalog import overviews
from storage.catalog.arrays import known_array
from storage.catalog.files import READY, Datafile
from storage.catalog.models import Spike
from storage.catalog.uses import Use
from storage.errors import OverviewGone, OverviewNeeded, SelectionError, TooLarge
from storage.hdf5.chunk import Samples
from storage.overviews.zoom import Zoom
from storage.ranges import ByteRange
from storage.selection import RegularAxis, TimeAxis
from storage.slices import (
    answered_rate,
    datafile_axis,
    default_method,
    request_of,
    slice_datafile,
)
from storage.timings import Timings

MAX_RANGES_TOLD = 1000
MAX_CHANNELS_TOLD = 1 << 16
LARGE_CHUNK_NBYTES = 16 << 20
"""Of arrays with larger chunks only few are read at once: decoding one takes several times its length."""

TEXTS, TEXT_GROWS = ("json", "csv"), 4
"""Formats in which values are longer than in memory, and how much, about."""
SUFFIXES = {"hdf5": "h5", "npy": "npy", "csv": "csv"}
"""Formats that a browser should save rather than show."""


@dataclass(frozen=True, slots=True)
class ArrayAnswer:
    """An array's answer before any sample of it is read."""

    datafile: Datafile
    answer: Answer
    form: Form
    format: str
    etag: str
    zoom: Zoom | None
    """How it is made of an overview; None where it is made of samples."""

    def response(self, services: Services) -> Response:
        """Read the first window, so that what cannot be read is an error and not half an array; then stream."""
        if request.method == "HEAD":
            return self._headed(Response(iter(())), ENCODERS[self.format](self.form, iter(())))
        if self.answer.chunk_nbytes > LARGE_CHUNK_NBYTES:
            return services.answers_of_large_chunks.place().hold_for(lambda: self._answered(services))
        return self._answered(services)

    def _answered(self, services: Services) -> Response:
        self._require_overview(services)
        if self._is_long:
            return services.long_answers.place().hold_for(lambda: self._begun(services))
        return self._begun(services)

    def _require_overview(self, services: Services) -> None:
        """Raise where so many samples would be read for points that an overview must be made first, or TooLarge."""
        limit = services.settings.samples_nbytes
        if self.zoom is not None or not services.reader.is_spared(self.answer) or self.answer.nbytes_read <= limit:
            return
        services.store.stat(self.answer.array.dataset.file)  # of what is gone no overview can be made
        done = None
        if self.answer.array.overview is None:  # else the one that there is does not serve for this
            is_wanted = services.settings.overviews.form(self.answer.array, has_sums=True) is not None
            with services.transaction() as session:
                done = overviews.hurry(session, self.datafile.id, is_wanted=is_wanted)
        if done is None:
            nbytes = self.answer.nbytes_read
            reason = f"for these points {nbytes:,} bytes of samples would be read, more than {limit:,}"
            raise TooLarge(f"{self.datafile.name} has no overview for this, and {reason}; ask for a shorter stretch")
        services.wake()
        raise OverviewNeeded(self.datafile.name, done)

    @property
    def _is_long(self) -> bool:
        """Whether it may hold its thread for as long as its caller takes."""
        grows = TEXT_GROWS if self.format in TEXTS else 1
        nbytes_read = self.answer.nbytes_read if self.zoom is None else self.zoom.nbytes_read
        return max(nbytes_read, grows * self.form.nbytes) > LONG_NBYTES

    def _begun(self, services: Services) -> Response:
        began = time.perf_counter()
        windows = services.reader.read(self.answer)
        try:
            first = list(_first(windows))
        except OverviewGone:
            with services.transaction() as session:
                overviews.lose(session, self.datafile.id)
            raise OverviewNeeded(self.datafile.name, 0.0) from None
        self.answer.timings.seconds["encode"] = max(
            0.0, time.perf_counter() - began - sum(self.answer.timings.seconds.values())
        )
        body = ENCODERS[self.format](self.form, chain(first, windows))
        return self._headed(Response(body.content), body)

    def plan(self, services: Services) -> dict[str, Any]:
        """Return what reading would cost, were nothing cached."""
        with services.long_answers.place() if self._is_long else nullcontext():
            plan = services.reader.plan(self.answer)
            zoomed = None if self.zoom is None else services.reader.plan_zoom(self.zoom)
        asked = self.answer.request
        taken = plan if zoomed is None else zoomed.samples
        records = [] if zoomed is None else zoomed.records
        return {
            "selection": [asked.selection.start, asked.selection.stop],
            "points": self.form.shape[0],
            "method": asked.method if asked.points is not None else None,
            "level": None if self.zoom is None else self.zoom.bins.grain,
            "chunks": taken.n_chunks,
            "requests": len(taken.ranges) + len(records),
            "byte_ranges": _told(taken.ranges),
            "overview_byte_ranges": _told(records),
            "nbytes_fetched": _nbytes(taken.ranges) + _nbytes(records),
            "from_samples": {
                "chunks": plan.n_chunks,
                "requests": len(plan.ranges),
                "nbytes_fetched": _nbytes(plan.ranges),
            },
            "nbytes_answered": ENCODERS[self.format](self.form, iter(())).nbytes,
            "nbytes_of_values": self.form.nbytes,
            "shape": list(self.form.shape),
        }

    def _headed(self, response: Response, body: Body) -> Response:
        response.content_type = body.media_type
        if body.nbytes is not None:
            response.content_length = body.nbytes
        response.headers["Server-Timing"] = server_timing(self.answer.timings)
        if self.format in SUFFIXES:
            name = f"datafile-{self.datafile.id}.{SUFFIXES[self.format]}"
            response.headers["Content-Disposition"] = f"attachment; filename={name}"
        return response


def answer_array(datafile: Datafile, uses: Sequence[Use], query: ArrayQuery, services: Services) -> ArrayAnswer:
    """Work out the answer to what was asked of a datafile.

    Parameters
    ----------
    datafile : Datafile
    uses : sequence of Use
        By objects that the caller may read.
    query : ArrayQuery
    services : Services

    Raises
    ------
    SelectionError
        If the query has no meaning for this array.

    References
    ----------
    G-Node Data API, "Working with Arrays": "you access the datafile directly using the reference from previous
    response".
    """
    timings = Timings()
    array = known_array(datafile)
    sliced = [use for use in uses if use.type_name != Spike.type_name]
    if uses and not sliced and not query.slice.is_empty:
        raise SelectionError("the waveform of a spike is short and not sliced", *query.slice.range_parameters)
    axis = datafile_axis(array, sliced, services.reader, timings)
    asked = slice_datafile(array, query.slice, axis, services.reader, beside=query.beside, entry=query.entry)
    method = default_method([use.field for use in uses], array)
    is_sorted = datafile.state == READY and bool(uses) and all(use.field == use.time_field for use in uses)
    asked_of_reader = replace(request_of(array, asked, method, scaled=query.scaled), is_sorted=is_sorted)
    answer = prepare(array, asked_of_reader, timings)
    form = Form(datafile.guid, answer.shape, answer.dtype, _attributes(datafile, array, answer, axis, sliced))
    format = query.format or _accepted() or "hdf5"
    etag = tag(form, asked, answer.request, format)
    return ArrayAnswer(datafile, answer, form, format, etag, services.reader.zoom(answer))


def _accepted() -> str | None:
    """Return the format whose media type the caller names, and no other."""
    return MEDIA_TYPES.get(request.headers.get("Accept", "").strip().lower())


def _attributes(
    datafile: Datafile, array: StoredArray, answer: Answer, axis: TimeAxis, uses: Sequence[Use]
) -> dict[str, Attribute]:
    """Return what is told on the dataset, by the names of the contract."""
    asked, selection = answer.request, answer.request.selection
    told: dict[str, Attribute] = {} if datafile.units is None else {"units": datafile.units}
    if isinstance(axis, RegularAxis):
        use = uses[0]
        rate = use.sampling_rate
        if asked.points is not None:
            rate = answered_rate(rate, answer.shape[0], len(selection))
        told |= {
            "t_start": float(axis.time_of(selection.start)),
            "t_start_units": use.t_start_units,
            "sampling_rate": float(rate),
            "sampling_rate_units": use.sampling_rate_units,
        }
    told |= {"start_index": selection.start, "end_index": selection.stop}
    if asked.points is not None:
        told["method"] = asked.method
    if len(array.shape) == 2 and (asked.channels or array.shape[1] <= MAX_CHANNELS_TOLD):
        channels = list(asked.channels or range(array.shape[1]))
        told["channels"] = channels
        if datafile.channel_names is not None:
            told["channel_names"] = [datafile.channel_names[channel] for channel in channels]
    if not asked.scaled and array.calibration is not None:
        told |= array.calibration.told(asked.channels)
    return told


def _told(ranges: Sequence[ByteRange]) -> list[list[int]]:
    return [[part.byte_offset, part.nbytes] for part in ranges[:MAX_RANGES_TOLD]]


def _nbytes(ranges: Sequence[ByteRange]) -> int:
    return sum(part.nbytes for part in ranges)


def _first(windows: Iterator[Samples]) -> Iterator[Samples]:
    """Yield the first window, if there is one."""
    for window in windows:
        yield window
        return

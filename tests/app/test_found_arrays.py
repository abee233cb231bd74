"""Arrays as formats find them: channels down, and polynomials; what the service answers of them."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from sqlalchemy.orm import Session

from storage.calibration import Polynomial
from storage.catalog.base import PUBLIC
from storage.catalog.files import StoredFile
from storage.ingest import sidecars
from storage.ingest.found import Found, FoundObject
from storage.ingest.places import url_of
from storage.ingest.record import Recording
from storage.ingest.sandbox import findings
from storage.ingest.sandbox.limits import Limits
from tests.archive import Archive

NUMBERS = np.random.default_rng(2).integers(-9999, 9999, (3, 1000), dtype="<i4")
RATE = {"t_start": 0.0, "t_start_units": "s", "sampling_rate": 1.0, "sampling_rate_units": "kHz"}


@pytest.fixture(
    params=[{}, {"chunks": (2, 128), "compression": "gzip", "shuffle": True}], ids=["contiguous", "chunked"]
)
def archive(request, tmp_path):
    """Serves a dataset of channels × samples, of which each channel has a polynomial."""
    archive = Archive(tmp_path)
    path = tmp_path / "down.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("down", data=NUMBERS, **request.param)
    with h5py.File(path) as file:
        found = Found()
        told = {"calibration": CURVE, "channel_names": ["a", "b", "c"], "is_transposed": True}
        signal = found.whole(found.describe(file["down"]), "down", "mV", **told)
    found.objects.append(FoundObject("analogsignalarray", "/", {**RATE, "annotations": {}}, {}, {"signal": signal}))
    fit = findings.fit(found, path.stat().st_size, Limits())
    assert fit.refusals == []
    services, url = archive.services, url_of(str(path))
    stat = services.store.stat(url)
    stored = {name: sidecars.put(services.store, services.engine, fit, name) for name in fit.datasets}
    with Session(services.engine.execution_options(writes=True)) as session, session.begin():
        row = StoredFile(name=url, pin=stat.pin, nbytes=stat.nbytes)
        session.add(row)
        session.flush()
        Recording(session, row, None, PUBLIC, True).write(fit, stored)
    return archive


CURVE = Polynomial(((1.0, 0.5, 1e-4), (0.0, -2.0, 0.0), (3.0, 0.0, 0.25)), (0.0, 10.0, 1.0))
QUANTITIES = CURVE.apply(NUMBERS.T, None)


def test_samples_go_down_and_channels_across(archive):
    fields = archive.fields("/electrophysiology/analogsignalarray/1/?start_time=0.1&end_time=0.2")
    assert fields["signal"]["shape"] == [1000, 3] and fields["signal"]["dtype"] == "float64"
    link = fields["signal"]["data"]
    np.testing.assert_array_equal(archive.values(link), QUANTITIES[100:201])
    np.testing.assert_array_equal(archive.values(f"{link}&channels=2,0"), QUANTITIES[100:201, [2, 0]])
    assert archive.values(f"{link}&scaled=0") == NUMBERS.T[100:201].tolist()
    info = archive.fields("/datafiles/1/info/")
    assert info["shape"] == [1000, 3]


def test_extrema_are_those_of_quantities(archive):
    points = archive.values("/datafiles/1?downsample=20&method=extrema")
    bins = QUANTITIES.reshape(10, 100, 3)
    np.testing.assert_array_equal(points, np.stack([bins.min(axis=1), bins.max(axis=1)], axis=1).reshape(20, 3))
    np.testing.assert_allclose(archive.values("/datafiles/1?downsample=10"), bins.mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("channels", [(0, 1, 2), (2,), (1, 0)])
def test_stored_numbers_come_with_what_makes_quantities_of_them(archive, channels):
    asked = ",".join(map(str, channels))
    content = archive.get(f"/datafiles/1?scaled=0&channels={asked}&end_index=50&start_index=3").data
    with h5py.File(io.BytesIO(content)) as file:
        (dataset,) = file.values()
        rows = np.atleast_2d(dataset.attrs["polynomial"])
        again = Polynomial(tuple(map(tuple, rows)), tuple(np.atleast_1d(dataset.attrs["polynomial_origin"])))
        np.testing.assert_array_equal(again.apply(dataset[()], None), QUANTITIES[3:50, list(channels)])
        assert list(dataset.attrs["channel_names"]) == ["abc"[channel] for channel in channels]


@pytest.mark.parametrize("format", ["npy", "csv", "json"])
def test_other_formats_have_the_same_values(archive, format):
    content = archive.get(f"/datafiles/1?format={format}&start_index=990&end_index=1000").data
    if format == "npy":
        np.testing.assert_array_equal(np.load(io.BytesIO(content)), QUANTITIES[990:])
    elif format == "csv":
        last = content.decode().splitlines()[-1].split(",")
        assert [float(value) for value in last[-3:]] == QUANTITIES[-1].tolist()


def test_a_plan_tells_of_samples(archive):
    (plan,) = archive.get("/datafiles/1?start_index=0&end_index=10&channels=1&explain=1").json["selected"]
    assert plan["shape"] == [10, 1] and plan["requests"] == 1
    if plan["chunks"] == 0:
        assert plan["nbytes_fetched"] == 40

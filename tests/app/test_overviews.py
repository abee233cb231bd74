"""Overviews: made by a worker, used for points, told of, dropped with what they are of."""

from __future__ import annotations

import os
from datetime import timedelta

import h5py
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalog import queue
from storage.catalog.base import moment
from storage.catalog.files import Datafile
from storage.catalog.jobs import OVERVIEW, Job
from storage.downsample import Bins, entry_sizes
from storage.jobs import overview as making
from storage.jobs.overview import ask_for_missing
from storage.jobs.steps import steps
from storage.jobs.worker import Worker
from storage.overviews import build
from storage.uploads.abandoned import remove_abandoned
from storage.uploads.tidy import find_stray
from tests.archive import Archive

RATE_HZ = 20_000
N_SAMPLES = RATE_HZ * 600
RNG = np.random.default_rng(6)


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url, EPHYSTORE_OVERVIEW_FROM_MB="1")


def work(archive):
    """What a worker does until there is nothing left."""
    found = archive.services
    done = steps(found.store, found.engine, overviews=found.settings.overviews)
    with Worker(found.engine, done, lease=timedelta(seconds=60), bulk_places=2) as worker:
        n_done = worker.drain()
        ask_for_missing(found.engine, found.settings.overviews)
        return n_done + worker.drain()


def noise(n_samples, *across):
    return RNG.integers(-300, 300, (n_samples, *across)).astype("<i2")


def link_of(fields):
    return fields["signal"]["data"]


def info(archive, link):
    return archive.get(f"{link.partition('?')[0]}/info/").json["selected"][0]["fields"]


def plan(archive, link):
    return archive.get(f"{link}&explain=1").json["selected"][0]


def jobs(archive):
    with Session(archive.services.engine) as session:
        return list(session.scalars(select(Job).where(Job.kind == OVERVIEW).order_by(Job.id)))


def row(archive, id_=1):
    with Session(archive.services.engine) as session:
        return session.get_one(Datafile, id_)


def test_no_spike_of_one_sample_is_lost_at_any_zoom(archive):
    samples = noise(N_SAMPLES)
    places = np.sort(RNG.choice(N_SAMPLES, 300, replace=False))
    samples[places] = 1000 + np.arange(300)
    link = link_of(archive.add("rat", samples, sampling_rate=(RATE_HZ, "Hz"), units="uV"))
    assert work(archive) == 1
    zooms = [(0, N_SAMPLES), (12_345, N_SAMPLES - 54_321), (places[0], places[-1] + 1), (5_000_001, 6_500_002)]
    for start, stop in zooms:
        inside = places[(places >= start) & (places < stop)]
        for points in (2000, 500, 20):
            asked = f"{link}?start_index={start}&end_index={stop}&downsample={points}&method=extrema"
            assert plan(archive, asked)["level"] is not None
            maxima = np.array(archive.values(asked)[1::2])
            edges = Bins.of(int(start), int(stop), points // 2, entry_sizes(N_SAMPLES, 64)).edges(0, points // 2)
            bins = np.searchsorted(edges, inside, side="right") - 1
            highest = {number: samples[inside[bins == number]].max() for number in set(bins.tolist())}
            assert all(maxima[number] == height for number, height in highest.items()) and len(highest) > 1
            if points == 2000:
                assert len(highest) > 0.8 * len(inside)


def test_points_and_what_is_told_of_the_array(archive, tmp_path):
    samples = noise(400_000, 3)
    samples[1234, 1], samples[77, 0] = 9000, -8000
    link = link_of(archive.add("rat", samples, units="uV"))
    asked = f"{link}?start_index=1001&end_index=399001&downsample=400&method=extrema&channels=2,0"
    before = archive.values(asked)
    told = plan(archive, asked)
    assert told["level"] is None and told["requests"] == told["from_samples"]["requests"]
    assert info(archive, link)["minimum"] is info(archive, link)["overview_entry"] is None
    etag = archive.get(asked).headers["ETag"]
    assert work(archive) == 1
    assert archive.values(asked) == before and archive.get(asked).headers["ETag"] == etag
    told = plan(archive, asked)
    assert told["level"] == 64 and told["nbytes_fetched"] < told["from_samples"]["nbytes_fetched"] / 5
    assert told["overview_byte_ranges"]
    fields = info(archive, link)
    assert (fields["minimum"], fields["maximum"], fields["overview_entry"]) == (-8000, 9000, 64)
    with h5py.File(archive.services.store.open_local(row(archive).overview)) as file:
        np.testing.assert_array_equal(file["extrema_64"][:, :, 1], samples.reshape(-1, 64, 3).max(axis=1))
        np.testing.assert_array_equal(file["sums_64"], samples.reshape(-1, 64, 3).sum(axis=1))


def test_a_changed_file_gets_another_and_a_file_that_goes_takes_its_overview_along(archive, tmp_path):
    fields = archive.add("rat", noise(1_000_000))
    assert work(archive) == 1
    first = row(archive).overview
    changed = noise(1_200_000)
    archive.add("rat", changed)
    assert row(archive).overview is None and row(archive).overview_state is None
    asked = f"{link_of(fields)}?downsample=100&method=extrema"
    expected = archive.values(asked)
    assert work(archive) == 1
    second = row(archive).overview
    assert second not in (None, first) and archive.values(asked) == expected
    services = archive.services
    assert find_stray(services.store, services.engine)[0] == []
    run = archive.app.test_cli_runner().invoke
    assert run(args=["unregister", str(archive.folder / "rat.h5")]).exit_code == 0
    remove_abandoned(services.store, services.engine, moment() + timedelta(hours=2))
    assert not services.store.find_all("sidecars")


def test_coarser_ones_take_less_and_answer_the_same(tmp_path, database_url):
    archive = Archive(
        tmp_path, EPHYSTORE_DATABASE_URL=database_url, EPHYSTORE_OVERVIEW_FROM_MB="1", EPHYSTORE_OVERVIEW_COARSER="1"
    )
    fields = archive.add("rat", noise(2_000_000))
    asked = [f"{link_of(fields)}?downsample={points}&method=extrema" for points in (100, 2000)]
    before = [archive.values(one) for one in asked]
    assert work(archive) == 1
    assert [archive.values(one) for one in asked] == before
    assert [plan(archive, one)["level"] for one in asked] == [4096, None]


def test_one_that_was_stopped_goes_on_where_it_was(archive, monkeypatch):
    monkeypatch.setattr(build, "STRIP_NBYTES", 1 << 18)
    monkeypatch.setattr(making, "CHECKPOINT_NBYTES", 1 << 18)
    samples = noise(2_000_000)
    samples[5] = 999
    fields = archive.add("rat", samples)
    expected = archive.values(f"{link_of(fields)}?downsample=100&method=extrema")
    n_told = 0
    tell = making.Held.tell

    def stop_in_the_middle(self, done):
        nonlocal n_told
        n_told += 1
        if done > 0.5:
            raise queue.Lost("killed")
        tell(self, done)

    monkeypatch.setattr(making.Held, "tell", stop_in_the_middle)
    work(archive)
    monkeypatch.setattr(making.Held, "tell", tell)
    with Session(archive.services.engine.execution_options(writes=True)) as session, session.begin():
        (job,) = session.scalars(select(Job).where(Job.kind == OVERVIEW))
        assert job.state == "running" and len(job.options["parts"]) >= 2
        job.lease_until = moment() - timedelta(seconds=1)
    read = []
    read_runs = build.DatasetReader.read_runs

    def counted(self, dataset, runs, *more, **options):
        read.extend(runs)
        return read_runs(self, dataset, runs, *more, **options)

    monkeypatch.setattr(build.DatasetReader, "read_runs", counted)
    assert work(archive) == 1
    assert min(start for start, _ in read) > 500_000
    assert archive.values(f"{link_of(fields)}?downsample=100&method=extrema") == expected
    assert info(archive, link_of(fields))["maximum"] == 999
    services = archive.services
    remove_abandoned(services.store, services.engine, moment() + timedelta(hours=2))
    assert services.store.find_all("sidecars") == {row(archive).overview, row(archive).sidecar} - {None}


def test_one_that_is_gone_from_the_store_is_made_anew(archive):
    fields = archive.add("rat", noise(2_000_000))
    work(archive)
    asked = f"{link_of(fields)}?downsample=100&method=extrema"
    expected = archive.values(asked)
    archive.services.store.remove(row(archive).overview)
    assert archive.get(asked).json["message_type"] == "overview_needed"
    assert archive.values(asked) == expected  # by samples
    assert work(archive) == 1 and plan(archive, asked)["level"] and archive.values(asked) == expected


def test_irregular_signals_have_one_of_their_times_as_well(archive, tmp_path):
    times = np.cumsum(RNG.random(300_000))
    with h5py.File(tmp_path / "x.nwb", "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.6.0")
        group = file.create_group("acquisition/x")
        group.attrs["neurodata_type"] = "TimeSeries"
        group.create_dataset("data", data=noise(300_000), chunks=(10_000,)).attrs["unit"] = "V"
        group.create_dataset("timestamps", data=times, chunks=(10_000,))
    archive.register(tmp_path / "x.nwb", safety_level=1)
    link = "/electrophysiology/irsaanalogsignal/1/?downsample=200&method=extrema&start_index=5000&end_index=280001"
    fields = archive.fields(link)
    before = [archive.values(fields[name]["data"]) for name in ("times", "signal")]
    work(archive)
    assert {job.message for job in jobs(archive)} == {"made"} and len(jobs(archive)) == 1  # of times: 2.4 MB
    after = archive.fields(link)
    assert [archive.values(after[name]["data"]) for name in ("times", "signal")] == before
    assert plan(archive, after["times"]["data"])["level"] == 256
    with Session(archive.services.engine) as session:
        (form,) = [one.overview_form for one in session.scalars(select(Datafile)) if one.overview is not None]
    assert not form["has_sums"]


def test_an_estimate_and_making_them_from_a_terminal(archive):
    archive.add("rat", noise(2_000_000))
    archive.add("small", noise(1000))
    run = archive.app.test_cli_runner().invoke
    said = run(args=["overview", "--estimate"]).output
    assert "1 overviews take about" in said and "(8.3%)" in said and "1 arrays are left out" in said
    assert row(archive).overview is None
    result = run(args=["overview"])
    assert result.exit_code == 0 and "made  1 overviews" in result.output, result.output
    assert row(archive).overview is not None
    assert "made  0 overviews" in run(args=["overview"]).output
    before = row(archive).overview
    assert "made  1 overviews" in run(args=["overview", "--anew", "1"]).output
    assert row(archive).overview != before


def test_another_meaning_of_the_same_numbers_is_another_extent(archive, tmp_path):
    samples = noise(1_000_000)
    samples[7], samples[8] = 2000, -1000
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("inner")["x"] = samples
    mapping = "arrays: [{{dataset: /inner/x, type: analogsignal, sampling_rate: 20 kHz, units: uV, "
    mapping += "calibration: {{gain: {}}}}}]"
    run = archive.app.test_cli_runner().invoke
    for gain, extent in ((1, [-1000, 2000]), (-0.5, [-1000, 500])):
        (tmp_path / "map.yaml").write_text(mapping.format(gain))
        said = run(
            args=["register", "--safety-level", "1", "--map", str(tmp_path / "map.yaml"), str(tmp_path / "a.h5")]
        )
        assert said.exit_code == 0, said.output
        assert info(archive, "/datafiles/1")["minimum"] is None
        assert work(archive) == 1
        fields = info(archive, "/datafiles/1")
        assert [fields["minimum"], fields["maximum"]] == extent
        points = archive.values("/datafiles/1?downsample=100&method=extrema")
        assert [min(points), max(points)] == extent


@pytest.mark.parametrize("length", [0, 100, 10_000])
def test_one_that_was_cut_is_made_anew(archive, length):
    fields = archive.add("rat", noise(2_000_000))
    work(archive)
    asked = f"{link_of(fields)}?downsample=100&method=extrema"
    expected = archive.values(asked)
    root = archive.services.store.root_url.removeprefix("file://")
    os.truncate(f"{root}/{row(archive).overview}", length)
    assert archive.get(asked).json["message_type"] == "overview_needed"
    assert work(archive) == 1 and plan(archive, asked)["level"] and archive.values(asked) == expected


def test_a_file_that_is_another_by_now_is_noticed_though_no_sample_is_needed(archive):
    fields = archive.add("rat", noise(2_000_000))
    work(archive)
    asked = f"{link_of(fields)}?downsample=100&method=extrema"
    assert plan(archive, asked)["level"] and archive.get(asked).status_code == 200
    with h5py.File(archive.folder / "rat.h5", "r+") as file:
        file["array"][0] = 5
    assert archive.get(asked).status_code == 409


def test_a_job_that_is_given_up_and_retried(archive):
    archive.add("rat", noise(2_000_000))
    ask_for_missing(archive.services.engine, archive.settings.overviews)
    run = archive.app.test_cli_runner().invoke
    assert run(args=["jobs", "cancel", "1"]).exit_code == 0 and row(archive).overview_state == "failed"
    assert run(args=["jobs", "retry", "1"]).exit_code == 0 and row(archive).overview_state == "asked"
    assert work(archive) == 1 and row(archive).overview_state == "ready"
    for ids in (["999"], ["1", "999"], ["9" * 20]):
        result = run(args=["overview", *ids])
        assert result.exit_code and ("no array 999" in result.output or "not in the range" in result.output)

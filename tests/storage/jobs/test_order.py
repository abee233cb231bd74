"""Long times: registered without being read, found by index at once, and by time once a job has read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import h5py
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.job_commands import one_worker
from storage.catalog.files import Datafile
from storage.catalog.jobs import ORDER, Job
from storage.catalog.uploads import Leftover
from storage.ingest import sorted_times
from storage.ingest.places import url_of
from storage.ingest.sandbox.sandbox import sandbox
from storage.ingest.unregister import unregister
from storage.jobs.steps import steps
from storage.jobs.worker import Worker
from storage.uploads.tidy import find_stray
from tests.archive import Archive

N = sorted_times.AT_ONCE_NBYTES // 8 + 5000
TIMES = np.arange(N) / 1000 + 3
IRREGULAR, TRAINS = "/electrophysiology/irsaanalogsignal", "/electrophysiology/spiketrain"


@pytest.fixture
def archive(tmp_path, database_url):
    return Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)


def write(path, times=TIMES, *, spikes=None, observed=None, chunks=(4096,)):
    """Write an NWB file with long timestamps, or with long spike times of several units."""
    with h5py.File(path, "w") as file:
        file.attrs["neurodata_type"], file.attrs["nwb_version"] = "NWBFile", "2.6.0"
        if spikes is None:
            group = file.create_group("acquisition/a")
            group.attrs["neurodata_type"] = "TimeSeries"
            group.create_dataset("data", data=np.arange(len(times), dtype=np.float32), chunks=chunks)
            group["data"].attrs["unit"] = "volts"
            group.create_dataset("timestamps", data=times, chunks=chunks)
        else:
            units = file.create_group("units")
            units.attrs["neurodata_type"] = "Units"
            units.create_dataset("spike_times", data=np.concatenate(spikes), chunks=chunks)
            units["spike_times_index"] = np.cumsum([len(one) for one in spikes])
            if observed is not None:
                units["obs_intervals"] = np.array(observed, float)
                units["obs_intervals_index"] = np.arange(len(observed)) + 1
    return path


def work(archive):
    with one_worker(archive.services) as worker:
        return worker.drain()


def jobs(archive):
    with Session(archive.services.engine) as session:
        return [(job.kind, job.state, job.message) for job in session.scalars(select(Job).order_by(Job.id))]


def states(archive):
    with Session(archive.services.engine) as session:
        active = select(Datafile.name, Datafile.state).where(Datafile.current_state == 10).order_by(Datafile.id)
        return [tuple(row) for row in session.execute(active)]


class TestTimestamps:
    def test_until_they_are_checked_they_are_found_by_index_and_not_by_time(self, archive, tmp_path):
        outcome = archive.register(write(tmp_path / "long.nwb"))
        assert outcome.refusals == [] and jobs(archive) == [("order", "queued", None)]
        fields = archive.fields(f"{IRREGULAR}/1?start_index=10&end_index=13")
        assert fields["t_start"]["data"] == TIMES[10] and archive.values(fields["signal"]["data"]) == [10, 11, 12]
        assert archive.values(fields["times"]["data"]) == TIMES[10:13].tolist()
        times = fields["times"]["data"].partition("?")[0]
        assert archive.fields(f"{times}/info/")["state"] == "checking_order"
        for address in (f"{IRREGULAR}/1?start_time=5&end_time=6", f"{times}?start_time=5&end_time=6"):
            error = archive.error(address, 503)
            assert error["message_type"] == "order_unknown" and "ask by index" in error["message"]
            assert archive.get(address).headers["Retry-After"]
        (listed,) = archive.get(f"{IRREGULAR}/?start_time=5&end_time=6").json["selected"]
        assert "ask by index" in listed["fields"]["signal"]["reason"]

    def test_once_they_are_checked_they_are_found_by_time_at_the_cost_of_two_blocks(self, archive, tmp_path):
        archive.register(write(tmp_path / "long.nwb"))
        guid = archive.fields(f"{IRREGULAR}/1")["times"]["guid"]
        assert work(archive) == 1 and jobs(archive) == [("order", "done", "1 sorted")]
        fields = archive.fields(f"{IRREGULAR}/1?start_time=50&end_time=50.005")
        first = int(np.searchsorted(TIMES, 50))
        assert archive.values(fields["signal"]["data"]) == list(range(first, first + 6))
        assert archive.values(fields["times"]["data"]) == TIMES[first : first + 6].tolist()
        assert fields["times"]["guid"] == guid and fields["t_start"]["data"] == 50
        assert {state for _, state in states(archive)} == {"ready"}
        assert archive.register(tmp_path / "long.nwb").state == "unchanged"
        assert len(jobs(archive)) == 1

    def test_nothing_but_what_is_used_stays_in_the_store(self, archive, tmp_path):
        archive.register(write(tmp_path / "long.nwb"))
        work(archive)
        with Session(archive.services.engine) as session:
            used = set(session.scalars(select(Datafile.sidecar).where(Datafile.sidecar.is_not(None))))
            doomed = set(session.scalars(select(Leftover.key)))
        assert len(doomed) == 1 and archive.services.store.find_all("sidecars") == used | doomed
        assert not used & doomed

    @pytest.mark.parametrize(("odd", "reason"), [(1.0, "not sorted"), (np.nan, "1 of its times are not numbers")])
    def test_unsorted_ones_are_refused_by_then(self, archive, tmp_path, odd, reason):
        times = TIMES.copy()
        times[N - 10] = odd
        archive.register(write(tmp_path / "long.nwb", times))
        assert archive.fields(f"{IRREGULAR}/1")["name"] == "a"
        work(archive)
        archive.error(f"{IRREGULAR}/1", 404)
        assert states(archive) == []
        (refusal,) = archive.register(tmp_path / "long.nwb").refusals
        assert refusal.path == "/acquisition/a" and reason in refusal.reason

    def test_a_file_that_is_changed_before_the_check_is_checked_as_it_is_then(self, archive, tmp_path):
        archive.register(write(tmp_path / "long.nwb"))
        archive.register(write(tmp_path / "long.nwb", TIMES + 1))
        assert [state for _, state, _ in jobs(archive)] == ["cancelled", "queued"]
        assert work(archive) == 1
        assert archive.fields(f"{IRREGULAR}/1?start_time=50&samples_count=1")["t_start"]["data"] == 50
        write(tmp_path / "long.nwb", TIMES + 2)
        assert archive.register(tmp_path / "long.nwb").state == "updated"
        write(tmp_path / "long.nwb", TIMES + 3)  # nobody registers it: the check itself meets it
        assert work(archive) == 3  # the check in vain, registering again, and the check of what is there now
        assert archive.fields(f"{IRREGULAR}/1")["t_start"]["data"] == 6
        assert {state for _, state in states(archive)} == {"ready"}

    def test_a_file_that_is_changed_or_unregistered_while_it_is_checked_is_not_taken_for_sorted(
        self, archive, tmp_path
    ):
        path, services = tmp_path / "long.nwb", archive.services
        check = steps(services.store, services.engine)[ORDER]
        changes = [
            lambda: archive.register(write(path, TIMES[::-1])),
            lambda: unregister(services.engine, url_of(str(path))),
        ]
        for change in changes:
            archive.register(write(path))

            def then_change(held, change=change):
                outcome = check(held)
                change()
                return outcome

            with Worker(services.engine, {ORDER: then_change}, lease=timedelta(seconds=60), bulk_places=1) as worker:
                worker.do_next()
            assert "ready" not in {state for name, state in states(archive) if name == "timestamps"}
            assert [job for job in jobs(archive) if job[1] == "done"] == []
        assert find_stray(services.store, services.engine)[0] == []

    def test_what_others_have_by_index_stays_theirs_when_the_times_are_refused(self, archive, tmp_path):
        archive.register(write(tmp_path / "long.nwb"))
        work(archive)
        times = archive.fields(f"{IRREGULAR}/1")["times"]["data"]
        archive.add_user("anne")
        anne = archive.logged_in("anne")
        rate = {"sampling_rate": {"data": 1, "units": "kHz"}, "t_start": {"data": 0, "units": "s"}}
        made = anne.post("/electrophysiology/analogsignal/", json={"name": "mine", "signal": {"data": times}, **rate})
        assert made.status_code == 201, made.text
        archive.register(write(tmp_path / "long.nwb", TIMES[::-1]))
        work(archive)
        archive.error(f"{IRREGULAR}/1", 404)
        assert archive.fields(f"{times}/info/")["state"] == "ready"
        assert archive.values(f"{times}?end_index=2") == TIMES[::-1][:2].tolist()

    def test_what_the_sandbox_cannot_check_is_refused_with_its_reason(self, archive, tmp_path, monkeypatch):
        archive.register(write(tmp_path / "long.nwb"))
        patience = sandbox().limits
        monkeypatch.setattr(sandbox(), "limits", replace(patience, wall_s=0.0))
        work(archive)
        monkeypatch.setattr(sandbox(), "limits", patience)
        assert "takes longer" in archive.register(tmp_path / "long.nwb").refusals[0].reason

    def test_others_cannot_link_them_as_times_before(self, archive, tmp_path):
        archive.add_user("anne")
        archive.register(write(tmp_path / "long.nwb"))
        times = archive.fields(f"{IRREGULAR}/1")["times"]["data"]
        body = {
            "name": "mine",
            "times": {"data": times},
            "t_start": {"data": 0, "units": "s"},
            "t_stop": {"data": 1000, "units": "s"},
        }
        anne = archive.logged_in("anne")
        answer = anne.post(f"{TRAINS}/", json=body)
        assert answer.status_code == 400 and "checking_order" in answer.json["message"]
        work(archive)
        assert anne.post(f"{TRAINS}/", json=body).status_code == 201


class TestUnits:
    SPIKES = (TIMES[:50_000], TIMES[:0], TIMES[100:50_100] + 0.5, TIMES[: N - 100_000])

    def trains(self, archive):
        found = [one["fields"] for one in archive.get(f"{TRAINS}/").json["selected"]]
        return [(one["name"], one["t_start"]["data"], one["t_stop"]["data"]) for one in found]

    def test_windows_hold_the_spikes_as_if_these_had_been_read_at_once(self, archive, tmp_path, monkeypatch):
        later = Archive(tmp_path / "later")
        later.register(write(tmp_path / "units.nwb", spikes=self.SPIKES))
        assert {window[2] for window in self.trains(later)} == {0}
        work(later)
        assert self.trains(later)[0] == ("unit 0", 0, TIMES[49_999])
        for observed in (None, [[1, 2], [0, 5], [20, 9999], [4, 4]]):
            path = write(tmp_path / "units.nwb", spikes=self.SPIKES, observed=observed)
            later.register(path)
            work(later)
            short = self.SPIKES[0][[0, -1]], self.SPIKES[1], self.SPIKES[2][[0, -1]], self.SPIKES[3][[0, -1]]
            archive.register(write(tmp_path / "short.nwb", spikes=short, observed=observed, chunks=(2,)))
            assert self.trains(later) == self.trains(
                archive
            )  # only first and last spikes matter, and short ones are read

    def test_units_whose_spikes_are_not_sorted_are_refused_and_the_others_served(self, archive, tmp_path):
        spikes = list(self.SPIKES)
        spikes[2] = spikes[2][::-1]
        archive.register(write(tmp_path / "units.nwb", spikes=spikes))
        work(archive)
        assert [name for name, _, _ in self.trains(archive)] == ["unit 0", "unit 1", "unit 3"]
        names = [one["fields"]["name"] for one in archive.get("/electrophysiology/unit/").json["selected"]]
        assert names == ["unit 0", "unit 1", "unit 3"]
        fields = archive.fields(f"{TRAINS}/?name=unit 3&start_time=10&end_time=10.0015")
        assert archive.values(fields["times"]["data"]) == TIMES[[7000, 7001]].tolist()
        (refusal,) = archive.register(tmp_path / "units.nwb").refusals
        assert refusal.path == "/units[2]"
        assert refusal.reason == "its times are not sorted: number 1, counted from 0, is earlier than number 0"

    def test_a_window_that_a_person_corrected_stays(self, archive, tmp_path):
        archive.add_user("anne")
        archive.register(write(tmp_path / "units.nwb", spikes=self.SPIKES), owner="anne")
        anne = archive.logged_in("anne")
        sent = {"t_stop": {"data": 99999, "units": "s"}}
        assert anne.post(f"{TRAINS}/1/", json=sent).status_code == 200
        work(archive)
        fields = archive.fields(f"{TRAINS}/1")
        assert fields["t_stop"]["data"] == 99999
        answer = anne.post(f"{TRAINS}/1/", json={"corrections": []})
        assert answer.json["selected"][0]["fields"]["t_stop"]["data"] == TIMES[49_999]

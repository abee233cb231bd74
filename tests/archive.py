"""A small lab archive in a folder of its own: files made by tests, registered, served by the application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from flask.testing import FlaskClient
from sqlalchemy import delete
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.passwords import hashed
from app.services import EXTENSION, Services
from storage.catalog import find
from storage.catalog.base import PUBLIC, User
from storage.catalog.files import ShortIndex, StoredFile
from storage.catalog.migrate import migrate
from storage.catalog.models import RecordingChannel, Unit
from storage.hdf5 import sidecar
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.found import Found, FoundObject
from storage.ingest.places import url_of
from storage.ingest.record import Recording, Sidecar
from storage.ingest.register import Options, Outcome, register

PASSWORD = "correct horse"


class Archive:
    """A service over one folder, and what it holds."""

    def __init__(self, folder: Path, *, migrated: bool = True, **variables: str) -> None:
        self.folder = folder
        self.settings = Settings.from_environment({"EPHYSTORE_DATA": str(folder / "data"), **variables})
        (folder / "data").mkdir(parents=True, exist_ok=True)
        self.app = create_app(self.settings)
        self.client: FlaskClient = self.app.test_client()
        if migrated:
            migrate(self.services.engine)

    @property
    def services(self) -> Services:
        """What the application uses itself."""
        found: Services = self.app.extensions[EXTENSION]
        return found

    def add_user(self, username: str, password: str = PASSWORD) -> None:
        """Let somebody log in."""
        with self.services.transaction() as session:
            session.add(User(username=username, password_hash=hashed(password)))

    def logged_in(self, username: str, password: str = PASSWORD) -> FlaskClient:
        """Return a client of its own that has logged in."""
        client = self.app.test_client()
        answer = client.post("/account/authenticate/", data={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return client

    def register(
        self, place: Path | str, *, safety_level: int = PUBLIC, owner: str | None = None, **plain: Any
    ) -> Outcome:
        """Register one file."""
        options = Options(owner, safety_level, PlainOptions(**plain))
        return register(self.services.store, self.services.engine, url_of(str(place)), options)

    def add(
        self,
        name: str,
        samples: Any,
        *,
        sampling_rate: tuple[float, str] = (20000, "Hz"),
        t_start: tuple[float, str] = (0, "ms"),
        units: str | None = "mv",
        safety_level: int = PUBLIC,
        owner: str | None = None,
        client: FlaskClient | None = None,
        **creation: Any,
    ) -> dict[str, Any]:
        """Write an HDF5 file with one array in the root, register it, and return the fields as a client gets them."""
        path = self.folder / f"{name}.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("array", data=samples, **creation)
        told = {"sampling_rate": sampling_rate, "t_start": t_start, "units": units}
        outcome = self.register(path, safety_level=safety_level, owner=owner, **told)
        assert outcome.state in ("registered", "updated"), outcome
        (type_name,) = outcome.counts
        address = f"/electrophysiology/{type_name}/?name={name}"
        if owner is not None and client is None:
            return {"type": type_name}
        return {"type": type_name, **self.fields(address, client)}

    def forget_short_indices(self) -> None:
        """Make the catalog keep no chunk index, as it keeps none of long ones."""
        with self.services.engine.execution_options(writes=True).begin() as connection:
            connection.execute(delete(ShortIndex))

    def get(self, address: str, **more: Any) -> TestResponse:
        """Send one GET."""
        return self.client.get(address, **more)

    def fields(self, address: str, client: FlaskClient | None = None) -> dict[str, Any]:
        """Return the fields of the one object at an address."""
        answer = (client or self.client).get(address)
        assert answer.status_code == 200, answer.text
        (selected,) = answer.json["selected"]
        found: dict[str, Any] = selected["fields"]
        return found

    def values(self, link: str) -> Any:
        """Return the values that a datafile link answers, as JSON."""
        answer = self.get(link + ("&" if "?" in link else "?") + "format=json")
        assert answer.status_code == 200, answer.text
        return answer.json

    def error(self, address: str, status: int, **more: Any) -> dict[str, Any]:
        """Return the document of an error, after checking its form."""
        answer = self.get(address, **more)
        assert answer.status_code == status, (answer.status_code, answer.text[:500])
        document: dict[str, Any] = answer.json
        assert document["selected"] == [] and document["objects_selected"] == 0
        assert document["message"] and document["message_type"] and isinstance(document["details"], dict)
        assert "Traceback" not in answer.text
        return document


TIMES = np.array([0.1, 0.2, 0.2, 0.5, 0.9, 1.4, 2.0, 2.7])
LABELS = ["start", "tone", "tone", "löcher", "light", "tone", "puff", "stop"]
WAVEFORMS = np.arange(8 * 2 * 5, dtype=np.int16).reshape(8, 2, 5)


def add_every_type(archive: Archive) -> dict[str, int]:
    """Write a file from which one object of each type is made; return the ids by type.

    Regular signals start at 10 ms and have 1000 Hz; irregular ones lie at ``TIMES`` seconds.
    """
    path = archive.folder / "every_type.h5"
    with h5py.File(path, "w") as file:
        file["signal"] = np.arange(100, dtype=np.float32)
        file["array"] = np.arange(300, dtype=np.int16).reshape(100, 3)
        file["uneven"] = np.arange(16, dtype=np.float64).reshape(8, 2)
        file["times"] = TIMES
        file["waveforms"] = WAVEFORMS
        file["waveform"] = WAVEFORMS[0]
        file["labels"] = LABELS
        file["durations"] = np.full(8, 0.05)
    with h5py.File(path) as file:
        found = _everything(file)
    services = archive.services
    sidecars = {}
    for name, description in found.datasets.items():
        parts = {"blocks": found.blocks.get(name), "values": description.values}
        content, offsets = sidecar.dump({key: array for key, array in parts.items() if array is not None})
        sidecars[name] = Sidecar(sidecar.new_key(), offsets)
        services.store.put(sidecars[name].key, content)
    url = url_of(str(path))
    stat = services.store.stat(url)
    with Session(services.engine.execution_options(writes=True)) as session, session.begin():
        row = StoredFile(name=url, pin=stat.pin, nbytes=stat.nbytes)
        session.add(row)
        session.flush()
        Recording(session, row, None, PUBLIC, True).write(found, sidecars)
        session.flush()
        unit, channel = session.query(Unit).one(), session.query(RecordingChannel).one()
        unit.recordingchannels.append(channel)
        ids = {}
        for one in found.objects:
            (ids[one.type_name],) = (
                page.id for page in session.query(find.TYPES[one.type_name]).filter_by(file_id=row.id)
            )
    return ids


def _everything(file: h5py.File) -> Found:
    found = Found()
    arrays = {}
    units = {"times": "s", "durations": "s", "labels": None, "uneven": "uV", "waveforms": "mV", "waveform": "mV"}
    for name in file:
        described, _ = found.describe_times(file[name]) if name == "times" else (found.describe(file[name]), [])
        arrays[name] = found.whole(described, name, units.get(name, "mV"))
    regular = {"t_start": 10.0, "t_start_units": "ms", "sampling_rate": 1.0, "sampling_rate_units": "kHz"}
    start, moment = {"t_start": 0.0, "t_start_units": "s"}, {"time": 0.5, "time_units": "s"}
    stop = {"t_stop": 3.0, "t_stop_units": "s"}

    def add(type_name: str, fields: dict[str, Any], parents: list[str], linked: dict[str, str]) -> None:
        own = {"annotations": {"made_by": "a test"}, **fields}
        used = {field: arrays[name] for field, name in linked.items()}
        found.objects.append(FoundObject(type_name, "/", own, dict.fromkeys(parents, "/"), used))

    add("block", {"name": "a block"}, [], {})
    add("segment", {"name": "a segment"}, ["block"], {})
    add("recordingchannelgroup", {"name": "a group"}, ["block"], {})
    add("recordingchannel", {"name": "a channel", "index": 3}, ["recordingchannelgroup"], {})
    add("unit", {"name": "a unit"}, [], {})
    add("analogsignal", {"name": "a signal", **regular}, ["segment", "recordingchannel"], {"signal": "signal"})
    add("analogsignalarray", {**regular}, ["segment", "recordingchannelgroup"], {"signal": "array"})
    add("irsaanalogsignal", {"name": "uneven", **start}, ["segment"], {"signal": "uneven", "times": "times"})
    trains = {"times": "times", "waveforms": "waveforms"}
    add("spiketrain", {"name": "a train", **start, **stop}, ["segment", "unit"], trains)
    spike = {**moment, "sampling_rate": 20000.0, "sampling_rate_units": "Hz"}
    add("spike", spike, ["segment", "unit"], {"waveform": "waveform"})
    add("eventarray", {}, ["segment"], {"labels": "labels", "times": "times"})
    add("event", {"label": "tone", **moment}, ["segment", "eventarray"], {})
    epochs = {"labels": "labels", "times": "times", "durations": "durations"}
    add("epocharray", {}, ["segment"], epochs)
    add("epoch", {"label": "tone", **moment, "duration": 0.1, "duration_units": "s"}, ["epocharray"], {})
    return found

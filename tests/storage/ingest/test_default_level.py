"""How public files become that are registered again by somebody who says nothing of them."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
from sqlalchemy import select

from storage.catalog.models import AnalogSignal
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.places import url_of
from storage.ingest.register import Options, register
from tests.archive import Archive


def test_a_default_level_is_for_files_that_were_never_told_one(tmp_path):
    archive = Archive(tmp_path)
    levels = {}
    for name, first in (("private", Options(safety_level=3)), ("new", None)):
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(3.0)
        rate = PlainOptions(sampling_rate=(1.0, "Hz"))
        store, engine, url = archive.services.store, archive.services.engine, url_of(str(path))
        if first is not None:
            register(store, engine, url, replace(first, plain=rate))
        register(store, engine, url, Options(plain=rate, default_safety_level=1))
        with archive.services.session() as session:
            levels[name] = session.scalar(select(AnalogSignal.safety_level).where(AnalogSignal.name == name))
        assert register(store, engine, url, Options(plain=rate)).state == "unchanged"
    assert levels == {"private": 3, "new": 1}

"""All of a change or nothing: failures in the middle, others in between, and whatever bodies are sent."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select, update

from storage.catalog.base import now
from storage.catalog.files import Datafile, StoredFile
from storage.catalog.models import TYPES
from storage.catalog.uploads import Leftover
from tests.archive import Archive
from tests.bodies import BODIES, array, created


@pytest.fixture
def archive(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)
    archive.add_user("anne")
    return archive


@pytest.fixture
def anne(archive):
    return archive.logged_in("anne")


def keys(archive):
    """Return the keys of all files in the store."""
    root = archive.settings.data / "store"
    return {str(path.relative_to(root)) for path in root.rglob("*.h5")}


def leftovers(archive):
    with archive.services.session() as session:
        return set(session.scalars(select(Leftover.key)))


def rows(archive):
    with archive.services.session() as session:
        models = (*TYPES.values(), Datafile, StoredFile)
        return sum(session.scalar(select(func.count()).select_from(model)) or 0 for model in models)


@contextmanager
def listening(engine, name, listener):
    event.listen(engine, name, listener)
    try:
        yield
    finally:
        event.remove(engine, name, listener)


@pytest.mark.parametrize("table", ["stored_file", "datafile", "spiketrain", "DELETE FROM leftover"])
def test_whoever_fails_in_the_middle_leaves_no_row_and_no_key_that_is_not_noted(archive, anne, table):
    def fail(_connection, _cursor, statement, *_more):
        if statement.startswith((f"INSERT INTO {table} ", table)):
            raise RuntimeError("the power went")

    with listening(archive.services.engine, "before_cursor_execute", fail):
        answer = anne.post("/electrophysiology/spiketrain/", json=BODIES["spiketrain"])
    assert answer.status_code == 500
    assert rows(archive) == 0
    assert len(keys(archive)) == 3 and keys(archive) == leftovers(archive)
    created(anne, "spiketrain")
    assert len(keys(archive) - leftovers(archive)) == 3 and len(leftovers(archive)) == 3


def test_keys_are_noted_before_they_are_written(archive, anne):
    seen = []

    def look(_connection):
        seen.append((len(keys(archive)), len(leftovers(archive))))

    with listening(archive.services.engine, "commit", look):
        created(anne, "spiketrain")
    assert seen[0][0] == 0 and seen[-1][0] == 3
    assert leftovers(archive) == set()


def test_keys_that_were_due_before_the_catalog_referred_to_them_are_not_referred_to(archive, anne):
    def hurry(connection):
        connection.execute(update(Leftover).values(remove_after=now() - timedelta(seconds=1)))

    with listening(archive.services.engine, "commit", hurry):
        answer = anne.post("/electrophysiology/spiketrain/", json=BODIES["spiketrain"])
    assert answer.status_code == 503 and rows(archive) == 0 and keys(archive) == leftovers(archive)


def test_a_parent_that_is_archived_in_between_gets_no_child(archive, anne):
    other = archive.logged_in("anne")
    segment = created(anne, "segment")["id"]
    body = {**BODIES["spiketrain"], "segment": segment}
    del body["waveforms"]
    with interleaved(archive, lambda: other.delete(f"/electrophysiology/segment/{segment}/")):
        answer = anne.post("/electrophysiology/spiketrain/", json=body)
    assert answer.status_code == 400 and list(answer.json["details"]) == ["segment"]


def test_a_rule_holds_also_against_a_change_in_between(archive, anne):
    train, other = created(anne, "spiketrain"), archive.logged_in("anne")
    address = f"/electrophysiology/spiketrain/{train['id']}/"
    longer = {"times": array([0.1, 0.2, 0.2, 0.5, 2.5], "s"), "t_stop": array(2.6, "s")}
    shorter = {"t_stop": array(1, "s"), "waveforms": array([[[1]]] * 5, "mV")}
    with interleaved(archive, lambda: other.post(address, json=longer)):
        answer = anne.post(address, json=shorter)
    assert answer.status_code == 400 and list(answer.json["details"]) == ["times"]
    after = anne.get(address).json["selected"][0]["fields"]
    assert after["t_stop"] == array(2.6, "s")


@contextmanager
def interleaved(archive, act):
    """Act once, between the check and the transaction that writes: when keys of inline arrays have been noted."""
    engine, noting, statuses = archive.services.engine, [], []

    def look(_connection, _cursor, statement, *_more):
        if statement.startswith("INSERT INTO leftover") and not statuses:
            noting.append(True)

    def back(*_):
        if noting:
            noting.clear()
            statuses.append(None)
            statuses.append(archive.services.side_by_side(lambda _: act().status_code, [1])[0])

    with listening(engine, "before_cursor_execute", look), listening(engine, "checkin", back):
        yield
    assert statuses[-1] == 200


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
UNITS = st.sampled_from(["s", "ms", "mV", "Hz", "pA", "", "m**9", None, 5]) | st.text(max_size=4)
NUMBERS = st.integers(-10, 10) | st.floats(-10, 10) | st.sampled_from([1e300, -1e300, 2**63, 10**200, 0.1])
VALUES = st.recursive(
    st.lists(NUMBERS | st.none() | st.text(max_size=3), max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
LIKELY = st.fixed_dictionaries(
    {"data": NUMBERS | VALUES | st.sampled_from(["/datafiles/1", 1, 2**40, None]), "units": UNITS}
)
NAMES = sorted(
    {name for body in BODIES.values() for name in body}
    | {"segment", "unit", "recordingchannel", "block", "id", "guid", "owner"}
)


@pytest.fixture(scope="module")
def one_archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("bodies"))
    archive.add_user("anne")
    return archive


@settings(max_examples=300)
@given(
    type_name=st.sampled_from(sorted(BODIES)),
    changes=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), ANYTHING | LIKELY | VALUES, max_size=5),
    is_new=st.booleans(),
)
def test_no_body_makes_the_service_fail(one_archive, type_name, changes, is_new):
    anne = one_archive.client
    if anne.get("/").json["logged_in_as"] is None:
        anne.post("/account/authenticate/", data={"username": "anne", "password": "correct horse"})
        for name in BODIES:
            created(anne, name)
    base = (
        {name: value for name, value in BODIES[type_name].items() if name in changes}
        if not is_new
        else BODIES[type_name]
    )
    content = json.dumps({**base, **changes})
    address = f"/electrophysiology/{type_name}/" + ("" if is_new else "1/")
    answer = anne.post(address, data=content, content_type="application/json")
    assert answer.status_code in (200, 201, 400), answer.text
    if answer.status_code == 400:
        assert answer.json["details"] and len(answer.text) < 20_000
    else:
        (entry,) = answer.json["selected"]
        back = anne.post(entry["permalink"], json=entry["fields"])
        assert back.status_code == 200 and back.json["selected"] == [entry], (back.text, entry)
        assert anne.get(entry["permalink"]).json["selected"] == [entry]


@settings(max_examples=200)
@given(content=st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0dnametrl1e9.- ', max_size=40).map(str.encode))
def test_no_bytes_make_the_service_fail(one_archive, content):
    anne = one_archive.client
    if anne.get("/").json["logged_in_as"] is None:
        anne.post("/account/authenticate/", data={"username": "anne", "password": "correct horse"})
    answer = anne.post("/electrophysiology/block/", data=content, content_type="application/json")
    assert answer.status_code in (201, 400), answer.text

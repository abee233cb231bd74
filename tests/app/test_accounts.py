"""Logging in, staying logged in, logging out; and those who try without a password."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import func, select, update

from app.auth import COOKIE
from app.passwords import MAX_NBYTES, hashed, matches
from storage.catalog import logins
from storage.catalog.accounts import FailedLogin, LoginSession
from storage.catalog.base import User, now
from tests.archive import PASSWORD, Archive
from tests.statements import Statements

LOGIN, LOGOUT = "/account/authenticate/", "/account/logout/"


@pytest.fixture
def archive(tmp_path, database_url):
    archive = Archive(tmp_path, EPHYSTORE_DATABASE_URL=database_url)
    archive.add_user("anne")
    return archive


def log_in(client, username="anne", password=PASSWORD, **more):
    return client.post(LOGIN, data={"username": username, "password": password}, **more)


def name_of(client, **more):
    return client.get("/electrophysiology/block/", **more).json["logged_in_as"]


def count(archive, model):
    with archive.services.session() as session:
        return session.scalar(select(func.count()).select_from(model))


def test_who_logs_in_is_known_until_the_logout_and_the_cookie_is_worth_nothing_after(archive):
    client = archive.app.test_client()
    assert name_of(client) is None
    answer = log_in(client)
    assert answer.status_code == 200 and answer.json["logged_in_as"] == "anne" and answer.json["selected"] == []
    assert answer.headers["Cache-Control"] == "no-store"
    cookie = client.get_cookie(COOKIE)
    assert name_of(client) == "anne"
    assert client.get("/electrophysiology/nonsense/").json["logged_in_as"] == "anne"
    assert client.get(LOGOUT).json["logged_in_as"] is None
    assert client.get_cookie(COOKIE) is None and name_of(client) is None
    client.set_cookie(COOKIE, cookie.value)
    assert name_of(client) is None and count(archive, LoginSession) == 0
    assert client.post(LOGOUT).status_code == 200  # once more does no harm


def test_json_and_addresses_without_a_slash_do_as_well(archive):
    client = archive.app.test_client()
    assert client.post("/account/authenticate", json={"username": "anne", "password": PASSWORD}).status_code == 200
    assert name_of(client) == "anne"


def test_the_cookie_is_for_http_only_for_this_site_and_for_https_where_it_came_by_that(archive):
    for address, is_secure in (("http://localhost/", False), ("https://localhost/", True)):
        header = log_in(archive.app.test_client(), base_url=address).headers["Set-Cookie"]
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in header.split(";")}
        assert ("Secure" in header) == is_secure
    always = Archive(archive.folder, EPHYSTORE_DATABASE_URL=archive.settings.database_url, EPHYSTORE_SECURE_COOKIES="1")
    assert "Secure" in log_in(always.app.test_client()).headers["Set-Cookie"]


def test_the_catalog_has_neither_passwords_nor_what_cookies_say(archive):
    client = archive.app.test_client()
    log_in(client)
    token = client.get_cookie(COOKIE).value
    with archive.services.session() as session:
        (kept,) = session.scalars(select(LoginSession.token_hash))
        assert kept != token and len(kept) == 64
        assert PASSWORD not in session.scalar(select(User.password_hash))


def test_a_login_begins_a_new_session_and_ends_the_one_before(archive):
    client = archive.app.test_client()
    chosen = "A" * 43  # by whoever made the victim's browser keep it
    client.set_cookie(COOKIE, chosen)
    log_in(client)
    first = client.get_cookie(COOKIE).value
    assert first != chosen
    log_in(client)
    assert client.get_cookie(COOKIE).value != first and count(archive, LoginSession) == 1


def test_private_things_are_for_their_owner_and_friendly_ones_for_whoever_is_logged_in(archive):
    archive.add_user("bob")
    clients = {None: archive.app.test_client(), "anne": archive.logged_in("anne"), "bob": archive.logged_in("bob")}
    private = archive.add("private", np.arange(9.0), owner="anne", safety_level=3, client=clients["anne"])
    friendly = archive.add("friendly", np.arange(9.0), owner="anne", safety_level=2, client=clients["anne"])
    expected = {None: (401, 401), "anne": (200, 200), "bob": (403, 200)}
    for who, client in clients.items():
        for one, status in zip((private, friendly), expected[who], strict=True):
            for address in (
                f"/electrophysiology/analogsignal/{one['id']}",
                one["signal"]["data"],
                f"{one['signal']['data']}/info",
                f"{one['signal']['data']}/download",
            ):
                answer = client.get(address)
                assert answer.status_code == status, (who, address)
                assert "public" not in answer.headers["Cache-Control"]
        n_listed = len(client.get("/electrophysiology/analogsignal/?q=link").json["selected"])
        assert n_listed == expected[who].count(200)


def test_a_public_document_that_names_who_is_logged_in_is_not_for_shared_caches(archive):
    signal = archive.add("public", np.arange(9.0))
    address = f"/electrophysiology/analogsignal/{signal['id']}"
    assert archive.get(address).headers["Cache-Control"] == "public, no-cache"
    assert archive.logged_in("anne").get(address).headers["Cache-Control"] == "private, no-cache"


def test_nobody_costs_no_statement_and_a_cookie_one(archive, tmp_path):
    link = archive.add("public", np.arange(9.0))["signal"]["data"]
    client = archive.logged_in("anne")
    statements = Statements(archive.services.engine, tmp_path)
    for asking, expected in ((archive.client, 1), (client, 2)):
        statements.clear()
        assert asking.get(link).status_code == 200
        assert len(statements.seen) == expected, statements.seen
    odd = archive.app.test_client()
    odd.set_cookie(COOKIE, "no token")
    statements.clear()
    assert odd.get(link).status_code == 200 and len(statements.seen) == 1


@pytest.mark.parametrize(("username", "password"), [("anne", "wrong"), ("nobody", PASSWORD), ("owner", PASSWORD)])
def test_wrong_passwords_unknown_users_and_owners_who_cannot_log_in_are_told_alike(archive, username, password):
    archive.add("one", np.arange(3.0), owner="owner")
    client = archive.app.test_client()
    answer = log_in(client, username, password)
    assert answer.status_code == 401 and answer.json["message_type"] == "wrong_password"
    assert answer.json["message"] == "there is no user of this name and password"
    assert "Set-Cookie" not in answer.headers


def test_an_unknown_user_takes_as_much_work(monkeypatch):
    kept, checked = hashed(PASSWORD), []
    monkeypatch.setattr("app.passwords.check_password_hash", lambda *given: checked.append(given))
    assert not matches(None, "wrong") and not matches(kept, "wrong")
    (nobodys, _), (somebodys, _) = checked
    assert nobodys.split("$")[0] == somebodys.split("$")[0]  # the same method at the same cost


def test_a_password_too_long_is_wrong_without_any_work(archive, monkeypatch):
    monkeypatch.setattr("app.passwords.check_password_hash", None)
    assert log_in(archive.app.test_client(), password="x" * (MAX_NBYTES + 1)).status_code == 401


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"password": ""}},
        {"data": {"username": "anne"}},
        {"data": {"username": "", "password": PASSWORD}},
        {"data": {"username": "an\0ne", "password": PASSWORD}},
        {"data": {"username": "x" * 151, "password": PASSWORD}},
        {"data": {"username": "anne", "password": PASSWORD, "more": "1"}},
        {"json": {"username": 5, "password": [PASSWORD]}},
        {"json": [1]},
        {"data": b"\xff", "content_type": "application/json"},
        {"data": b'{"username": "\\ud800", "password": "x"}', "content_type": "application/json"},
    ],
)
def test_what_is_no_username_and_password_is_400(archive, sent):
    answer = archive.client.post(LOGIN, **sent)
    assert answer.status_code == 400 and answer.json["details"], answer.text


def test_other_media_types_are_415_and_other_methods_405(archive):
    assert archive.client.post(LOGIN, data="x", content_type="text/plain").status_code == 415
    assert archive.client.get(LOGIN).status_code == 405


def test_usernames_and_passwords_are_the_same_in_either_form_of_unicode(archive):
    archive.add_user("m\u00fcller", "pa\u00dfw\u00f6rter")
    answer = log_in(archive.app.test_client(), "mu\u0308ller", "pa\u00dfwo\u0308rter")
    assert answer.status_code == 200 and answer.json["logged_in_as"] == "m\u00fcller"


def test_guessing_is_slowed_down_and_nobody_is_locked_out_elsewhere_or_for_long(archive, monkeypatch):
    client = archive.app.test_client()
    for _ in range(logins.MAX_PER_PAIR):
        assert log_in(client, password="wrong").status_code == 401
    answer = log_in(client)  # the right one, too late
    assert answer.status_code == 429 and answer.json["message_type"] == "too_many_attempts"
    assert 0 < int(answer.headers["Retry-After"]) <= logins.WINDOW.total_seconds()
    assert log_in(client, environ_base={"REMOTE_ADDR": "198.51.100.7"}).status_code == 200
    for _ in range(3):
        assert log_in(client).status_code == 429  # trying does not lengthen it
    age(archive, logins.WINDOW + timedelta(seconds=2))
    assert log_in(client).status_code == 200
    assert count(archive, FailedLogin) == 0


def test_guesses_side_by_side_are_counted(archive):
    def guess(number):
        return log_in(archive.app.test_client(), password=f"wrong {number}").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(guess, range(24)))
    assert statuses.count(401) <= logins.MAX_PER_PAIR + 8 and 429 in statuses


def test_one_address_cannot_guess_at_many_names(archive):
    fill(archive, [(f"user{number}", "127.0.0.1") for number in range(logins.MAX_PER_ADDRESS)])
    assert log_in(archive.app.test_client()).status_code == 429


def test_many_addresses_cannot_lock_a_user_out_where_they_are_logged_in(archive):
    client = archive.logged_in("anne")
    fill(archive, [("anne", f"192.0.2.{number}") for number in range(logins.MAX_PER_USERNAME)])
    assert log_in(archive.app.test_client(), environ_base={"REMOTE_ADDR": "198.51.100.7"}).status_code == 429
    assert log_in(client).status_code == 200


def test_a_session_that_is_not_used_ends_and_one_that_is_used_lasts(archive):
    client = archive.logged_in("anne")
    first = expires(archive)
    move(archive, -timedelta(hours=1))
    assert name_of(client) == "anne" and expires(archive) == first - timedelta(hours=1)  # not each use is written
    move(archive, -timedelta(days=2))
    assert name_of(client) == "anne" and expires(archive) >= first
    move(archive, -logins.LASTS)
    assert name_of(client) is None
    log_in(client)
    assert count(archive, LoginSession) == 1  # the one that ended is gone
    with archive.services.transaction() as session:
        session.execute(update(LoginSession).values(date_created=now() - logins.LASTS_AT_MOST))
    assert name_of(client) is None


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://proxied.example"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost.evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_pages_of_other_sites_change_nothing(archive, headers, is_taken):
    client = archive.logged_in("anne")
    for method, address in (("POST", LOGIN), ("POST", LOGOUT), ("GET", LOGOUT), ("DELETE", "/anything/")):
        answer = client.open(address, method=method, headers=headers)
        assert (answer.status_code == 403) == (not is_taken), (method, address)
    assert client.get("/electrophysiology/block/", headers=headers).status_code == 200


def test_behind_a_proxy_of_ours_its_word_on_address_and_scheme_counts_and_no_other(archive):
    told = {"X-Forwarded-For": "203.0.113.1, 203.0.113.2", "X-Forwarded-Proto": "https"}
    for n_proxies, address, is_secure in ((0, "127.0.0.1", False), (1, "203.0.113.2", True)):
        here = Archive(
            archive.folder,
            EPHYSTORE_DATABASE_URL=archive.settings.database_url,
            EPHYSTORE_TRUSTED_PROXIES=str(n_proxies),
        )
        answer = log_in(here.app.test_client(), headers=told)
        assert ("Secure" in answer.headers["Set-Cookie"]) == is_secure
        with here.services.session() as session:
            newest = session.scalars(select(LoginSession.address).order_by(LoginSession.date_created))
            assert address in list(newest)


def test_a_catalog_that_is_away_is_503_also_with_a_cookie(tmp_path):
    archive = Archive(tmp_path, migrated=False)
    archive.client.set_cookie(COOKIE, "A" * 43)
    assert archive.error("/electrophysiology/block/", 503)["logged_in_as"] is None
    archive.error("/nothing/here", 404)


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "local"),
        (None, "local"),
        ("no address", "local"),
    ],
)
def test_addresses_that_one_caller_has_many_of_count_as_one(remote, address):
    assert logins.address_of(remote) == address


def age(archive, by):
    with archive.services.transaction() as session:
        session.execute(update(FailedLogin).values(moment=now() - by))


def fill(archive, attempts):
    with archive.services.transaction() as session:
        session.add_all([FailedLogin(username=name, address=address) for name, address in attempts])


def expires(archive):
    with archive.services.session() as session:
        return session.scalar(select(LoginSession.expires))


def move(archive, by):
    with archive.services.transaction() as session:
        row = session.scalar(select(LoginSession))
        row.expires += by

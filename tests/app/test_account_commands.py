"""``flask user``: what a person types to say who may log in."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.archive import Archive

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "/account/authenticate/"


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


@pytest.fixture
def run(archive):
    """Run one ``flask user`` command; returns its exit code and what it printed."""

    def run(*words, **more):
        result = archive.app.test_cli_runner().invoke(args=["user", *words], **more)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return run


def may_log_in(archive, username, password):
    sent = {"username": username, "password": password}
    return archive.app.test_client().post(LOGIN, data=sent).status_code == 200


def test_users_are_added_once_from_an_option_or_standard_input(archive, run):
    assert run("add", "anne", "--password", "anne's own") == (0, "anne may log in.\n")
    assert run("add", "bob", input="bob's secret\n") == (0, "bob may log in.\n")
    assert may_log_in(archive, "anne", "anne's own") and may_log_in(archive, "bob", "bob's secret")
    code, said = run("add", "anne", "--password", "another one")
    assert code == 1 and "there is a user anne already" in said
    assert not may_log_in(archive, "anne", "another one")


def test_an_owner_who_could_not_log_in_gets_a_password_and_what_is_theirs(archive, run):
    archive.add("theirs", np.arange(3.0), owner="carl", safety_level=3)
    assert "owns only  carl" in run("list")[1]
    assert run("add", "carl", "--password", "carl's own")[0] == 0
    listed = archive.logged_in("carl", "carl's own").get("/electrophysiology/analogsignal/").json
    assert [one["fields"]["name"] for one in listed["selected"]] == ["theirs"]


def test_a_new_password_ends_the_sessions_of_the_old_one(archive, run):
    archive.add_user("anne")
    client = archive.logged_in("anne")
    assert run("password", "anne", "--password", "quite another")[0] == 0
    assert client.get("/electrophysiology/block/").json["logged_in_as"] is None
    assert may_log_in(archive, "anne", "quite another")


@pytest.mark.parametrize(
    ("size", "listed"),
    [("500GB", "500,000,000,000 bytes"), ("20 mb", "20,000,000 bytes"), ("0", "0 bytes"), ("default", "anne\n")],
)
def test_quotas(archive, run, size, listed):
    archive.add_user("anne")
    assert run("quota", "anne", "7B")[0] == 0
    assert run("quota", "anne", size)[0] == 0
    assert run("list")[1].endswith(listed if listed.endswith("\n") else f"{listed}\n")


@pytest.mark.parametrize("size", ["much", "-5", "1e9", "5 XB", "999999999999999PB", ""])
def test_what_is_no_size_is_told(archive, run, size):
    archive.add_user("anne")
    code, said = run("quota", "--", "anne", size)
    assert code == 2 and "is" in said


@pytest.mark.parametrize("name", ["", " anne", "an\nne", "x" * 151, "\u200b"])
def test_what_is_no_username_is_told(run, name):
    code, said = run("add", "--password", "long enough", "--", name)
    assert code == 2 and "is no username" in said


@pytest.mark.parametrize("password", ["short", "x" * 1025])
def test_passwords_too_short_or_too_long_are_told(run, password):
    assert run("add", "anne", "--password", password)[0] == 2
    code, said = run("add", "anne", input=f"{password}\n")
    assert code == 1 and "a password has at" in said


@pytest.mark.parametrize("words", [("password", "nobody"), ("quota", "nobody", "5GB")])
def test_who_is_not_there_is_told(run, words):
    code, said = run(*words, input="long enough\n")
    assert code == 1 and "there is no user nobody" in said


def test_without_a_catalog_a_sentence_says_what_to_do(tmp_path):
    archive = Archive(tmp_path, migrated=False)
    result = archive.app.test_cli_runner().invoke(args=["user", "list"])
    assert result.exit_code == 1 and "'flask init' makes it" in result.output


def test_a_terminal_does_not_show_the_password(archive):
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "user", "add", "anne"]
    environment = os.environ | {"EPHYSTORE_DATA": str(archive.settings.data)}
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    for _ in range(2):
        prompt = b""
        while not prompt.rstrip().endswith(b":"):
            prompt += os.read(mine, 1000)
        os.write(mine, b"typed unseen\n")
        said += prompt
    while b"may log in" not in said:
        said += os.read(mine, 1000)
    assert process.wait(60) == 0
    os.close(mine)
    assert b"typed" not in said and b"anne may log in." in said
    assert may_log_in(archive, "anne", "typed unseen")

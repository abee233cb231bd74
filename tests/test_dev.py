"""dev.py as a person uses it, in a copy of its own that needs no package but those already here."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVICE = """
import json, os, sys
import click
from flask import Flask

app = Flask(__name__)

def told(command, **values):
    with open("told.jsonl", "a") as file:
        print(json.dumps({"command": command, "data": os.environ["EPHYSTORE_DATA"], **values}), file=file)

@app.get("/")
def root():
    return {"pid": os.getppid()}

@app.cli.command()
def init():
    told("init")

@app.cli.command()
def demo():
    told("demo")

@app.cli.command()
@click.option("--default-safety-level", type=int)
@click.argument("places", nargs=-1)
def register(default_safety_level, places):
    if "s3://absent" in places:
        raise click.ClickException("there is no such bucket")
    told("register", safety_level=default_safety_level, places=places)

@app.cli.command()
@click.option("--with-parent", is_flag=True)
def worker(with_parent):
    told("worker", pid=os.getpid())
    sys.stdin.read()
    told("worker ended", pid=os.getpid())

@app.cli.command()
@click.option("--address")
def welcome(address):
    click.echo(f"welcome at {address}")
"""


def without_settings():
    return {name: value for name, value in os.environ.items() if not name.startswith("EPHYSTORE_")}


class Checkout:
    """A folder with dev.py and a service of five routes and commands."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        shutil.copy(ROOT / "dev.py", folder)
        self.write("requirements.txt", "")
        self.write("requirements-worker.txt", "-r requirements.txt\n")
        self.write("requirements-dev.txt", "-r requirements-worker.txt\n")
        self.write("requirements-bench.txt", "-r requirements-dev.txt\n")
        self.write("wsgi.py", SERVICE)
        self.write("gunicorn.conf.py", "control_socket_disable = True\ntimeout = 2\n")
        self.home = folder / ".venv"

    def write(self, name, content):
        (self.folder / name).write_text(content)

    def start(self, *arguments, **options):
        command = [sys.executable, self.folder / "dev.py", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        usual = {"cwd": self.folder, "env": without_settings(), "start_new_session": True, **pipes}
        return subprocess.Popen(command, **{**usual, **options})

    def ended(self, *arguments, **options):
        """Run dev.py to its end; returns exit code, output and errors."""
        process = self.start(*arguments, **options)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def lend_packages(self):
        """Let its .venv import the packages of the Python that runs this test."""
        site = next(self.home.glob("lib/python3*/site-packages"))
        (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"])

    def told(self):
        return [json.loads(line) for line in (self.folder / "told.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose .venv is made."""
    made = Checkout(tmp_path_factory.mktemp("dev") / "a checkout of ünits")
    code, output, errors = made.ended("types")
    assert "Installing requirements-dev.txt" in output, errors
    assert code == 1, "mypy is not lent yet"
    made.lend_packages()
    return made


@pytest.fixture
def fresh(tmp_path):
    return Checkout(tmp_path / "fresh")


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def is_one_sentence(errors):
    return errors.startswith("dev.py: error: ") and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--port", "0"], ["--port", "'0'", "1 to 65535"]),
        (["run", "--port", "65536"], ["--port", "'65536'", "1 to 65535"]),
        (["run", "--port", "eighty"], ["--port", "'eighty'", "1 to 65535"]),
        (["run", "--port", "٨٠٠٠"], ["--port", "1 to 65535"]),
        (["run", "--port"], ["--port"]),
        (["run", "--host", "192.0.2.1"], ["--host", "192.0.2.1"]),
        (["run", "--host", "a..b"], ["--host", "a..b"]),
        (["run", "--data", "dev.py"], ["--data", "dev.py"]),
        (["run", "--data", "dev.py/below"], ["--data", "dev.py/below"]),
        (["run", "--fast"], ["--fast"]),
        (["run", "absent.nwb"], ["absent.nwb"]),
        (["run", "s3:/one-slash"], ["s3:/one-slash"]),
        (["serve"], ["serve", "run, test, lint, types, bench"]),
        (["lint", "app"], ["app"]),
    ],
)
def test_wrong_use_is_one_sentence_and_installs_nothing(fresh, arguments, named):
    code, output, errors = fresh.ended(*arguments)
    assert (code, output) == (2, "")
    assert is_one_sentence(errors)
    assert [word for word in named if word not in errors] == []
    assert not fresh.home.exists()


def test_a_port_in_use_is_one_sentence_and_installs_nothing(fresh):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, errors = fresh.ended("run", "--port", port)
    assert code == 2
    assert is_one_sentence(errors)
    assert f"--port {port} is in use" in errors
    assert not fresh.home.exists()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["run", "--help"]])
def test_help_names_every_command(fresh, arguments):
    code, output, _ = fresh.ended(*arguments)
    assert code == 0
    assert [word for word in ("run", "test", "lint", "types", "bench", "--port", "--data") if word not in output] == []


def test_requirements_that_cannot_be_installed_are_one_sentence(fresh, port):
    fresh.write("requirements.txt", "./absent-package\n")
    code, _, errors = fresh.ended("run", "--port", port)
    assert code == 1
    assert is_one_sentence(errors.splitlines(keepends=True)[-1])
    assert "Traceback" not in errors


def test_a_second_start_installs_nothing(checkout):
    before = {path: path.stat().st_mtime_ns for path in checkout.home.rglob("*") if path.name != "__pycache__"}
    _, output, _ = checkout.ended("test", "--version")
    assert "Installing" not in output
    after = {path: path.stat().st_mtime_ns for path in before}
    assert before == after


def test_changed_requirements_are_installed(checkout):
    checkout.write("requirements-dev.txt", "-r requirements.txt\n# changed\n")
    assert "Installing requirements-dev.txt" in checkout.ended("test", "--version")[1]
    assert "Installing" not in checkout.ended("test", "--version")[1]


def test_benchmarks_get_their_arguments_and_what_they_need(fresh):
    (fresh.folder / "benchmarks.py").write_text("import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(3)")
    process = fresh.start("bench", "--quick", "slices")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"{process.pid} ['--quick', 'slices']" in output, "signals go to the benchmarks themselves"
    assert "Installing requirements-bench.txt" in output
    assert "Installing" not in fresh.ended("types")[1], "tests, lint and types need nothing more"
    fresh.write("requirements-dev.txt", "-r requirements.txt\n# changed\n")
    assert "Installing requirements-bench.txt" in fresh.ended("bench")[1]


def test_variables_of_another_python_do_not_matter(checkout, tmp_path):
    (tmp_path / "pytest.py").write_text("raise SystemExit(77)")
    env = os.environ | {"PYTHONPATH": str(tmp_path), "PIP_TARGET": str(tmp_path), "VIRTUAL_ENV": str(tmp_path)}
    assert checkout.ended("test", "--version", env=env)[0] == 0


@pytest.mark.parametrize(("body", "expected"), [("assert 1 == 1", 0), ("assert 1 == 2", 1), ("import absent", 1)])
def test_the_exit_code_of_pytest_is_passed_on(checkout, body, expected):
    checkout.write("test_sample.py", f"def test_sample():\n    {body}\n")
    assert checkout.ended("test", "-p", "no:cacheprovider", "test_sample.py", cwd="/")[0] == expected


def test_lint_runs_all_its_checks_and_fails_if_one_does(checkout):
    checkout.write("unsorted.py", "import sys\nimport os\nprint( os, sys )\n")
    code, output, _ = checkout.ended("lint")
    assert code == 1
    assert "reformatted" in output
    (checkout.folder / "unsorted.py").unlink()


def blocked_install(fresh):
    """Start an installation that reads a pipe, so that it is under way until the pipe is written."""
    fresh.write("requirements.txt", "-r pipe\n")
    os.mkfifo(fresh.folder / "pipe")
    process = fresh.start("types")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            return process, os.open(fresh.folder / "pipe", os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.02)
    raise AssertionError("pip does not read its requirements")


def test_an_interrupted_install_is_done_again_from_the_start(fresh):
    process, pipe = blocked_install(fresh)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    os.close(pipe)
    (fresh.folder / "pipe").unlink()
    fresh.write("pipe", "")
    half = fresh.home / "half-installed"
    half.touch()
    _, output, _ = fresh.ended("types")
    assert "Making" in output
    assert "Installing" in output
    assert not half.exists()
    assert "Installing" not in fresh.ended("types")[1]


def test_two_at_once_install_once(fresh):
    first, pipe = blocked_install(fresh)
    second = fresh.start("types")
    assert "Waiting" in second.stdout.readline()
    os.close(pipe)
    first_output, second_output = (process.communicate(timeout=60)[0] for process in (first, second))
    assert "Installing" in first_output
    assert "Installing" not in second_output


def test_an_environment_of_another_python_is_made_anew(fresh):
    fresh.ended("types")
    config = fresh.home / "pyvenv.cfg"
    config.write_text(re.sub(r"(?m)^version.*", "version = 3.8.1", config.read_text()))
    assert "Making" in fresh.ended("types")[1]
    (fresh.home / "bin" / "python").unlink()
    assert "Making" in fresh.ended("types")[1]
    assert "Making" not in fresh.ended("types")[1]


@contextlib.contextmanager
def served(checkout, port, *arguments, **options):
    """Run the service; yields its process once it answers."""
    process = checkout.start("run", "--port", port, *arguments, **options)
    opener = build_opener(ProxyHandler({}))
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), opener.open(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                process.answer = json.load(answer)
                break
            time.sleep(0.05)
        yield process
    finally:
        time.sleep(0.3)  # gunicorn's simplest worker logs a traceback where a signal meets the end of an answer
        process.send_signal(signal.SIGINT)
        process.output, process.errors = process.communicate(timeout=30)


def test_given_recordings_are_registered_and_served_until_ctrl_c(checkout, port, tmp_path):
    here = tmp_path / "recordings of 猫"
    here.mkdir()
    (here / "-a b.nwb").touch()
    places = ["s3://bucket/prefix", "--data", "my data", "--", "-a b.nwb", "."]
    with served(checkout, port, *places, cwd=here) as process:
        assert process.answer == {"pid": process.pid}, "signals go to gunicorn itself"
    assert process.returncode == 0
    assert "Traceback" not in process.errors
    assert f"welcome at http://127.0.0.1:{port}\n" in process.output
    data = str(here / "my data")
    assert Path(data).is_dir()
    init, register = [one for one in checkout.told() if one["command"] in ("init", "register")][-2:]
    assert init == {"command": "init", "data": data}
    assert register["places"] == ["s3://bucket/prefix", str(here / "-a b.nwb"), str(here)]
    assert (register["safety_level"], register["data"]) == (1, data)


def test_without_a_recording_there_is_a_demo(checkout, port, tmp_path):
    with served(checkout, port, "--host", "0.0.0.0", cwd=tmp_path) as process:
        pass
    assert f"welcome at http://127.0.0.1:{port}\n" in process.output
    assert {"command": "demo", "data": str(tmp_path / "data")} in checkout.told()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_runs_beside_the_service_and_ends_with_it(checkout, port, tmp_path, number):
    def told(command):
        return {one["pid"] for one in checkout.told() if one["command"] == command and one["data"] == data}

    data = str(tmp_path / "data")
    with served(checkout, port, cwd=tmp_path) as process:
        deadline = time.monotonic() + 20
        while not told("worker") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(told("worker")) == 1 and not told("worker ended")
        process.send_signal(number)
        while not told("worker ended") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert told("worker ended") == told("worker")


def test_a_failing_registration_ends_it_with_its_message(checkout, port, tmp_path):
    code, _, errors = checkout.ended("run", "--port", port, "s3://absent", cwd=tmp_path)
    assert code == 1
    assert "there is no such bucket" in errors
    assert "dev.py: error: 'flask register' ended with 1" in errors
    assert "Traceback" not in errors

"""Commands for this checkout; needs only python3 (3.11 or newer) and pip.

usage: python3 dev.py run [--port N] [--host H] [--data DIR] [PATH-or-URL ...]
       python3 dev.py test [pytest arguments ...]
       python3 dev.py lint
       python3 dev.py types
       python3 dev.py bench [--quick] [NAME ...]

run    Register the given HDF5 or NWB files, folders or s3:// prefixes in place, public unless told otherwise before,
       or a demo recording, and serve them at http://127.0.0.1:8000 until Ctrl-C,
       with a worker that checks what is uploaded.
       --port N    port to serve at, 1 to 65535 (8000)
       --host H    address to serve at (127.0.0.1); 0.0.0.0 is every address of this machine
       --data DIR  folder for the catalog and the store (./data)
test   Run the tests, on all cores unless there are arguments.
lint   Check the form of the code.     types  Check its types.
bench  Compare with other ways of serving slices; all scenarios, or those named.

The first start of each makes .venv beside this file and installs what is needed.
"""

# This file must stay readable by Python 3.8, so that an old Python gets a sentence and not a SyntaxError.
from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
INSTALLING = VENV / ".installing"
OLDEST_PYTHON = (3, 11)
OLDEST_PIP = (22, 3)
SERVICE = ("requirements-worker.txt", "requirements.txt")
DEVELOPMENT = ("requirements-dev.txt", *SERVICE)
BENCHMARKS = ("requirements-bench.txt", *DEVELOPMENT)
# Would send children to another Python's packages, or pip to another place than .venv.
UNWANTED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__",
            "PIP_PYTHON", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")  # fmt: skip


class Problem(Exception):
    """A failure that the person at the terminal can act on."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def stamp(files: Sequence[str]) -> Path:
    """Return the file that is there when ``.venv`` holds what a requirement file, and those it includes, say now."""
    contents = b"\0".join([b"%d.%d" % sys.version_info[:2], *((ROOT / file).read_bytes() for file in files)])
    return VENV / f".installed-{files[0]}-{hashlib.sha256(contents).hexdigest()}"


def is_whole() -> bool:
    """Tell whether ``.venv`` is of this version of Python and nobody's unfinished work."""
    config = VENV / "pyvenv.cfg"
    if INSTALLING.exists() or not os.access(PYTHON, os.X_OK) or not config.is_file():
        return False
    version = re.search(r"^version\w* *= *(\d+)\.(\d+)", config.read_text(), re.MULTILINE)
    return version is not None and tuple(map(int, version.groups())) == sys.version_info[:2]


@contextlib.contextmanager
def locked() -> Iterator[int]:
    """Hold the lock of ``.venv``; yields its descriptor, for children that must hold it too."""
    import fcntl

    VENV.mkdir(exist_ok=True)
    with open(VENV / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another dev.py, which is installing ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def make_venv() -> None:
    """Make ``.venv`` anew, without pip: Debian's python3 cannot put one there."""
    say(f"Making {VENV} ...")
    for path in VENV.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in (".lock", INSTALLING.name):
            path.unlink()
    venv.EnvBuilder(symlinks=True, with_pip=False).create(VENV)


def pip_command() -> list[str]:
    """Return the start of a pip command that installs into ``.venv``."""
    for python in dict.fromkeys([sys.executable, getattr(sys, "_base_executable", sys.executable)]):
        if pip_version(python) >= OLDEST_PIP:
            return [python, "-m", "pip", "--python", str(PYTHON)]
    if pip_version(str(PYTHON)) < OLDEST_PIP and quietly([str(PYTHON), "-m", "ensurepip"]).returncode:
        raise Problem(
            "this needs pip 22.3 or newer; install it (Debian and Ubuntu: sudo apt install python3-pip, "
            "or sudo apt install python3-venv) and start again"
        )
    return [str(PYTHON), "-m", "pip"]


def pip_version(python: str) -> tuple[int, ...]:
    """Return major and minor version of a Python's pip, ``()`` where it has none."""
    version = re.match(r"pip (\d+)\.(\d+)", quietly([python, "-m", "pip", "--version"]).stdout)
    return tuple(map(int, version.groups())) if version else ()


def quietly(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command and keep its output."""
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def install(files: Sequence[str]) -> None:
    """Bring ``.venv`` to what the first file says; the others are the ones it includes."""
    try:
        if is_whole() and stamp(files).exists():
            return
        with locked() as lock:
            if not (is_whole() and stamp(files).exists()):
                install_locked(files, lock)
    except (OSError, ValueError) as error:
        raise Problem(f"cannot make {VENV}: {error}") from error


def install_locked(files: Sequence[str], lock: int) -> None:
    """Install under the lock, which pip holds too: it goes on when this process is killed."""
    was_whole = is_whole()
    INSTALLING.touch()
    if not was_whole:
        make_venv()
    say(f"Installing {files[0]} (about a minute, once) ...")
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--root-user-action=ignore"]
    command = [*pip_command(), "install", *options, "-r", str(ROOT / files[0])]
    code = subprocess.run(command, env=environment(), pass_fds=[lock], check=False).returncode
    if code:
        raise Problem(f"{files[0]} could not be installed (pip ended with {code}); its message is above")
    for old in VENV.glob(".installed-*"):
        old.unlink()
    for number in range(len(files)):
        stamp(files[number:]).touch()
    INSTALLING.unlink()


def run(arguments: list[str]) -> NoReturn:
    """Register recordings and serve them; becomes gunicorn, so that signals go to it."""
    asked = run_parser().parse_intermixed_args(arguments)
    paths = [local_path(path) for path in asked.paths]
    require_free(asked.host, asked.port)
    env = environment(EPHYSTORE_DATA=str(usable_folder(asked.data)))
    install(SERVICE)
    flask(env, "init")
    flask(env, *(["register", "--default-safety-level", "1", "--", *paths] if paths else ["demo"]))
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    flask(env, "welcome", "--address", f"http://{netloc(everywhere.get(asked.host, asked.host), asked.port)}")
    bind = ["--bind", netloc(asked.host, asked.port)]
    os.chdir(ROOT)
    start_worker(env)
    os.execve(PYTHON, [str(PYTHON), "-m", "gunicorn", "-c", "gunicorn.conf.py", *bind, "wsgi:app"], env)


def start_worker(env: dict[str, str]) -> None:
    """Start what checks uploads, beside the service; it ends with this process, whatever that becomes or ends by."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)  # kept open by gunicorn; when that has ended, the worker sees its input end
    command = [str(PYTHON), "-m", "flask", "--app", "wsgi", "worker", "--with-parent"]
    subprocess.Popen(command, env=env, cwd=ROOT, stdin=read_end)
    os.close(read_end)


def bench(arguments: list[str]) -> NoReturn:
    """Run the benchmarks; becomes them, so that signals go to what stops their servers."""
    install(BENCHMARKS)
    os.chdir(ROOT)
    os.execve(PYTHON, [str(PYTHON), "-m", "benchmarks", *arguments], environment())


class Parser(argparse.ArgumentParser):
    """Reports in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        """Raise a Problem instead of printing the usage."""
        raise Problem(f"{message} (python3 dev.py --help)", 2)


def run_parser() -> Parser:
    """Return the parser of the arguments of ``run``."""
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--port", type=port, default=8000)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data", default=os.environ.get("EPHYSTORE_DATA") or "data")
    parser.add_argument("paths", nargs="*")
    return parser


def port(text: str) -> int:
    """Return a port number."""
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a port; allowed are 1 to 65535")
    return int(text)


def local_path(path: str) -> str:
    """Return an existing path made absolute, or a URL as it is."""
    if "://" in path or (re.match("(?!s3:|file:|https?:)[a-z][a-z0-9_-]+:", path) and not os.path.exists(path)):  # noqa: PTH110 - as below
        return path
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists() raises where a part may not be entered
        raise Problem(f"there is no {path!r} here; give files, folders or URLs such as s3://bucket/prefix", 2)
    return os.path.abspath(path)  # noqa: PTH100 - keeps links and names as they were given


def usable_folder(text: str) -> Path:
    """Make the folder for the data where it is missing; returns its absolute path."""
    folder = Path(text).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise Problem(f"--data {text!r} cannot be used: {error.strerror}", 2) from error


def require_free(host: str, number: int) -> None:
    """Require that this machine can listen at the address."""
    reasons: dict[int | None, str] = {
        errno.EADDRINUSE: f"--port {number} is in use by another program; choose another, 1 to 65535",
        errno.EACCES: f"--port {number} is not allowed for this user; choose another, 1024 to 65535",
    }
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        otherwise = f"--host {host!r} is not an address of this machine ({error})"
        raise Problem(reasons.get(getattr(error, "errno", None), otherwise), 2) from error


def netloc(host: str, number: int) -> str:
    """Return host and port as in a URL."""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def flask(env: dict[str, str], *arguments: str) -> None:
    """Run one of the service's own commands."""
    code = call("flask", "--app", "wsgi", *arguments, env=env)
    if code:
        raise Problem(f"'flask {arguments[0]}' ended with {code}; its message is above")


def run_tools(arguments: list[str], *commands: Sequence[str]) -> int:
    """Run development tools, all of them; returns the exit code of the first that fails."""
    if arguments:
        raise Problem(f"no argument is expected here, found {arguments[0]!r} (python3 dev.py --help)", 2)
    install(DEVELOPMENT)
    codes = [call(*command, env=environment()) for command in commands]
    return next(filter(None, codes), 0)


def call(*command: str, env: dict[str, str]) -> int:
    """Run a module of ``.venv`` in the checkout; returns its exit code as a shell gives it."""
    code = subprocess.run([str(PYTHON), "-m", *command], env=env, cwd=ROOT, check=False).returncode
    return code if code >= 0 else 128 - code


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of children."""
    return {name: value for name, value in os.environ.items() if name not in UNWANTED} | changes


def say(message: str) -> None:
    """Tell what is being done."""
    print(message, flush=True)


# Tests of one file share its servers, so they stay together; four processes of them fill the memory of a laptop.
SIDE_BY_SIDE = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")
LINTERS = (["ruff", "check", "."], ["ruff", "format", "--check", "."])
COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": run,
    "test": lambda arguments: run_tools([], ["pytest", *(arguments or SIDE_BY_SIDE)]),
    "lint": lambda arguments: run_tools(arguments, *LINTERS),
    "types": lambda arguments: run_tools(arguments, ["mypy"]),
    "bench": bench,
}


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    if sys.version_info[:2] < OLDEST_PYTHON or os.name != "posix":
        here = f"{sys.platform} with Python {sys.version.split()[0]}"
        raise Problem(f"this needs Linux or macOS with Python 3.11 or newer; here is {here}", 2)
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h", "help") or (name == "run" and {"--help", "-h"} & set(rest)):
        print(__doc__.strip())
        return 0
    if name not in COMMANDS:
        raise Problem(f"there is no command {name!r}; there are {', '.join(COMMANDS)}", 2)
    return COMMANDS[name](rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        print(f"dev.py: error: {problem}", file=sys.stderr)
        sys.exit(problem.code)
    except KeyboardInterrupt:
        sys.exit(130)

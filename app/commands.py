"""``flask init``, ``register``, ``demo``, ``welcome``: what a person does in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
from flask import Flask
from flask.cli import with_appcontext
from marshmallow import ValidationError
from sqlalchemy import select
from tqdm import tqdm

from app import registering
from app.account_commands import USERNAME
from app.catalog_errors import catalog_errors
from app.place import PLACE
from app.presenting import selected_object
from app.services import Services, services
from schemas import mapping_files, numbers
from schemas.permalinks import object_permalink
from schemas.queries import OBJECT, load
from schemas.yaml_text import MAX_NBYTES
from storage.catalog.arrays import regular_axis
from storage.catalog.base import ACTIVE, PRIVATE, PUBLIC
from storage.catalog.files import Datafile
from storage.catalog.migrate import migrate
from storage.catalog.models import TYPES
from storage.catalog.permissions import NOBODY
from storage.ingest.demo import write_demo
from storage.ingest.formats.hdf5 import PlainOptions
from storage.ingest.register import Options
from storage.timings import Timings
from storage.units import hertz, require_unit, seconds

DEMO_NAME = "demo.nwb"
WELCOME_TYPES = ("analogsignal", "analogsignalarray", "irsaanalogsignal", "spiketrain")
WELCOME_POINTS = 20
EXAMPLE_S = Fraction(1, 10)


class Quantity(click.ParamType[tuple[float, str]]):
    """A number and a unit, such as ``20000 Hz``."""

    name = "quantity"

    def __init__(self, known: Callable[[str], Any]) -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, str]:
        """Return both, or say what is wrong."""
        try:
            found, unit = numbers.quantity(value)
            self.known(unit)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return found, unit


class Unit(click.ParamType[str]):
    """A unit of a signal, such as ``mV``."""

    name = "unit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it is spelled, or say that it is none."""
        try:
            return require_unit(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class MappingFile(click.ParamType[dict[str, Any]]):
    """A file that says what the arrays in plain HDF5 are."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Return it as JSON, or say everything that is wrong with it."""
        try:
            with Path(value).open("rb") as file:
                return mapping_files.load(file.read(MAX_NBYTES + 1))
        except OSError as error:
            self.fail(f"{value} cannot be read: {error.strerror}", param, ctx)
        except ValidationError as error:
            told = error.messages if isinstance(error.messages, list) else [str(error.messages)]
            self.fail("\n".join([f"{value} is no mapping file:", *(f"  {one}" for one in told)]), param, ctx)


def install(app: Flask) -> None:
    """Give an application its commands."""
    for command in (init, register_files, demo, welcome):
        app.cli.add_command(command)


@click.command("init")
@with_appcontext
def init() -> None:
    """Create the catalog, or bring its tables up to date."""
    url = services().settings.database_url
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with catalog_errors():
        migrate(services().engine)


@click.command("register")
@click.argument("places", nargs=-1, required=True, type=PLACE, metavar="PATH-or-URL …")
@click.option(
    "--owner", type=USERNAME, metavar="NAME", help="Username of the owner, made where there is none; nobody by default."
)
@click.option(
    "--safety-level",
    type=click.IntRange(1, 3),
    help="1 public, 2 any user, 3 private (unless told before).",
)
@click.option(
    "--default-safety-level",
    type=click.IntRange(1, 3),
    default=PRIVATE,
    show_default=True,
    help="Of files for which none was ever told.",
)
@click.option("--sampling-rate", type=Quantity(hertz), help='Of plain HDF5, such as "20000 Hz".')
@click.option("--t-start", type=Quantity(seconds), help='Of plain HDF5, such as "0 ms".')
@click.option("--units", type=Unit(), help="Of plain HDF5, such as mV.")
@click.option(
    "--map", "mapping", type=MappingFile(), metavar="FILE", help="What the arrays in plain HDF5 are: a YAML file."
)
@click.option("--no-map", is_flag=True, help="Forget the mapping file that was told before.")
@click.option("--queue", is_flag=True, help="Leave it to the workers, and return at once.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@click.option("--forget-corrections", is_flag=True, help="What persons changed becomes what the files say.")
@with_appcontext
def register_files(
    places: Sequence[str],
    owner: str | None,
    safety_level: int | None,
    default_safety_level: int,
    sampling_rate: tuple[float, str] | None,
    t_start: tuple[float, str] | None,
    units: str | None,
    mapping: dict[str, Any] | None,
    no_map: bool,
    queue: bool,
    dry_run: bool,
    forget_corrections: bool,
) -> None:
    """Register recordings, folders of them, s3:// prefixes, or places in named stores (lab:prefix/), in place.

    Registering again brings the catalog up to date with files that are new, changed, moved or missing.
    """
    if sampling_rate is not None and sampling_rate[0] <= 0:
        raise click.BadParameter(f"{sampling_rate[0]} is not positive", param_hint="--sampling-rate")
    options = Options(
        owner,
        safety_level,
        PlainOptions(sampling_rate, t_start, units, {} if no_map else mapping),
        default_safety_level,
        forget_corrections=forget_corrections,
        show_subject=services().settings.show_subject,
    )
    if dry_run:
        registering.tell_what_would_be_done(services(), places, options)
    else:
        registering.register_places(services(), places, options, leave_to_workers=queue)


@click.command("demo")
@with_appcontext
def demo() -> None:
    """Simulate a recording of ten minutes, once, and register it as public."""
    path = services().settings.data / DEMO_NAME
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tqdm(total=100, desc="Simulating ten minutes of recording", unit="%", leave=False, disable=None) as bar:

            def show(done: float) -> None:
                bar.update(round(100 * done) - bar.n)

            try:
                write_demo(path, progress=show)
            except (OSError, RuntimeError) as error:  # h5py tells a full disk as either
                raise click.ClickException(f"the demo recording cannot be written to {path}: {error}") from error
    options = Options(safety_level=PUBLIC, show_subject=services().settings.show_subject)
    registering.register_files(services(), [f"file://{path}"], options)


@click.command("welcome")
@click.option("--address", required=True, metavar="URL", help="Where the service will answer.")
@with_appcontext
def welcome(address: str) -> None:
    """Print the address, and two requests to try."""
    click.echo(f"\nEphystore is at {address}\n")
    with catalog_errors():
        example = _example(services())
    if example is None:
        click.echo(f"  curl '{address}/'")
        return
    permalink, asked, link = example
    click.echo(f"  curl '{address}{permalink}/?{asked}'")
    click.echo(f"  curl '{address}{link}'\n")


def _example(found: Services) -> tuple[str, str, str] | None:
    """Return a permalink, a tenth of a second in the middle of what it names, and the link that this gives."""
    for type_name in WELCOME_TYPES:
        model = TYPES[type_name]
        array = getattr(model, model.time_field or "signal")
        public = (model.current_state == ACTIVE, model.safety_level == PUBLIC, array.has(Datafile.n_samples > 0))
        with found.session() as session:
            row = session.scalars(select(model).where(*public).order_by(model.id).limit(1)).unique().first()
        if row is not None:
            asked = _middle(row) | {"downsample": str(WELCOME_POINTS), "format": "json"}
            query = load(OBJECT, asked.items())
            entry = selected_object(row, query, {}, found, Timings(), NOBODY)
            link = entry["fields"][row.time_field or "signal"]["data"]
            return object_permalink(type_name, row.id), urlencode(asked), link
    return None


def _middle(row: Any) -> dict[str, str]:
    """Return the slice parameters of a part in the middle: by time where samples are regular."""
    if row.time_field is not None:
        n_samples = getattr(row, row.time_field).n_samples
        return {"start_index": str(n_samples // 2), "end_index": str(n_samples)}
    axis = regular_axis(row)
    middle, length = axis.time_of(axis.n_samples // 2), EXAMPLE_S / seconds(axis.unit)
    return {"start_time": str(numbers.plain(float(middle))), "duration": str(numbers.plain(float(length)))}

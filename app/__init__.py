"""Ephystore over HTTP."""

from __future__ import annotations

import os

from flask import Flask
from werkzeug.routing import BaseConverter

from app import commands, errors, job_commands, services
from app.config import Settings
from app.views.datafiles import datafiles
from app.views.electrophysiology import electrophysiology
from app.views.root import root

MAX_BODY_NBYTES = 1 << 20


class IdConverter(BaseConverter):
    """A positive decimal integer, in ASCII digits."""

    regex = "0*[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        """Return the number."""
        return int(value)


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application; without settings, those of the environment."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_NBYTES
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    services.install(app, settings or Settings.from_environment(os.environ))
    errors.install(app)
    commands.install(app)
    job_commands.install(app)
    for blueprint in (root, electrophysiology, datafiles):
        app.register_blueprint(blueprint)
    return app

"""Ephystore over HTTP."""

from __future__ import annotations

import os

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from app import (
    account_commands,
    auth,
    checking,
    commands,
    errors,
    import_commands,
    job_commands,
    overview_commands,
    services,
    unregistering,
)
from app.config import Settings
from app.views.account import account
from app.views.changes import changes
from app.views.datafiles import datafiles
from app.views.electrophysiology import electrophysiology
from app.views.imports import imports
from app.views.root import root
from app.views.uploads import uploads

MAX_BODY_NBYTES = 1 << 20
"""Of all requests but uploads, which count by themselves."""


class IdConverter(BaseConverter):
    """A positive decimal integer, in ASCII digits."""

    regex = "0*[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        """Return the number."""
        return int(value)


class UploadConverter(BaseConverter):
    """The id of an upload, in hex."""

    regex = "[0-9a-f]{32}"


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application; without settings, those of the environment."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_NBYTES
    app.url_map.converters["id"] = IdConverter
    app.url_map.converters["upload"] = UploadConverter
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    settings = settings or Settings.from_environment(os.environ)
    services.install(app, settings)
    if settings.trusted_proxies:
        # Only as many steps are believed as there are proxies of ours: what stands before was written by the caller.
        n_proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n_proxies, x_proto=n_proxies)  # type: ignore[method-assign]
    for part in (
        errors,
        auth,
        commands,
        account_commands,
        job_commands,
        import_commands,
        overview_commands,
        unregistering,
        checking,
    ):
        part.install(app)
    for blueprint in (root, account, electrophysiology, changes, datafiles, imports, uploads):
        app.register_blueprint(blueprint)
    return app

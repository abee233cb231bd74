"""The WSGI entry point."""

from app import create_app
from app.config import BadSetting

try:
    app = create_app()
except BadSetting as error:
    raise SystemExit(f"ephystore: {error}") from error

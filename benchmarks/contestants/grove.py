"""h5grove's own blueprint over a folder."""

import os

from flask import Flask
from h5grove.flask_utils import BLUEPRINT

app = Flask(__name__)
app.config["H5_BASE_DIR"] = os.environ["BENCH_FOLDER"]
app.register_blueprint(BLUEPRINT)

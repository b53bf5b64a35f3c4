"""The product's settings, on a data folder and a database server of the tests' own."""

import os

from tests import environment

environment.prepare()

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES  # noqa: E402

if name := os.environ.get("TEST_DATABASE_NAME"):
    DATABASES["default"]["TEST"] = {"NAME": name}
